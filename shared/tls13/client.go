package tls13

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"io"
	"net"
	"slices"
)

// Config is what a client knows and wants. It is not changed, and may serve many connections.
type Config struct {
	// VerifyChain checks the server's chain, in DER, leaf first, 1 to 4 certificates: its signatures, dates and
	// fingerprint, for which package identity has a function. That the server holds the key of the leaf is checked after
	// it. It has to be there. What it returns is what the handshake fails with.
	VerifyChain func(chain [][]byte) error
	// ALPN lists the protocols to offer, nil for none. A server that chooses none is taken: [State.ALPN] tells.
	ALPN []string
	// ServerName is sent as SNI, and has no other use. Apps and relays leave it empty.
	ServerName string
	// Certificate is shown to servers that ask for one, if they take its key. Nil shows none.
	Certificate *Certificate
	// Suites lists the cipher suites to offer; nil offers ChaCha20Poly1305 alone, as apps do.
	Suites []uint16
	// Rand is where random bytes come from, nil for crypto/rand.
	Rand io.Reader
}

// check reports what no handshake can go well with.
func (cfg *Config) check() error {
	if cfg == nil || cfg.VerifyChain == nil || cfg.Certificate != nil && cfg.Certificate.scheme() == 0 {
		return ErrConfig
	}
	for _, id := range cfg.Suites {
		if suiteOf(id) == nil {
			return ErrConfig
		}
	}
	for _, protocol := range cfg.ALPN {
		if protocol == "" || len(protocol) > maxProtocol {
			return ErrConfig
		}
	}
	if len(cfg.Suites) > len(suites) || len(cfg.ALPN) > maxProtocols || len(cfg.ServerName) > maxName {
		return ErrConfig
	}
	return nil
}

// Client makes a handshake on raw as its client. It ends when ctx ends, and within a minute. If it fails, raw is closed.
//
// Source: RFC 8446 2
func Client(ctx context.Context, raw net.Conn, cfg *Config) (*Conn, error) {
	c := newConn(raw, true)
	h := &clientHandshake{handshake: handshake{Conn: c, rand: rand.Reader}, cfg: cfg}
	defer h.wipe()
	if err := c.run(ctx, h.run); err != nil {
		return nil, err
	}
	return c, nil
}

// clientHandshake is a handshake from the side of its client.
type clientHandshake struct {
	handshake
	cfg     *Config
	private *ecdh.PrivateKey
	hello   clientHello
	sent    []byte              // the last ClientHello
	request *certificateRequest // nil if the server does not want a certificate
	traffic []byte              // the secret of the data to be sent
}

