package tls13

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"slices"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"sotto/shared/identity/identitytest"
	"sotto/shared/key"
)

// drop leaves the messages of one type out.
func drop(kind byte) func([]byte) []byte {
	return replace(kind, func([]byte) []byte { return nil })
}

// entry makes a Certificate message of one entry with extensions.
func entry(context, der, extensions string) []byte {
	return marshal(messageCertificate, func(b *cryptobyte.Builder) {
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(context)) })
		b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) {
			b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(der)) })
			b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(extensions)) })
		})
	})
}

// nist returns a certificate with a key of P-256, which has signed itself.
func nist(t *testing.T) string {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	return string(der)
}

// TestServerRefuses are clients that do not keep to the rules from their certificate to their Finished message.
func TestServerRefuses(t *testing.T) {
	one, leaf := identitytest.Service(t, key.Ed448, 1, nil)
	own, der := &Certificate{Chain: one, Key: leaf}, string(one[0])
	_, other := identitytest.NewKey(t, key.Ed448)
	_, another := identitytest.NewKey(t, key.Ed25519)
	before := func(kind byte, f func(*handshake)) map[byte]func(*handshake) {
		return map[byte]func(*handshake){kind: f}
	}
	record := func(kind byte, content string) func(*handshake) {
		return func(h *handshake) { h.add(kind, []byte(content)) }
	}
	for _, tc := range []struct {
		name string
		v    visitor
		want error
	}{
		{"Finished altered", visitor{edit: flip(messageFinished, -1)}, ErrFinished},
		{"Finished of no length", visitor{edit: constant(messageFinished, []byte{messageFinished, 0, 0, 0})}, ErrFinished},
		{"Finished cut short", visitor{edit: replace(messageFinished, func(m []byte) []byte {
			return marshalFinished(body(m)[:31])
		})}, ErrFinished},
		{"no Certificate", visitor{edit: drop(messageCertificate)}, ErrUnexpected},
		{"Certificate twice", visitor{own: own, edit: constant(messageCertificateVerify, marshalCertificate(one))}, ErrUnexpected},
		{"another context", visitor{own: own, edit: constant(messageCertificate, entry("x", der, ""))}, ErrParameter},
		{"an extension", visitor{own: own, edit: constant(messageCertificate, entry("", der, "\x00\x05\x00\x00"))}, ErrExtension},
		{"an empty certificate", visitor{own: own, edit: constant(messageCertificate, entry("", "", ""))}, ErrMessage},
		{"garbage", visitor{own: own, edit: constant(messageCertificate, entry("", "\x30\x00", ""))}, ErrCertificate},
		{"P-256", visitor{own: own, edit: constant(messageCertificate, entry("", nist(t), ""))}, ErrCertificate},
		{"a byte too many", visitor{own: own, edit: longer(messageCertificate)}, ErrMessage},
		{"five certificates", visitor{own: &Certificate{Chain: slices.Repeat(one, 5), Key: leaf}}, ErrTooLarge},
		{"a certificate too long", visitor{edit: constant(messageCertificate, entry("", string(make([]byte, maxCertificate)), ""))}, ErrTooLarge},

		{"no proof", visitor{own: own, edit: drop(messageCertificateVerify)}, ErrUnexpected},
		{"proof without a certificate", visitor{own: own, edit: constant(messageCertificate, marshalCertificate(nil))}, ErrUnexpected},
		{"proof by another key", visitor{own: &Certificate{Chain: one, Key: other}}, ErrSignature},
		{"proof of another kind", visitor{own: &Certificate{Chain: one, Key: another}}, ErrScheme},
		{"proof in another context", visitor{own: own, context: serverContext}, ErrSignature},
		{"proof with a byte too many", visitor{own: own, edit: longer(messageCertificateVerify)}, ErrMessage},
		{"proof without a signature", visitor{own: own, edit: replace(messageCertificateVerify, func([]byte) []byte {
			return (&certificateVerify{scheme: Ed448}).marshal()
		})}, ErrSignature},
		{"ECDSA", visitor{own: own, edit: replace(messageCertificateVerify, func([]byte) []byte {
			return (&certificateVerify{0x0403, make([]byte, 70)}).marshal()
		})}, ErrScheme},

		{"data", visitor{between: before(messageFinished, record(recordData, "early"))}, ErrRecord},
		{"an empty message", visitor{between: before(messageFinished, record(recordHandshake, ""))}, ErrRecord},
		{"a ticket", visitor{between: before(messageFinished, record(recordHandshake, "\x04\x00\x00\x00"))}, ErrUnexpected},
		{"a key update", visitor{between: before(messageFinished, record(recordHandshake, "\x18\x00\x00\x01\x00"))}, ErrUnexpected},
		{"an unknown message", visitor{between: before(messageFinished, record(recordHandshake, "\x63\x00\x00\x00"))}, ErrUnexpected},
		{"end of early data", visitor{between: before(messageFinished, record(recordHandshake, "\x05\x00\x00\x00"))}, ErrUnexpected},
		{"another change_cipher_spec", visitor{between: before(messageFinished, plain([]byte("\x14\x03\x03\x00\x01\x02")))}, ErrRecord},
		{"a longer one", visitor{between: before(messageFinished, plain([]byte("\x14\x03\x03\x00\x02\x01\x01")))}, ErrRecord},
		{"no end of them", visitor{between: before(messageFinished, func(h *handshake) {
			plain(bytes.Repeat([]byte("\x14\x03\x03\x00\x01\x01"), maxIdleRecords+1))(h)
		})}, ErrFlood},
		{"a record without keys", visitor{between: before(messageFinished, plain([]byte("\x16\x03\x03\x00\x04\x14\x00\x00\x00")))}, ErrRecord},
		{"an alert", visitor{between: before(messageFinished, record(recordAlert, "\x02\x2a"))}, Alert(42)},
		{"close_notify", visitor{between: before(messageFinished, record(recordAlert, "\x01\x00"))}, alertCloseNotify},
		{"half a message after Finished", visitor{edit: replace(messageFinished, func(m []byte) []byte {
			return append(m, messageKeyUpdate)
		})}, ErrUnexpected},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := asking(t)
			if tc.name == "half a message after Finished" {
				cfg.VerifyClient = nil
			}
			if s, _ := tc.v.visit(t, cfg); !errors.Is(s.err, tc.want) || s.conn != nil {
				t.Errorf("%v, want %v", s.err, tc.want)
			}
		})
	}
}

