package tls13

import (
	"context"
	"crypto/ecdh"
	"net"

	"sotto/shared/clienthello"
)

// script is a server that does what a test wants, right or wrong. What it leaves out is usual.
type script struct {
	own     *Certificate
	suite   uint16 // 0: ChaCha20Poly1305
	alpn    string
	cookie  string // if there is one, it is sent in a HelloRetryRequest
	ask     bool   // for the client's certificate
	context string // of the signature

	// edit changes a message before it becomes part of the transcript.
	edit func(message []byte) []byte
	// between is called when the flight before the messages of this type was sent.
	between map[byte]func(*handshake)
	// after is called when everything was sent, with the keys of data.
	after func(*handshake)
}

// offered lists the suites that a client has to offer.
func (s *script) offered() []uint16 {
	if s.suite == 0 {
		return nil
	}
	return []uint16{s.suite}
}

func (s *script) serve(ctx context.Context, raw net.Conn) (*Conn, error) {
	c := newConn(raw, false)
	h := &handshake{Conn: c, rand: same{}}
	if err := c.run(ctx, func() error { return s.run(h) }); err != nil {
		return nil, err
	}
	return c, nil
}

// send sends a message in a record of its own.
func (s *script) send(h *handshake, message []byte) error {
	if s.edit != nil {
		message = s.edit(message)
	}
	if f := s.between[message[0]]; f != nil {
		f(h)
	}
	h.addMessage(message)
	return h.flush()
}

func (s *script) run(h *handshake) error {
	hello, err := s.hello(h)
	if err != nil {
		return err
	}
	private, err := ecdh.X25519().NewPrivateKey(make([]byte, 32))
	if err != nil {
		return err
	}
	err = s.send(h, (&serverHello{
		random: make([]byte, randomSize), sessionID: hello.SessionID, suite: h.messages.suite.id, version: versionTLS13,
		group: groupX25519, share: private.PublicKey().Bytes(),
	}).marshal())
	if err != nil {
		return err
	}
	h.add(recordChangeCipherSpec, []byte{1})
	if err := h.agree(private, hello.Shares[0].Key); err != nil {
		return err
	}
	h.out.protect(h.messages.suite, h.server)
	if err := h.in.protectNext(h.messages.suite, h.client); err != nil {
		return err
	}
	if err := s.prove(h); err != nil {
		return err
	}
	return s.finish(h)
}

// hello reads the ClientHello, the second if there is a cookie.
func (s *script) hello(h *handshake) (*clienthello.Hello, error) {
	id := s.suite
	if id == 0 {
		id = ChaCha20Poly1305
	}
	h.messages = newTranscript(suiteOf(id))
	for {
		raw, err := h.readMessage(messageClientHello)
		if err != nil {
			return nil, err
		}
		h.messages.add(raw)
		hello, err := clienthello.Parse(raw)
		if err != nil || s.cookie == "" || hello.Has(extensionCookie) {
			return hello, err
		}
		h.state.Retried = true
		h.messages.retry()
		retry := &serverHello{
			random: retryRandom, sessionID: hello.SessionID, suite: id, version: versionTLS13, cookie: []byte(s.cookie),
		}
		if err := s.send(h, retry.marshal()); err != nil {
			return nil, err
		}
	}
}

// prove sends all from the answers to the extensions to the proof.
func (s *script) prove(h *handshake) error {
	messages := [][]byte{(&encryptedExtensions{alpn: s.alpn}).marshal()}
	if s.ask {
		messages = append(messages, (&certificateRequest{schemes}).marshal())
	}
	for _, message := range append(messages, marshalCertificate(s.own.Chain)) {
		if err := s.send(h, message); err != nil {
			return err
		}
	}
	context := s.context
	if context == "" {
		context = serverContext
	}
	signature, err := s.own.sign(h.rand, context, h.messages.sum())
	if err != nil {
		return err
	}
	return s.send(h, (&certificateVerify{s.own.scheme(), signature}).marshal())
}

// finish exchanges the Finished messages, with the client's certificate before its own.
func (s *script) finish(h *handshake) error {
	if err := s.send(h, marshalFinished(h.messages.suite.finished(h.server, h.messages.sum()))); err != nil {
		return err
	}
	sum := h.messages.sum()
	traffic := h.keys.derive(labelClientTraffic, sum)
	h.out.protect(h.messages.suite, h.keys.derive(labelServerTraffic, sum))
	if s.after != nil {
		s.after(h)
		if err := h.flush(); err != nil {
			return err
		}
	}
	if s.ask {
		raw, err := h.readMessage(messageCertificate)
		if err != nil {
			return err
		}
		leaf, err := h.takeCertificate(raw, func([][]byte) error { return nil })
		if err != nil {
			return err
		}
		if !leaf.IsZero() {
			if err := h.takeVerify(leaf, clientContext); err != nil {
				return err
			}
		}
	}
	h.state.ClientFinished = h.messages.suite.finished(h.client, h.messages.sum())
	if err := h.takeFinished(h.client); err != nil {
		return err
	}
	return h.in.protectNext(h.messages.suite, traffic)
}