// run is the handshake.
func (h *clientHandshake) run() error {
	if err := h.cfg.check(); err != nil {
		return err
	}
	for _, step := range []func() error{
		h.sendHello, h.readHello, h.readExtensions, h.readCertificate, h.readFinished, h.sendCertificate, h.sendFinished,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// sendHello makes the ClientHello and sends it.
func (h *clientHandshake) sendHello() (err error) {
	if h.cfg.Rand != nil {
		h.rand = h.cfg.Rand
	}
	var secret [32]byte
	defer clear(secret[:])
	h.hello = clientHello{suites: []uint16{ChaCha20Poly1305}, name: h.cfg.ServerName, alpn: h.cfg.ALPN}
	if len(h.cfg.Suites) > 0 {
		h.hello.suites = h.cfg.Suites
	}
	for _, b := range [][]byte{secret[:], h.hello.random[:], h.hello.sessionID[:]} {
		if _, err := io.ReadFull(h.rand, b); err != nil {
			return err
		}
	}
	if h.private, err = ecdh.X25519().NewPrivateKey(secret[:]); err != nil {
		return err
	}
	h.hello.share = h.private.PublicKey().Bytes()
	return h.writeHello()
}

// writeHello sends the ClientHello as it is now.
func (h *clientHandshake) writeHello() error {
	h.sent = h.hello.marshal()
	h.add(recordHandshake, h.sent)
	return h.flush()
}

// readHello reads the ServerHello, after a HelloRetryRequest if there is one, and begins to open and seal with the
// handshake's keys.
func (h *clientHandshake) readHello() error {
	hello, raw, err := h.readOneHello()
	if err != nil {
		return err
	}
	h.messages = newTranscript(suiteOf(hello.suite))
	h.messages.add(h.sent)
	h.add(recordChangeCipherSpec, []byte{1}) // for the eyes of others. Source: RFC 8446 D.4
	if hello.retry() {
		if hello, raw, err = h.retry(hello, raw); err != nil {
			return err
		}
	}
	h.messages.add(raw)
	if hello.group == 0 {
		return ErrMissing
	}
	if hello.group != groupX25519 || len(hello.share) != shareSize {
		return ErrParameter
	}
	if err := h.agree(h.private, hello.share); err != nil {
		return err
	}
	h.out.protect(h.messages.suite, h.client)
	return h.in.protectNext(h.messages.suite, h.server)
}

// readOneHello reads a ServerHello or HelloRetryRequest and checks what they have in common.
func (h *clientHandshake) readOneHello() (*serverHello, []byte, error) {
	raw, err := h.readMessage(messageServerHello)
	if err != nil {
		return nil, nil, err
	}
	hello, err := parseServerHello(raw)
	if err != nil {
		return nil, nil, err
	}
	if !bytes.Equal(hello.sessionID, h.hello.sessionID[:]) || !slices.Contains(h.hello.suites, hello.suite) {
		return nil, nil, ErrParameter
	}
	return hello, raw, nil
}

// retry answers a HelloRetryRequest and returns the ServerHello after it. All that a server can want is its cookie: the
// share that it may have asked for was sent.
//
// Source: RFC 8446 4.1.4
func (h *clientHandshake) retry(hello *serverHello, raw []byte) (*serverHello, []byte, error) {
	if hello.group != 0 || len(hello.cookie) == 0 {
		return nil, nil, ErrParameter
	}
	if len(h.in.hand) > 0 {
		return nil, nil, ErrUnexpected // it has to wait for the answer
	}
	h.state.Retried = true
	h.messages.retry()
	h.messages.add(raw)
	h.hello.cookie = hello.cookie
	if err := h.writeHello(); err != nil {
		return nil, nil, err
	}
	h.messages.add(h.sent)
	second, raw, err := h.readOneHello()
	if err != nil {
		return nil, nil, err
	}
	if second.retry() {
		return nil, nil, ErrUnexpected
	}
	if second.suite != hello.suite {
		return nil, nil, ErrParameter
	}
	return second, raw, nil
}

// readExtensions reads the server's answers to the extensions.
func (h *clientHandshake) readExtensions() error {
	raw, err := h.readMessage(messageEncryptedExtensions)
	if err != nil {
		return err
	}
	h.messages.add(raw)
	answers, err := parseEncryptedExtensions(raw, &h.hello)
	if err != nil {
		return err
	}
	h.state.ALPN, h.state.ServerName = answers.alpn, h.cfg.ServerName
	return nil
}

// readCertificate reads the server's chain and its proof, after its request for the client's if there is one.
func (h *clientHandshake) readCertificate() error {
	raw, err := h.readAny()
	if err != nil {
		return err
	}
	if raw[0] == messageCertificateRequest {
		if h.request, err = parseCertificateRequest(raw); err != nil {
			return err
		}
		h.messages.add(raw)
		if raw, err = h.readAny(); err != nil {
			return err
		}
	}
	if raw[0] != messageCertificate {
		return ErrUnexpected
	}
	leaf, err := h.takeCertificate(raw, h.cfg.VerifyChain)
	if err != nil {
		return err
	}
	if leaf.IsZero() {
		return ErrMessage // a server has to show one. Source: RFC 8446 4.4.2.4
	}
	return h.takeVerify(leaf, serverContext)
}

// readFinished reads the server's Finished message. The secrets of data are made of the messages up to it.
func (h *clientHandshake) readFinished() error {
	if err := h.takeFinished(h.server); err != nil {
		return err
	}
	sum := h.messages.sum()
	h.traffic = h.keys.derive(labelClientTraffic, sum)
	secret := h.keys.derive(labelServerTraffic, sum)
	defer clear(secret)
	return h.in.protectNext(h.messages.suite, secret)
}

// sendCertificate adds the client's chain and its proof, or an empty chain, if the server has asked.
//
// Source: RFC 8446 4.4.2
func (h *clientHandshake) sendCertificate() error {
	own := h.cfg.Certificate
	switch {
	case h.request == nil:
		return nil
	case !slices.Contains(h.request.schemes, own.scheme()):
		h.addMessage(marshalCertificate(nil))
		return nil
	default:
		return h.addCertificate(own, clientContext)
	}
}

// sendFinished sends the client's Finished message with what was added before, and goes on to the keys of data.
func (h *clientHandshake) sendFinished() error {
	h.state.ClientFinished = h.messages.suite.finished(h.client, h.messages.sum())
	h.addMessage(marshalFinished(h.state.ClientFinished))
	if err := h.flush(); err != nil {
		return err
	}
	h.out.protect(h.messages.suite, h.traffic)
	clear(h.traffic)
	return nil
}