// TestServerNotAsking is a client that shows a certificate unasked.
func TestServerNotAsking(t *testing.T) {
	v := visitor{between: map[byte]func(*handshake){messageFinished: func(h *handshake) {
		h.addMessage(marshalCertificate(nil))
	}}}
	if s, _ := v.visit(t, testServer(t, key.Ed25519)); !errors.Is(s.err, ErrUnexpected) {
		t.Errorf("%v", s.err)
	}
}

// inRecords puts a message into records of this length.
func inRecords(message []byte, length int) []byte {
	var h half
	var out []byte
	for part := range slices.Chunk(message, length) {
		out = h.append(out, recordHandshake, part)
	}
	return out
}

// TestServerBeginnings are what may come instead of one ClientHello, or two.
func TestServerBeginnings(t *testing.T) {
	first := likeApp().with(extensionShares, string(shares(0x1e, 56))).marshal()
	second := likeApp().marshal()
	lowOrder := append([]byte{0, 36, 0, 29, 0, 32}, make([]byte, 32)...)
	long := likeApp().with(extensionPadding, string(make([]byte, maxHello))).marshal()
	text := func(parts ...[]byte) []byte { return slices.Concat(parts...) }
	for _, tc := range []struct {
		name string
		said []byte
		want error
		hrr  bool
	}{
		{"nothing", nil, io.ErrUnexpectedEOF, false},
		{"a hello", inRecords(second, maxContent), io.ErrUnexpectedEOF, false},
		{"a hello in pieces", inRecords(second, 7), io.ErrUnexpectedEOF, false},
		{"asked for a share", inRecords(first, maxContent), io.ErrUnexpectedEOF, true},
		{"asked for a share and sent it", text(inRecords(first, maxContent), inRecords(second, 7)), io.ErrUnexpectedEOF, true},
		{
			"with change_cipher_spec between", text(inRecords(first, maxContent), []byte("\x14\x03\x03\x00\x01\x01"), inRecords(second, maxContent)),
			io.ErrUnexpectedEOF, true,
		},
		{"asked for a share and not sent it", text(inRecords(first, maxContent), inRecords(first, maxContent)), ErrParameter, true},
		{"both hellos at once", inRecords(text(first, second), maxContent), ErrUnexpected, false},
		{"a hello and more", inRecords(text(second, second[:1]), maxContent), ErrUnexpected, false},
		{"another second hello", text(inRecords(first, maxContent),
			inRecords(likeApp().set(func(o *offered) { o.random++ }).marshal(), maxContent)), ErrParameter, true},
		{"a share of low order", inRecords(likeApp().with(extensionShares, string(lowOrder)).marshal(), maxContent), ErrParameter, false},
		{"too long", inRecords(long, maxContent), ErrTooLarge, false},
		{"text", []byte("GET / HTTP/1.1\r\n\r\n"), ErrRecord, false},
		{"change_cipher_spec", text([]byte("\x14\x03\x03\x00\x01\x01"), inRecords(second, maxContent)), ErrRecord, false},
		{"another message", inRecords([]byte("\x14\x00\x00\x00"), maxContent), ErrUnexpected, false},
		{"a hello cut short", inRecords(marshal(messageClientHello, func(b *cryptobyte.Builder) {
			b.AddBytes(second[messageHeader : len(second)-1])
		}), maxContent), ErrMessage, false},
		{"an alert", []byte("\x15\x03\x01\x00\x02\x02\x28"), Alert(40), false},
		{"data", []byte("\x17\x03\x03\x00\x01x"), ErrRecord, false},
		{"early data after the hello", text(inRecords(second, maxContent), []byte("\x17\x03\x03\x00\x20"), make([]byte, 32)), ErrDecrypt, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, server := visited(t, tc.said, asking(t))
			if !errors.Is(s.err, tc.want) || s.conn != nil {
				t.Errorf("%v, want %v", s.err, tc.want)
			}
			if bytes.Contains(server.out.Bytes(), retryRandom) != tc.hrr {
				t.Error("HelloRetryRequest, or none")
			}
			if alert, ok := alertOf(tc.want); ok && tc.want != ErrDecrypt &&
				!bytes.HasSuffix(server.out.Bytes(), []byte{recordAlert, 3, 3, 0, 2, alertFatal, byte(alert)}) {
				t.Errorf("%x, and no alert %d", server.out.Bytes(), alert)
			}
		})
	}
}

// FuzzServer says anything to a server. Without its keys nobody gets through.
func FuzzServer(f *testing.F) {
	f.Add(inRecords(likeApp().marshal(), maxContent))
	f.Add(inRecords(likeApp().marshal(), 7))
	first := likeApp().with(extensionShares, string(shares(0x1e, 56))).marshal()
	f.Add(append(inRecords(first, maxContent), inRecords(likeApp().marshal(), maxContent)...))
	_, said := (&visitor{}).visit(f, testServer(f, key.Ed25519))
	f.Add(said) // to another server
	cfg := asking(f)
	f.Fuzz(func(t *testing.T, said []byte) {
		s, server := visited(t, said, cfg)
		if s.err == nil || s.conn != nil {
			t.Fatal("let in")
		}
		if n := server.out.Len(); n > maxHello {
			t.Errorf("said %d bytes", n)
		}
	})
}
