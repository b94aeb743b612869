package server

import (
	"crypto/ecdh"
	"crypto/subtle"
	"net/http"
	"sync"

	"sotto/shared/auth"
	"sotto/shared/wire"
	"sotto/shared/xftp"
)

// phase is how far the handshake of a connection is.
//
// Spec: xftp.md 5.4
type phase uint8

const (
	noHello   phase = iota
	helloSent       // with a session key
	accepted        // and with a version
)

// handshake is the state of a connection's handshake. Requests are answered concurrently.
//
// Spec: xftp.md 5.4
type handshake struct {
	mu      sync.Mutex // guards what follows
	phase   phase
	session *ecdh.PrivateKey // once a hello was sent; it never changes
	signed  []byte           // its public key, signed
	version wire.Version     // that was agreed last; 0: none ever was
}

// over reports whether the client has ever finished a handshake.
func (h *handshake) over() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.version != 0
}

// step is what a request is taken for.
type step uint8

const (
	stepRefuse    step = iota // a browser's command on a connection that has no handshake
	stepHello                 // asks for the relay's hello
	stepHandshake             // answers it
	stepCommand
)

// next tells what a request is. hello and repeat say that a browser has marked it as a hello or as its answer.
//
// Spec: xftp.md 5.4
func (h *handshake) next(web, hello, repeat bool, head []byte) (_ step, v wire.Version, session *ecdh.PrivateKey) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.phase == noHello && web && !hello:
		return stepRefuse, 0, nil
	case h.phase == noHello || hello:
		return stepHello, 0, nil
	case h.phase == helloSent && !h.commandOf(repeat, head), h.phase == accepted && repeat:
		return stepHandshake, 0, nil
	}
	return stepCommand, h.version, h.session
}

// commandOf tells a command from the answer to a hello, on a connection where another page of the same browser has just
// said hello: the one begins with the count of its transmissions, 1, the other with the high byte of its version, 0.
//
// Spec: xftp.md 15.2
func (h *handshake) commandOf(repeat bool, head []byte) bool {
	if h.version == 0 || repeat || len(head) != xftp.BlockSize {
		return false
	}
	content, err := wire.Unpad(head)
	return err == nil && len(content) > 0 && content[0] == 1
}

// shakeHands answers a request of a connection that has handshakes.
//
// Spec: xftp.md 5.4
func (x *exchange) shakeHands() {
	c := x.c
	hello := c.web && marked(x.r, xftp.HeaderHello)
	repeat := c.web && marked(x.r, xftp.HeaderHandshake)
	step, v, session := c.handshake.next(c.web, hello, repeat, x.head)
	switch step {
	case stepRefuse:
		c.srv.count.HelloRefused.Add(1)
		x.answerWord(xftp.ErrSession)
	case stepHello:
		x.answerHello()
	case stepHandshake:
		if !c.acceptHandshake(x.head) {
			c.srv.count.HelloRefused.Add(1)
			x.answerWord(xftp.ErrHandshake)
			return
		}
		x.answer(nil)
	case stepCommand:
		x.command(v, session)
	}
}

// marked reports whether there is a header of this name, with any value.
func marked(r *http.Request, name string) bool { return r.Header.Values(name) != nil }

// answerHello sends the relay's hello.
//
// Spec: xftp.md 5.4
func (x *exchange) answerHello() {
	challenge, ok := parseHello(x.head, x.c.web)
	if !ok {
		x.c.srv.count.HelloRefused.Add(1)
		x.answerWord(xftp.ErrHandshake)
		return
	}
	hello, err := x.c.hello(challenge)
	block := blockPool.Get().(*[xftp.BlockSize]byte)
	defer blockPool.Put(block)
	if err != nil || wire.Pad(block[:], hello.AppendTo(nil)) != nil {
		xftp.PutWord(block, xftp.ErrHandshake)
	}
	x.answer(block)
}

// parseHello returns the challenge in a client's hello, nil if there is none. Native clients send nothing.
//
// Spec: xftp.md 5.4
func parseHello(head []byte, web bool) (challenge []byte, ok bool) {
	if len(head) == 0 || !web {
		return nil, len(head) == 0
	}
	content, err := wire.Unpad(head)
	if err != nil {
		return nil, false
	}
	hello, err := xftp.ParseClientHello(content)
	return hello.Challenge, err == nil
}

// hello returns the relay's hello, with the session key of this connection, which is made once. It proves the identity
// to those who ask for that.
//
// Spec: xftp.md 5.2
func (c *conn) hello(challenge []byte) (xftp.ServerHello, error) {
	signed, err := c.handshake.greet(c.srv)
	hello := xftp.ServerHello{
		Versions: c.srv.cfg.Versions, SessionID: c.session.ID,
		// Native clients take no longer chain. Spec: xftp.md 2.2
		Chain: c.srv.id.Chain[:2], SignedKey: signed,
	}
	if challenge != nil {
		hello.Proof = auth.Sign(c.srv.id.LeafKey(), xftp.ProofMessage(challenge, c.session.ID))
	}
	return hello, err
}

// greet moves to the phase in which the hello was sent, and returns the signed session key.
func (h *handshake) greet(s *Server) (signed []byte, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.session == nil {
		private, public, err := s.newKey()
		if err != nil {
			return nil, err
		}
		h.session, h.signed = private, s.id.SignSessionKey(public)
	}
	h.phase = helloSent
	return h.signed, nil
}

// acceptHandshake takes the client's answer to the hello. If it does not fit, nothing changes.
//
// Spec: xftp.md 5.4
func (c *conn) acceptHandshake(head []byte) bool {
	if len(head) != xftp.BlockSize {
		return false
	}
	content, err := wire.Unpad(head)
	if err != nil {
		return false
	}
	answer, err := xftp.ParseClientHandshake(content)
	fingerprint := c.srv.id.Fingerprint()
	if err != nil || subtle.ConstantTimeCompare(answer.KeyHash, fingerprint[:]) != 1 ||
		!c.srv.cfg.Versions.Contains(answer.Version) {
		return false
	}
	h := &c.handshake
	h.mu.Lock()
	defer h.mu.Unlock()
	h.phase, h.version = accepted, answer.Version
	if c.overdue != nil {
		c.overdue.Stop()
	}
	return true
}
