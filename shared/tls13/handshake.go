package tls13

import (
	"crypto/ecdh"
	"crypto/hmac"
	"io"

	"sotto/shared/key"
)

// handshake is what both sides of a handshake have in common.
type handshake struct {
	*Conn
	rand     io.Reader
	flight   []byte // records that are sealed and not sent
	keys     *schedule
	messages *transcript
	client   []byte // handshake traffic secrets
	server   []byte
}

// add seals records to be sent.
func (h *handshake) add(kind byte, content []byte) {
	h.flight = h.out.appendAll(h.flight, kind, content)
}

// addMessage seals a message to be sent, which is part of the transcript.
func (h *handshake) addMessage(message []byte) {
	h.messages.add(message)
	h.add(recordHandshake, message)
}

// flush sends what is sealed.
func (h *handshake) flush() error {
	_, err := h.raw.Write(h.flight)
	if h.flight = nil; err != nil {
		h.out.stop(err)
	}
	return err
}

// agree makes the handshake traffic secrets, of the private key, the peer's share and the messages up to the ServerHello,
// which has to be part of the transcript.
//
// Source: RFC 8446 7.1
func (h *handshake) agree(private *ecdh.PrivateKey, share []byte) error {
	public, err := ecdh.X25519().NewPublicKey(share)
	if err != nil {
		return ErrParameter
	}
	shared, err := private.ECDH(public)
	if err != nil {
		return ErrParameter // a share of low order
	}
	defer clear(shared)
	h.state.Suite = h.messages.suite.id
	h.keys = newSchedule(h.messages.suite)
	h.keys.advance(shared)
	sum := h.messages.sum()
	h.client, h.server = h.keys.derive(labelClientHandshake, sum), h.keys.derive(labelServerHandshake, sum)
	h.keys.advance(nil)
	return nil
}

// addCertificate adds a chain and the proof that its sender holds the key of its leaf.
func (h *handshake) addCertificate(own *Certificate, context string) error {
	h.addMessage(marshalCertificate(own.Chain))
	signature, err := own.sign(h.rand, context, h.messages.sum())
	if err != nil {
		return err
	}
	proof := certificateVerify{own.scheme(), signature}
	h.addMessage(proof.marshal())
	return nil
}

// takeCertificate takes a Certificate message with a chain, which the configuration is asked about, and returns the leaf's key.
func (h *handshake) takeCertificate(raw []byte, verifyChain func([][]byte) error) (key.Public, error) {
	chain, err := parseCertificate(raw)
	if err != nil {
		return key.Public{}, err
	}
	h.messages.add(raw)
	if len(chain) == 0 {
		return key.Public{}, nil
	}
	leaf, err := leafKey(chain)
	if err != nil {
		return key.Public{}, err
	}
	if err := verifyChain(chain); err != nil {
		return key.Public{}, &refusal{err}
	}
	h.state.PeerChain = chain
	return leaf, nil
}

// takeVerify reads the peer's proof that it holds the key of its leaf.
func (h *handshake) takeVerify(leaf key.Public, context string) error {
	raw, err := h.readMessage(messageCertificateVerify)
	if err != nil {
		return err
	}
	proof, err := parseCertificateVerify(raw)
	if err != nil {
		return err
	}
	if err := verify(leaf, proof.scheme, context, h.messages.sum(), proof.signature); err != nil {
		return err
	}
	h.messages.add(raw)
	return nil
}

// takeFinished reads the peer's Finished message and checks it with the peer's handshake traffic secret.
func (h *handshake) takeFinished(secret []byte) error {
	raw, err := h.readMessage(messageFinished)
	if err != nil {
		return err
	}
	if !hmac.Equal(body(raw), h.messages.suite.finished(secret, h.messages.sum())) {
		return ErrFinished
	}
	h.messages.add(raw)
	return nil
}

// wipe overwrites the secrets of the handshake.
func (h *handshake) wipe() {
	if h.keys != nil {
		h.keys.wipe()
	}
	clear(h.client)
	clear(h.server)
}
