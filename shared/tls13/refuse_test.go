package tls13

import (
	"bytes"
	"errors"
	"testing"

	"golang.org/x/crypto/cryptobyte"

	"sotto/shared/identity"
	"sotto/shared/key"
)

// replace returns an edit of the messages of one type.
func replace(kind byte, with func(message []byte) []byte) func([]byte) []byte {
	return func(message []byte) []byte {
		if message[0] != kind {
			return message
		}
		return with(message)
	}
}

// remake returns an edit that changes a ServerHello. what is changed in a HelloRetryRequest is not changed in what follows.
func remake(retry bool, change func(*serverHello)) func([]byte) []byte {
	return replace(messageServerHello, func(message []byte) []byte {
		m, err := parseServerHello(message)
		if err != nil {
			panic(err)
		}
		if m.retry() == retry {
			change(m)
		}
		return m.marshal()
	})
}

// constant returns an edit that puts a message in the place of those of one type.
func constant(kind byte, message []byte) func([]byte) []byte {
	return replace(kind, func([]byte) []byte { return message })
}

// flip returns an edit that changes a bit of the byte at a place of the messages of one type, from the end if negative.
func flip(kind byte, at int) func([]byte) []byte {
	return replace(kind, func(message []byte) []byte {
		message = bytes.Clone(message)
		if at < 0 {
			message[len(message)+at] ^= 1
		} else {
			message[at] ^= 1
		}
		return message
	})
}

// longer returns an edit that appends a byte to the body of the messages of one type.
func longer(kind byte) func([]byte) []byte {
	return replace(kind, func(message []byte) []byte {
		return marshal(kind, func(b *cryptobyte.Builder) { b.AddBytes(append(bytes.Clone(body(message)), 0)) })
	})
}

// withExtensions makes a message of its body's beginning and extensions.
func withExtensions(kind byte, beginning string, list ...extension) []byte {
	return marshal(kind, func(b *cryptobyte.Builder) {
		b.AddBytes([]byte(beginning))
		addExtensions(b, list...)
	})
}

// bytesOf fills an extension.
func bytesOf(s string) func(*cryptobyte.Builder) {
	return func(b *cryptobyte.Builder) { b.AddBytes([]byte(s)) }
}

type refuseCase struct {
	name string
	s    script
	want error
}

// refusedHellos are ServerHello and HelloRetryRequest with something wrong.
var refusedHellos = []refuseCase{
	{"TLS 1.2", script{edit: replace(messageServerHello, withoutExtensions)}, ErrVersion},
	{"version of a draft", script{edit: remake(false, func(m *serverHello) { m.version = 0x7f1c })}, ErrVersion},
	{"another session id", script{edit: remake(false, func(m *serverHello) { m.sessionID = make([]byte, 32) })}, ErrParameter},
	{"no session id", script{edit: remake(false, func(m *serverHello) { m.sessionID = nil })}, ErrParameter},
	{"suite not offered", script{edit: remake(false, func(m *serverHello) { m.suite = AES128GCM })}, ErrParameter},
	{"unknown suite", script{edit: remake(false, func(m *serverHello) { m.suite = 0x1304 })}, ErrParameter},
	{"no share", script{edit: remake(false, func(m *serverHello) { m.group = 0 })}, ErrMissing},
	{"share for X448", script{edit: remake(false, func(m *serverHello) { m.group, m.share = 0x1e, make([]byte, 56) })}, ErrParameter},
	{"short share", script{edit: remake(false, func(m *serverHello) { m.share = m.share[:31] })}, ErrParameter},
	{"share of low order", script{edit: remake(false, func(m *serverHello) { m.share = make([]byte, 32) })}, ErrParameter},
	{"cookie", script{edit: remake(false, func(m *serverHello) { m.cookie = []byte("x") })}, ErrExtension},
	{"legacy version", script{edit: flip(messageServerHello, 5)}, ErrParameter},
	{"compression", script{edit: flip(messageServerHello, messageHeader+2+32+1+32+2)}, ErrParameter},
	{"trailing byte", script{edit: longer(messageServerHello)}, ErrMessage},
	{"retry for X25519", script{cookie: "c", edit: remake(true, func(m *serverHello) { m.group = groupX25519 })}, ErrParameter},
	{"retry for X448", script{cookie: "c", edit: remake(true, func(m *serverHello) { m.group = 0x1e })}, ErrParameter},
	{"retry for nothing", script{cookie: "c", edit: remake(true, func(m *serverHello) { m.cookie = nil })}, ErrParameter},
	{"retry with another suite", script{cookie: "c", edit: remake(true, func(m *serverHello) { m.suite = AES128GCM })}, ErrParameter},
	{"retry and more", script{cookie: "c", edit: replace(messageServerHello, func(m []byte) []byte {
		return append(bytes.Clone(m), m...)
	})}, ErrUnexpected},
	{"retry of a retry", script{cookie: "c", edit: remake(false, func(m *serverHello) {
		m.random, m.group, m.cookie = retryRandom, 0, []byte("d")
	})}, ErrUnexpected},
}

