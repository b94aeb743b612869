package tls13

import (
	"errors"
	"fmt"
)

// failure is an error with the alert that tells the peer of it.
type failure struct {
	alert Alert
	text  string
}

func (f *failure) Error() string { return "tls13: " + f.text }

func fail(alert Alert, text string) error { return &failure{alert, text} }

// Errors of handshakes and connections, beside those of the network, [Alert] and what [Config.VerifyChain] returns.
var (
	ErrConfig     = fail(alertInternalError, "configuration lacks VerifyChain, or has something that cannot be sent")
	ErrRecord     = fail(alertUnexpectedMessage, "malformed record, or one that has no place here")
	ErrRecordSize = fail(alertRecordOverflow, "record too long")
	ErrDecrypt    = fail(alertBadRecordMAC, "record does not open with its key")
	ErrMessage    = fail(alertDecodeError, "malformed handshake message")
	ErrTooLarge   = fail(alertDecodeError, "handshake message or handshake too long")
	ErrUnexpected = fail(alertUnexpectedMessage, "handshake message out of order")
	ErrFlood      = fail(alertUnexpectedMessage, "too many records without data")

	ErrVersion   = fail(alertProtocolVersion, "peer does not speak TLS 1.3")
	ErrParameter = fail(alertIllegalParameter, "peer chose what was not offered")
	ErrExtension = fail(alertUnsupportedExtension, "peer sent an extension that was not asked for")
	ErrMissing   = fail(alertMissingExtension, "peer left out an extension that has to be there")
	ErrCommon    = fail(alertHandshakeFailure, "nothing in common with the peer")
	ErrALPN      = fail(alertNoApplicationProtocol, "no protocol in common with the peer")

	ErrNoCertificate = fail(alertCertificateRequired, "peer has shown no certificate")
	ErrCertificate   = fail(alertBadCertificate, "malformed certificate, or one with a key that is neither Ed25519 nor Ed448")
	ErrScheme        = fail(alertIllegalParameter, "signature scheme was not offered, or is not that of the certificate's key")
	ErrSignature     = fail(alertDecryptError, "wrong signature on the handshake")
	ErrFinished      = fail(alertDecryptError, "wrong Finished message")

	// ErrWriteClosed is returned when writing after CloseWrite.
	ErrWriteClosed = errors.New("tls13: connection is closed for writing")
)

// Alert is an alert from the peer that ended the connection, as an error.
//
// Source: RFC 8446 6
type Alert uint8

const (
	alertCloseNotify           Alert = 0
	alertUnexpectedMessage     Alert = 10
	alertBadRecordMAC          Alert = 20
	alertRecordOverflow        Alert = 22
	alertHandshakeFailure      Alert = 40
	alertBadCertificate        Alert = 42
	alertIllegalParameter      Alert = 47
	alertDecodeError           Alert = 50
	alertDecryptError          Alert = 51
	alertProtocolVersion       Alert = 70
	alertInternalError         Alert = 80
	alertUserCanceled          Alert = 90
	alertMissingExtension      Alert = 109
	alertUnsupportedExtension  Alert = 110
	alertCertificateRequired   Alert = 116
	alertNoApplicationProtocol Alert = 120
)

// Error names the alert by its number.
//
// Source: RFC 8446 6.2
func (a Alert) Error() string {
	return fmt.Sprintf("tls13: peer ended the connection with alert %d", uint8(a))
}

// Reason returns the text of an error of this package, which is fit for a log: it is a fixed sentence, or tells the number
// of an alert. It returns "" for other errors, such as those of the network, whose text may name addresses, and those of a
// configuration's functions.
func Reason(err error) string {
	if f := (*failure)(nil); errors.As(err, &f) {
		return f.Error()
	}
	if alert := Alert(0); errors.As(err, &alert) {
		return alert.Error()
	}
	if errors.Is(err, ErrWriteClosed) {
		return ErrWriteClosed.Error()
	}
	return ""
}

// refusal is what a configuration has refused a chain with.
type refusal struct{ error }

func (r *refusal) Unwrap() error { return r.error }

// alertOf returns the alert that tells the peer of err; false if there is none, because the network failed or the peer
// has ended the connection.
func alertOf(err error) (Alert, bool) {
	if f := (*failure)(nil); errors.As(err, &f) {
		return f.alert, true
	}
	if r := (*refusal)(nil); errors.As(err, &r) {
		return alertBadCertificate, true
	}
	return 0, false
}
