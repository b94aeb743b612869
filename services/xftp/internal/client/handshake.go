package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"net/http"

	"sotto/shared/auth"
	"sotto/shared/identity"
	"sotto/shared/key"
	"sotto/shared/wire"
	"sotto/shared/xftp"
)

// nativeChain is how many certificates a native client takes in the handshake. Spec: xftp.md 2.2
const nativeChain = 2

// Relay is what a relay says in its hello.
type Relay struct {
	// Versions it offers.
	Versions wire.VersionRange
	// SessionID is the one it names. A native client has checked that it is that of TLS.
	SessionID []byte
	// Chain and SignedKey as received.
	Chain     [][]byte
	SignedKey []byte
	// Key is the X25519 session key inside SignedKey.
	Key key.Public
}

// Format prints a placeholder, whatever the verb.
func (Relay) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[relay]") }

// Handshake makes the requests of the handshake, as a native client or, with [Options.Web], as a browser, and returns
// the connection as a client for commands. Without ALPN there are none, and the version is 1. Besides the errors of
// [Conn.Do] there are [ErrVersion], [ErrSession], [ErrIdentity], [ErrRefused] and [ErrMalformed].
//
// Spec: xftp.md 5.3
// Spec: xftp.md 5.5
func (c *Conn) Handshake(ctx context.Context) (*Client, error) {
	if c.session.ALPN == "" {
		return &Client{conn: c, version: xftp.Version1, relay: Relay{SessionID: c.session.ID}}, nil
	}
	challenge := c.newChallenge()
	content, err := c.hello(ctx, challenge)
	if err != nil {
		return nil, err
	}
	relay, err := c.parseHello(content, challenge)
	if err != nil {
		return nil, err
	}
	both, ok := c.options.Versions.Intersect(relay.Versions)
	if !ok {
		return nil, ErrVersion
	}
	if err := c.answerHello(ctx, both.Max); err != nil {
		return nil, err
	}
	return &Client{conn: c, version: both.Max, relay: relay}, nil
}

// newChallenge returns what the relay has to sign for a browser, nil for a native client.
func (c *Conn) newChallenge() []byte {
	if c.options.Web == nil {
		return nil
	}
	challenge := make([]byte, xftp.ChallengeSize)
	_, _ = rand.Read(challenge) // never fails
	return challenge
}

// hello asks for the relay's hello and returns its content.
//
// Spec: xftp.md 5.3
func (c *Conn) hello(ctx context.Context, challenge []byte) ([]byte, error) {
	var r Request
	if challenge != nil {
		block, err := padded(xftp.ClientHello{Challenge: challenge}.AppendTo(nil))
		if err != nil {
			return nil, err
		}
		r = webRequest(block, xftp.HeaderHello)
	}
	res, err := c.Do(ctx, r)
	if err != nil {
		return nil, err
	}
	defer res.Close()
	content, err := wire.Unpad(res.Head)
	if err != nil || res.Status != http.StatusOK || len(res.Head) != xftp.BlockSize {
		return nil, ErrMalformed
	}
	if err := res.end(); err != nil {
		return nil, err
	}
	if _, refused := xftp.ParseWord(content); refused {
		return nil, ErrRefused
	}
	return content, nil
}

// answerHello sends the client's part, which the relay acknowledges with nothing.
//
// Spec: xftp.md 5.3
func (c *Conn) answerHello(ctx context.Context, v wire.Version) error {
	block, err := padded(xftp.ClientHandshake{Version: v, KeyHash: c.fingerprint[:]}.AppendTo(nil))
	if err != nil {
		return err
	}
	r := Request{Body: bytes.NewReader(block), Size: int64(len(block))}
	if c.options.Web != nil {
		r = webRequest(block, xftp.HeaderHandshake)
	}
	res, err := c.Do(ctx, r)
	if err != nil {
		return err
	}
	defer res.Close()
	if res.Status != http.StatusOK {
		return ErrMalformed
	}
	if len(res.Head) == 0 {
		return nil
	}
	if content, err := wire.Unpad(res.Head); err == nil {
		if _, refused := xftp.ParseWord(content); refused {
			return ErrRefused
		}
	}
	return ErrMalformed
}

// webRequest is a request of a browser's handshake. Spec: xftp.md 5.3
func webRequest(block []byte, marker string) Request {
	header := make(http.Header)
	header.Set(marker, "1")
	return Request{Header: header, Body: bytes.NewReader(block), Size: int64(len(block))}
}

// padded returns a block with this content.
func padded(content []byte) ([]byte, error) {
	block := make([]byte, xftp.BlockSize)
	if err := wire.Pad(block, content); err != nil {
		return nil, ErrTooLarge
	}
	return block, nil
}

// parseHello parses a hello and makes all checks but that of the version: those of a native client, or those of a
// browser if there was a challenge.
//
// Spec: xftp.md 5.3
func (c *Conn) parseHello(content, challenge []byte) (Relay, error) {
	hello, err := xftp.ParseServerHello(content)
	if err != nil {
		return Relay{}, ErrMalformed
	}
	var leaf key.Public
	if challenge == nil {
		leaf, err = c.checkNative(hello)
	} else {
		leaf, err = c.checkWeb(hello, challenge)
	}
	if err != nil {
		return Relay{}, err
	}
	session, err := auth.VerifySignedKey(leaf, hello.SignedKey)
	if err != nil || session.Algorithm() != key.X25519 {
		return Relay{}, ErrIdentity
	}
	relay := Relay{
		Versions: hello.Versions, SessionID: bytes.Clone(hello.SessionID), SignedKey: bytes.Clone(hello.SignedKey), Key: session,
	}
	for _, der := range hello.Chain {
		relay.Chain = append(relay.Chain, bytes.Clone(der))
	}
	return relay, nil
}

// checkNative compares the hello with TLS and returns the key of the TLS certificate, which has to sign the session key.
//
// Spec: xftp.md 5.3
func (c *Conn) checkNative(hello xftp.ServerHello) (key.Public, error) {
	if subtle.ConstantTimeCompare(hello.SessionID, c.session.ID) != 1 {
		return key.Public{}, ErrSession
	}
	if len(hello.Chain) != nativeChain || sha256.Sum256(hello.Chain[1]) != c.fingerprint {
		return key.Public{}, ErrIdentity
	}
	leaf, err := key.Parse(c.session.TLS().PeerCertificates[0].RawSubjectPublicKeyInfo)
	if err != nil {
		return key.Public{}, ErrIdentity
	}
	return leaf, nil
}

// checkWeb checks the proof, and returns the key of the hello's own leaf: TLS has a web certificate, and its session id
// is out of a browser's sight. Unlike browsers it also checks that the chain holds together.
//
// Spec: xftp.md 5.3
func (c *Conn) checkWeb(hello xftp.ServerHello, challenge []byte) (key.Public, error) {
	leaf, err := identity.VerifyChain(hello.Chain, c.fingerprint, c.options.Clock())
	if err != nil {
		return key.Public{}, fmt.Errorf("%w: %w", ErrIdentity, err)
	}
	if !auth.Verify(leaf, nil, nil, hello.Proof, xftp.ProofMessage(challenge, hello.SessionID)) {
		return key.Public{}, ErrIdentity
	}
	return leaf, nil
}
