package xftp

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"

	"sotto/shared/auth"
	"sotto/shared/key"
	"sotto/shared/wire"
)

// ErrIdentity reports a hello that does not prove the identity of the address.
var ErrIdentity = errors.New("xftp: the hello is not that of the identity")

// Certificates that a chain in a hello may have, and where the identity is among them.
//
// Spec: xftp.md 2.2
const (
	minChain      = 2
	maxChain      = 4
	identityIndex = 1
)

// ChallengeSize is the length of what a browser has the relay sign.
//
// Spec: xftp.md 5.2
const ChallengeSize = 32

// ClientHello is the first body of a browser. Native clients send an empty one instead.
//
// Spec: xftp.md 5.2
type ClientHello struct {
	Challenge []byte // 32 bytes; nil: none
}

// AppendTo appends the content of the block, to be padded.
//
// Spec: xftp.md 5.2
func (h ClientHello) AppendTo(dst []byte) []byte {
	dst = wire.AppendMaybe(dst, h.Challenge != nil)
	if h.Challenge != nil {
		dst = wire.AppendStr(dst, h.Challenge)
	}
	return dst
}

// ParseClientHello parses the content of the block. Bytes after it are ignored. The error is [wire.ErrSyntax].
//
// Spec: xftp.md 5.2
func ParseClientHello(b []byte) (ClientHello, error) {
	r := wire.NewReader(b)
	var h ClientHello
	if r.Maybe() {
		if h.Challenge = r.Str(); len(h.Challenge) != ChallengeSize {
			r.Fail()
		}
	}
	if err := r.Err(); err != nil {
		return ClientHello{}, err
	}
	return h, nil
}

// ServerHello is the relay's first body.
//
// Spec: xftp.md 5.2
type ServerHello struct {
	Versions  wire.VersionRange
	SessionID wire.EntityID
	Chain     [][]byte // certificates of the identity in DER, leaf first, 1 to 255
	SignedKey []byte   // the relay's X25519 session key, signed with the key of the leaf
	Proof     []byte   // signature of [ProofMessage] with the key of the leaf; empty: none was asked for
}

// AppendTo appends the content of the block, to be padded.
//
// Spec: xftp.md 5.2
func (h ServerHello) AppendTo(dst []byte) []byte {
	dst = wire.AppendStr(wire.AppendVersionRange(dst, h.Versions), h.SessionID)
	dst = wire.AppendCount(dst, len(h.Chain))
	for _, cert := range h.Chain {
		dst = wire.AppendLarge(dst, cert)
	}
	return wire.AppendStr(wire.AppendLarge(dst, h.SignedKey), h.Proof)
}

// ParseServerHello parses the content of the block. Bytes after it are ignored, and a proof that is missing is none. The
// error is [wire.ErrSyntax].
//
// Spec: xftp.md 5.2
func ParseServerHello(b []byte) (ServerHello, error) {
	r := wire.NewReader(b)
	h := ServerHello{Versions: r.VersionRange(), SessionID: r.Str()}
	for range r.NonEmptyCount() {
		h.Chain = append(h.Chain, r.Large())
		if r.Failed() {
			return ServerHello{}, wire.ErrSyntax
		}
	}
	h.SignedKey = r.Large()
	if r.Len() > 0 {
		h.Proof = r.Str()
	}
	if err := r.Err(); err != nil {
		return ServerHello{}, err
	}
	return h, nil
}

// ProofMessage is what the relay signs to prove its identity to a browser, which cannot see the session id of its TLS.
//
// Spec: xftp.md 5.3
func ProofMessage(challenge, sessionID []byte) []byte {
	return append(append(make([]byte, 0, len(challenge)+len(sessionID)), challenge...), sessionID...)
}

// VerifyProof checks a hello as a browser does, which has nothing but the hello to go by: the chain's identity is that of
// the fingerprint, and the key of its leaf, Ed25519 or Ed448, has signed challenge and session id, and the session key,
// which VerifyProof returns. That the leaf was issued by the identity is for others to check. The error is [ErrIdentity].
//
// Spec: xftp.md 5.3
func (h ServerHello) VerifyProof(fingerprint [32]byte, challenge []byte) (session key.Public, err error) {
	if len(h.Chain) < minChain || len(h.Chain) > maxChain || sha256.Sum256(h.Chain[identityIndex]) != fingerprint {
		return key.Public{}, ErrIdentity
	}
	cert, err := x509.ParseCertificate(h.Chain[0])
	if err != nil {
		return key.Public{}, ErrIdentity
	}
	leaf, err := key.Parse(cert.RawSubjectPublicKeyInfo)
	if err != nil || (len(h.Proof) != auth.Ed25519Size && len(h.Proof) != auth.Ed448Size) ||
		!auth.Verify(leaf, nil, nil, h.Proof, ProofMessage(challenge, h.SessionID)) {
		return key.Public{}, ErrIdentity
	}
	session, err = auth.VerifySignedKey(leaf, h.SignedKey)
	if err != nil || session.Algorithm() != key.X25519 {
		return key.Public{}, ErrIdentity
	}
	return session, nil
}

// ClientHandshake is the second body of every client with a handshake.
//
// Spec: xftp.md 5.2
type ClientHandshake struct {
	Version wire.Version
	KeyHash []byte // fingerprint of the relay's identity
}

// AppendTo appends the content of the block, to be padded.
//
// Spec: xftp.md 5.2
func (h ClientHandshake) AppendTo(dst []byte) []byte {
	return wire.AppendStr(wire.AppendVersion(dst, h.Version), h.KeyHash)
}

// ParseClientHandshake parses the content of the block. Bytes after it are ignored. The error is [wire.ErrSyntax].
//
// Spec: xftp.md 5.2
func ParseClientHandshake(b []byte) (ClientHandshake, error) {
	r := wire.NewReader(b)
	h := ClientHandshake{Version: r.Version(), KeyHash: r.Str()}
	if err := r.Err(); err != nil {
		return ClientHandshake{}, err
	}
	return h, nil
}

// PutWord fills a head with the bare error that a relay answers in place of a block of the handshake: [ErrHandshake] or
// [ErrSession].
//
// Spec: xftp.md 5.2
func PutWord(head *[BlockSize]byte, e ErrorCode) {
	if wire.Pad(head[:], []byte(e)) != nil {
		panic("xftp: an error code is longer than a block")
	}
}

// maxWord is the length of the longest content that can be an error in place of a hello.
const maxWord = 19

// ParseWord returns the bare error that a block of the handshake holds in place of its content, if it does. It is told by
// its form, which is that of a word.
//
// Spec: xftp.md 5.3
func ParseWord(content []byte) (e ErrorCode, ok bool) {
	if len(content) == 0 || len(content) > maxWord {
		return "", false
	}
	for _, c := range content {
		if (c < 'A' || c > 'Z') && c != '_' {
			return "", false
		}
	}
	return ErrorCode(content), true
}
