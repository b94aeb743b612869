package tls13

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"

	"sotto/shared/identity/identitytest"
	"sotto/shared/key"
)

// visitor is a client that does what a test wants, right or wrong. What it leaves out is usual.
type visitor struct {
	own *Certificate // nil: it shows none
	// context is that of the signature.
	context string
	// edit changes a message before it becomes part of the transcript; nil is not sent.
	edit func(message []byte) []byte
	// between is called before the messages of this type are added.
	between map[byte]func(*handshake)
	// after is called when everything was added, with the keys of data.
	after func(*handshake)
}

// visit lets a client and a server talk. Both are without chance and begin anew each time they get an answer, so that
// what is recorded of the one goes for the other. It returns how the server ended, and what the client has sent to it.
func (v *visitor) visit(t testing.TB, cfg *ServerConfig) (served, []byte) {
	t.Helper()
	var said, answered []byte
	for range 3 {
		client := &canned{in: bytes.NewReader(answered)}
		v.run(t.Context(), client)
		said = client.out.Bytes()
		s, server := visited(t, said, cfg)
		if bytes.Equal(server.out.Bytes(), answered) || s.err == nil || !errors.Is(s.err, io.ErrUnexpectedEOF) {
			return s, said
		}
		answered = server.out.Bytes()
	}
	t.Fatal("they do not come to an end")
	return served{}, nil
}

// visited is a server of which all that is said to it is known.
func visited(t testing.TB, said []byte, cfg *ServerConfig) (served, *canned) {
	t.Helper()
	raw := &canned{in: bytes.NewReader(said)}
	c := newConn(raw, false)
	c.in.unasked = true
	h := &serverHandshake{handshake: handshake{Conn: c, rand: same{}}, cfg: cfg}
	if err := c.run(t.Context(), h.run); err != nil {
		return served{err: err}, raw
	}
	return served{conn: c}, raw
}

// run is the client's side, which ends where the server has said no more.
func (v *visitor) run(ctx context.Context, raw net.Conn) {
	c := newConn(raw, true)
	h := &clientHandshake{handshake: handshake{Conn: c, rand: same{}}, cfg: &Config{
		VerifyChain: func([][]byte) error { return nil }, ALPN: []string{"smp/1"}, Rand: same{},
	}}
	_ = c.run(ctx, func() error {
		for _, step := range []func() error{h.sendHello, h.readHello, h.readExtensions, h.readCertificate, h.readFinished} {
			if err := step(); err != nil {
				return err
			}
		}
		return v.finish(h)
	})
}

// add adds a message in a record of its own.
func (v *visitor) add(h *clientHandshake, message []byte) {
	if f := v.between[message[0]]; f != nil {
		f(&h.handshake)
	}
	if v.edit != nil {
		message = v.edit(message)
	}
	if message != nil {
		h.addMessage(message)
	}
}

// finish sends all after the server's Finished.
func (v *visitor) finish(h *clientHandshake) error {
	if h.request != nil && v.own == nil {
		v.add(h, marshalCertificate(nil))
	} else if h.request != nil {
		v.add(h, marshalCertificate(v.own.Chain))
		context := v.context
		if context == "" {
			context = clientContext
		}
		signature, err := v.own.sign(h.rand, context, h.messages.sum())
		if err != nil {
			return err
		}
		v.add(h, (&certificateVerify{v.own.scheme(), signature}).marshal())
	}
	v.add(h, marshalFinished(h.messages.suite.finished(h.client, h.messages.sum())))
	if v.after != nil {
		h.out.protect(h.messages.suite, h.traffic)
		v.after(&h.handshake)
	}
	return h.flush()
}

// asking returns a server that asks for certificates.
func asking(t testing.TB) *ServerConfig {
	t.Helper()
	cfg := testServer(t, key.Ed25519)
	cfg.VerifyClient = verifyClient
	return cfg
}

// TestVisitor checks that the others of these tests are refused for what they do.
func TestVisitor(t *testing.T) {
	for name, v := range map[string]*visitor{
		"without a certificate": {}, "Ed25519": {own: relay(t, key.Ed25519)}, "Ed448": {own: relay(t, key.Ed448)},
	} {
		for asks, cfg := range map[bool]*ServerConfig{true: asking(t), false: testServer(t, key.Ed25519)} {
			s, _ := v.visit(t, cfg)
			if s.err != nil {
				t.Errorf("%s: %v", name, s.err)
				continue
			}
			if shown := s.conn.State().PeerChain; (len(shown) > 0) != (asks && v.own != nil) {
				t.Errorf("%s: %d certificates", name, len(shown))
			}
		}
	}
}

// TestServerAlteredFlight changes each byte of what a client sends after its ClientHello. The versions of
// records that are not under keys mean nothing; all else has to be as it was sent.
func TestServerAlteredFlight(t *testing.T) {
	for _, a := range []key.Algorithm{key.Ed25519, key.Ed448} {
		cfg := asking(t)
		s, said := (&visitor{own: relay(t, a)}).visit(t, cfg)
		if s.err != nil {
			t.Fatalf("as it was sent: %v", s.err)
		}
		checked := 0
		for i := recordHeader + int(said[3])<<8 + int(said[4]); i < len(said); i++ {
			if meansNothing(said, i) {
				continue
			}
			altered := bytes.Clone(said)
			altered[i] ^= 1 << (i % 8)
			if s, _ := visited(t, altered, cfg); s.conn != nil || s.err == nil {
				t.Errorf("byte %d changed: accepted", i)
			}
			checked++
			if s, _ := visited(t, said[:i], cfg); s.conn != nil || s.err != io.ErrUnexpectedEOF {
				t.Errorf("%d bytes: %v", i, s.err)
			}
		}
		t.Logf("%v: checked %d changes", a, checked)
	}
}

// TestServerAlteredHello changes each byte of a ClientHello, which the client's Finished message is about.
func TestServerAlteredHello(t *testing.T) {
	cfg := asking(t)
	s, said := (&visitor{}).visit(t, cfg)
	if s.err != nil {
		t.Fatalf("as it was sent: %v", s.err)
	}
	for i := range recordHeader + int(said[3])<<8 + int(said[4]) {
		altered := bytes.Clone(said)
		altered[i] ^= 0xff
		if s, _ := visited(t, altered, cfg); !meansNothing(said, i) && (s.conn != nil || s.err == nil) {
			t.Errorf("byte %d changed: accepted", i)
		}
	}
}

// TestServerAlteredMessages changes each byte of the client's messages before it signs, seals and sends them: now only
// what they say is wrong.
func TestServerAlteredMessages(t *testing.T) {
	for _, a := range []key.Algorithm{key.Ed25519, key.Ed448} {
		cfg, checked := asking(t), 0
		// The only certificate has signed itself; of a longer chain the last might be another one as well.
		chain, leaf := identitytest.Service(t, a, 1, nil)
		own := &Certificate{Chain: chain, Key: leaf}
		for _, kind := range []byte{messageCertificate, messageCertificateVerify, messageFinished} {
			length := 0
			measure := &visitor{own: own, edit: replace(kind, func(m []byte) []byte { length = len(m); return m })}
			if s, _ := measure.visit(t, cfg); s.err != nil {
				t.Fatal(s.err)
			}
			for at := range length {
				if s, _ := (&visitor{own: own, edit: flip(kind, at)}).visit(t, cfg); s.conn != nil || s.err == nil {
					t.Errorf("message %d, byte %d changed: accepted", kind, at)
				}
				checked++
			}
		}
		t.Logf("%v: checked %d changes", a, checked)
	}
}