// withoutExtensions makes a ServerHello end before its extensions, as those of TLS 1.2 may.
func withoutExtensions(message []byte) []byte {
	const length = 2 + randomSize + 1 + 32 + 2 + 1
	return marshal(messageServerHello, func(b *cryptobyte.Builder) { b.AddBytes(body(message)[:length]) })
}

// refusedAnswers are what is wrong after the hellos.
var refusedAnswers = []refuseCase{
	{"protocol not offered", script{alpn: "xftp/1"}, ErrParameter},
	{"two protocols", script{edit: constant(messageEncryptedExtensions, withExtensions(messageEncryptedExtensions, "", extension{
		extensionALPN, func(b *cryptobyte.Builder) { addALPN(b, "smp/1", "smp/1") },
	}))}, ErrMessage},
	{"protocol twice", script{edit: constant(messageEncryptedExtensions, withExtensions(messageEncryptedExtensions, "", extension{
		extensionALPN, func(b *cryptobyte.Builder) { addALPN(b, "smp/1") },
	}, extension{
		extensionALPN, func(b *cryptobyte.Builder) { addALPN(b, "smp/1") },
	}))}, ErrParameter},
	{"name that was not sent", script{edit: constant(messageEncryptedExtensions, (&encryptedExtensions{name: true}).marshal())}, ErrExtension},
	{"share once more", script{edit: constant(messageEncryptedExtensions,
		withExtensions(messageEncryptedExtensions, "", extension{extensionShares, bytesOf("")}))}, ErrExtension},
	{"answers with a byte more", script{edit: longer(messageEncryptedExtensions)}, ErrMessage},
	{"request without schemes", script{ask: true, edit: constant(messageCertificateRequest,
		withExtensions(messageCertificateRequest, "\x00"))}, ErrMissing},
	{"request with a context", script{ask: true, edit: constant(messageCertificateRequest,
		withExtensions(messageCertificateRequest, "\x01c", extension{extensionSignatures, bytesOf("\x00\x02\x08\x07")}))}, ErrParameter},
	{"request for no scheme", script{ask: true, edit: constant(messageCertificateRequest,
		withExtensions(messageCertificateRequest, "\x00", extension{extensionSignatures, bytesOf("\x00\x00")}))}, ErrMessage},
	{"two requests", script{ask: true, edit: constant(messageCertificate, (&certificateRequest{schemes}).marshal())}, ErrUnexpected},
	{"no certificate", script{edit: constant(messageCertificate, marshalCertificate(nil))}, ErrMessage},
	{"five certificates", script{edit: constant(messageCertificate, marshalCertificate(make5()))}, ErrTooLarge},
	{"certificate of nothing", script{edit: constant(messageCertificate, marshalCertificate([][]byte{{}}))}, ErrMessage},
	{"malformed certificate", script{edit: constant(messageCertificate, marshalCertificate([][]byte{{1}}))}, ErrCertificate},
	{"chain of another", script{edit: flip(messageCertificate, -12)}, identity.ErrUnknownCA},
	{"certificates with a byte more", script{edit: longer(messageCertificate)}, ErrMessage},
	{"answer beside a certificate", script{edit: constant(messageCertificate,
		marshal(messageCertificate, bytesOf("\x00\x00\x00\x0a\x00\x00\x01x\x00\x04\x00\x05\x00\x00")))}, ErrExtension},
	{"long certificates", script{edit: constant(messageCertificate, marshalCertificate([][]byte{make([]byte, maxCertificate)}))}, ErrTooLarge},
	{"no Certificate", script{edit: constant(messageCertificate, marshalFinished(make([]byte, 32)))}, ErrUnexpected},
	{"signature for a client", script{context: clientContext}, ErrSignature},
	{"wrong signature", script{edit: flip(messageCertificateVerify, -1)}, ErrSignature},
	{"signature of nothing", script{edit: replace(messageCertificateVerify, sign(0))}, ErrSignature},
	{"short signature", script{edit: replace(messageCertificateVerify, sign(63))}, ErrSignature},
	{"scheme that is not offered", script{edit: flip(messageCertificateVerify, messageHeader)}, ErrScheme},
	{"proof with a byte more", script{edit: longer(messageCertificateVerify)}, ErrMessage},
	{"no proof", script{edit: constant(messageCertificateVerify, marshalFinished(make([]byte, 32)))}, ErrUnexpected},
	{"wrong Finished", script{edit: flip(messageFinished, -1)}, ErrFinished},
	{"empty Finished", script{edit: constant(messageFinished, marshalFinished(nil))}, ErrFinished},
	{"short Finished", script{edit: constant(messageFinished, marshalFinished(make([]byte, 31)))}, ErrFinished},
	{"long Finished", script{edit: longer(messageFinished)}, ErrFinished},
	{"longer Finished", script{edit: constant(messageFinished, marshalFinished(make([]byte, 49)))}, ErrTooLarge},
	{"unknown message", script{edit: constant(messageFinished, marshal(3, bytesOf("")))}, ErrUnexpected},
	{"ticket in the handshake", script{edit: constant(messageFinished, marshal(messageNewSessionTicket, bytesOf("x")))}, ErrUnexpected},
	{"two messages for one", script{edit: replace(messageFinished, func(m []byte) []byte { return append(m, 0) })}, ErrUnexpected},
}

