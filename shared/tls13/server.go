package tls13

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"io"
	"net"

	"sotto/shared/clienthello"
)

// ServerConfig is what a server is, and what it wants to know of its clients. It is not changed, and may serve many
// connections.
type ServerConfig struct {
	// Certificate is the chain that clients are shown, with the leaf's key.
	Certificate *Certificate
	// ALPN lists the protocols that the server speaks; the client's order decides. A client that offers none gets none.
	//
	// Spec: smp.md 3.5
	ALPN []string
	// VerifyClient, if it is set, makes the server ask its clients for certificates, which they need not have. It gets the
	// chain of one that has, in DER, leaf first, of 1 to 4 certificates. That the client holds the key of the leaf is
	// checked after it. What it returns is what the handshake fails with.
	//
	// Spec: smp.md 3.7
	VerifyClient func(chain [][]byte) error
}

// check reports what no handshake can go well with.
func (cfg *ServerConfig) check() error {
	if cfg == nil || cfg.Certificate.scheme() == 0 || len(cfg.Certificate.Chain) > maxCertificates {
		return ErrConfig
	}
	return nil
}

// Server makes a handshake on raw as its server. It ends when ctx ends, and within a minute. If it fails, raw is
// closed. There is no resumption: no ticket is given, and none is taken.
//
// Source: RFC 8446 2
func Server(ctx context.Context, raw net.Conn, cfg *ServerConfig) (*Conn, error) {
	c := newConn(raw, false)
	c.in.unasked = true
	h := &serverHandshake{handshake: handshake{Conn: c, rand: rand.Reader}, cfg: cfg}
	defer h.wipe()
	if err := c.run(ctx, h.run); err != nil {
		return nil, err
	}
	return c, nil
}

// serverHandshake is a handshake from the side of its server.
type serverHandshake struct {
	handshake
	cfg     *ServerConfig
	offer   *offer
	traffic []byte // the secret of the data to be received
}