func make5() [][]byte {
	return [][]byte{{1}, {2}, {3}, {4}, {5}}
}

// sign returns an edit that makes the proof one with a signature of so many zeros.
func sign(length int) func([]byte) []byte {
	return func(message []byte) []byte {
		m, err := parseCertificateVerify(message)
		if err != nil {
			panic(err)
		}
		m.signature = make([]byte, length)
		return m.marshal()
	}
}

// TestRefuses has a client refuse what is wrong, and tell the server so.
func TestRefuses(t *testing.T) {
	for _, a := range []key.Algorithm{key.Ed25519, key.Ed448} {
		own := relay(t, a)
		for _, c := range append(refusedHellos[:len(refusedHellos):len(refusedHellos)], refusedAnswers...) {
			t.Run(a.String()+" "+c.name, func(t *testing.T) {
				s := c.s
				s.own = own
				checkRefused(t, &s, c.want)
			})
		}
	}
}

func checkRefused(t *testing.T, s *script, want error) {
	t.Helper()
	clientRaw, serverRaw := loopback(t)
	told := make(chan error, 1)
	go func() {
		_, err := s.serve(t.Context(), serverRaw)
		told <- err
	}()
	c, err := Client(t.Context(), clientRaw, &Config{VerifyChain: trusts(s.own), ALPN: []string{"smp/1"}})
	if c != nil || !errors.Is(err, want) {
		t.Fatalf("client: %v, want %v", err, want)
	}
	if err := <-told; err == nil {
		t.Error("the server was not told")
	}
}

// TestOtherKey has the proof made with a key of the other algorithm than the leaf's.
func TestOtherKey(t *testing.T) {
	ed25519, ed448 := relay(t, key.Ed25519), relay(t, key.Ed448)
	for _, own := range []*Certificate{{ed25519.Chain, ed448.Key}, {ed448.Chain, ed25519.Key}} {
		checkRefused(t, &script{own: own}, ErrScheme)
	}
}

// TestTold compares the alerts that servers get with the errors of their client.
func TestTold(t *testing.T) {
	own := relay(t, key.Ed25519)
	for want, edit := range map[Alert]func([]byte) []byte{
		alertProtocolVersion:  replace(messageServerHello, withoutExtensions),
		alertMissingExtension: remake(false, func(m *serverHello) { m.group = 0 }),
		alertBadCertificate:   flip(messageCertificate, -12),
		alertDecryptError:     flip(messageFinished, -1),
	} {
		s := &script{own: own, edit: edit}
		cfg, flight := recorded(t, s)
		_, raw, err := against(t, flight, cfg)
		if got, ok := alertOf(err); got != want || !ok {
			t.Errorf("%v is told as %d, want %d", err, got, want)
		}
		if want == alertProtocolVersion || want == alertMissingExtension {
			if sent := raw.out.Bytes(); !bytes.HasSuffix(sent, []byte{recordAlert, 3, 3, 0, 2, alertFatal, byte(want)}) {
				t.Errorf("sent %x", sent)
			}
		}
	}
}