// run is the handshake.
//
// Source: RFC 8446 A.2
func (h *serverHandshake) run() error {
	if err := h.cfg.check(); err != nil {
		return err
	}
	defer func() { clear(h.traffic) }()
	for _, step := range []func() error{
		h.readHello, h.retry, h.addHello, h.addCertificates, h.addFinished, h.flush, h.readCertificate, h.readFinished,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// readHello reads the ClientHello and chooses from it.
func (h *serverHandshake) readHello() error {
	hello, err := h.readOneHello()
	if err != nil {
		return err
	}
	h.in.unasked = false
	if h.offer, err = negotiate(hello, h.cfg); err != nil {
		return err
	}
	h.state.ALPN, h.state.ServerName = h.offer.alpn, hello.Name
	h.messages = newTranscript(h.offer.suite)
	h.messages.add(hello.Message)
	return nil
}

// readOneHello reads a ClientHello. Nothing may come after it before the client has its answer: it is either the end of
// what comes without keys, or has to be followed by another one that depends on the answer.
//
// Source: RFC 8446 4.1.2
// Source: RFC 8446 5.1
func (h *serverHandshake) readOneHello() (*clienthello.Hello, error) {
	raw, err := h.readMessage(messageClientHello)
	if err != nil {
		return nil, err
	}
	if len(h.in.hand) > 0 {
		return nil, ErrUnexpected
	}
	hello, err := clienthello.Parse(raw)
	if err != nil {
		return nil, ErrMessage
	}
	return hello, nil
}

// retry asks the client for a share for X25519 if it has sent none, as apps do, and reads its second ClientHello. It is
// asked once: that hello has the share, or is refused.
//
// Source: RFC 8446 4.1.4
// Spec: smp.md 3.1
func (h *serverHandshake) retry() error {
	if h.offer.share != nil {
		return nil
	}
	h.messages.retry()
	h.addAnswer(retryRandom, nil)
	h.state.Retried = true
	if err := h.flush(); err != nil {
		return err
	}
	second, err := h.readOneHello()
	if err != nil {
		return err
	}
	if err := h.offer.again(second); err != nil {
		return err
	}
	h.messages.add(second.Message)
	return nil
}

// addAnswer adds a ServerHello, or, without a share, a HelloRetryRequest. After the first of them a client that has
// sent a session id, to look like one from before 1.3, gets a change_cipher_spec.
//
// Source: RFC 8446 4.1.3
// Source: RFC 8446 D.4
func (h *serverHandshake) addAnswer(random, share []byte) {
	answer := serverHello{
		random: random, sessionID: h.offer.hello.SessionID, suite: h.offer.suite.id, version: versionTLS13,
		group: groupX25519, share: share,
	}
	h.addMessage(answer.marshal())
	if len(answer.sessionID) > 0 && !h.state.Retried {
		h.add(recordChangeCipherSpec, []byte{1})
	}
}

// addHello adds the ServerHello, after which both directions are under the handshake's keys.
//
// Source: RFC 8446 4.1.3
func (h *serverHandshake) addHello() error {
	var secret, random [32]byte
	defer clear(secret[:])
	for _, b := range [][]byte{secret[:], random[:]} {
		if _, err := io.ReadFull(h.rand, b); err != nil {
			return err
		}
	}
	private, err := ecdh.X25519().NewPrivateKey(secret[:])
	if err != nil {
		return err
	}
	h.addAnswer(random[:], private.PublicKey().Bytes())
	if err := h.agree(private, h.offer.share); err != nil {
		return err
	}
	h.out.protect(h.messages.suite, h.server)
	return h.in.protectNext(h.messages.suite, h.client)
}

// addCertificates adds the answers to the client's extensions, the request for its certificate if one is wanted, and
// the server's own with its proof.
//
// Source: RFC 8446 4.3.1
// Source: RFC 8446 4.3.2
// Source: RFC 8446 4.4.2
func (h *serverHandshake) addCertificates() error {
	answers := encryptedExtensions{alpn: h.offer.alpn}
	h.addMessage(answers.marshal())
	if h.cfg.VerifyClient != nil {
		request := certificateRequest{schemes: schemes}
		h.addMessage(request.marshal())
	}
	return h.addCertificate(h.cfg.Certificate, serverContext)
}

// addFinished adds the Finished message and goes on to the keys of data to send. The secrets of data are made of the
// messages up to it.
//
// Source: RFC 8446 4.4.4
// Source: RFC 8446 7.1
func (h *serverHandshake) addFinished() error {
	h.addMessage(marshalFinished(h.messages.suite.finished(h.server, h.messages.sum())))
	sum := h.messages.sum()
	h.traffic = h.keys.derive(labelClientTraffic, sum)
	secret := h.keys.derive(labelServerTraffic, sum)
	defer clear(secret)
	h.out.protect(h.messages.suite, secret)
	return nil
}

// readCertificate reads the client's chain, if it was asked for one, and the proof that it holds the key of the leaf.
// It may have none; then the chain is empty and there is no proof.
//
// Source: RFC 8446 4.4.2
// Source: RFC 8446 4.4.3
func (h *serverHandshake) readCertificate() error {
	if h.cfg.VerifyClient == nil {
		return nil
	}
	raw, err := h.readMessage(messageCertificate)
	if err != nil {
		return err
	}
	leaf, err := h.takeCertificate(raw, h.cfg.VerifyClient)
	if err != nil || leaf.IsZero() {
		return err
	}
	return h.takeVerify(leaf, clientContext)
}

// readFinished reads the client's Finished message, which is the session id, and goes on to the keys of data to
// receive.
//
// Source: RFC 8446 4.4.4
// Spec: smp.md 3.4
func (h *serverHandshake) readFinished() error {
	h.state.ClientFinished = h.messages.suite.finished(h.client, h.messages.sum()) // with which the message is compared
	if err := h.takeFinished(h.client); err != nil {
		return err
	}
	return h.in.protectNext(h.messages.suite, h.traffic)
}
