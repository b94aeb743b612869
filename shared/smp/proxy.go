package smp

import (
	"sotto/shared/key"
	"sotto/shared/wire"
)

// Limits of the versions in proxying.
const (
	// MaxProxiedVersion is the highest version that a proxy offers for forwarded commands, from VersionProxy on.
	//
	// Spec: smp.md 11.1
	MaxProxiedVersion wire.Version = 17
	// MaxOldRelayVersion is the highest version that a proxy agrees with a relay whose maximum is below
	// VersionProxyFlag, so that blocks between them are never encrypted.
	//
	// Spec: smp.md 4.3
	MaxOldRelayVersion wire.Version = 10
)

// Sizes in bytes of the layers of proxying.
//
// Spec: smp.md 11.3
const (
	// PaddedForwardSize is what a batch with one transmission, or one response, is padded to before encryption.
	PaddedForwardSize = 16226
	// EncryptedForwardSize is the length of PFWD's and PRES's encrypted part.
	EncryptedForwardSize = PaddedForwardSize + wire.TagSize
)

// PRXY asks a proxy for a session with another relay. Its entity id is empty.
//
// Spec: smp.md 11.1
type PRXY struct {
	Server Server // without password
	// HasBasicAuth tells an absent password from an empty one.
	HasBasicAuth bool
	BasicAuth    BasicAuth
}

// Tag returns "PRXY".
func (PRXY) Tag() string { return "PRXY" }

// Party returns ProxiedClient.
func (PRXY) Party() Party { return ProxiedClient }

// AppendCommand appends the command.
//
// Spec: smp.md 11.1
func (c PRXY) AppendCommand(dst []byte, _ wire.Version) []byte {
	dst = c.Server.AppendServer(append(dst, "PRXY "...))
	return appendMaybeBasicAuth(dst, c.HasBasicAuth, c.BasicAuth)
}

func readPRXY(r *wire.Reader) PRXY {
	c := PRXY{Server: ReadServer(r)}
	c.HasBasicAuth, c.BasicAuth = readMaybeBasicAuth(r)
	return c
}

// PFWD hands a proxy an encrypted command for the relay whose session id is the entity id.
//
// Spec: smp.md 11.3
type PFWD struct {
	Version   wire.Version // of the command inside
	Key       key.Public   // X25519, made for this command
	Encrypted Opaque       // EncryptedForwardSize bytes from a client that follows the rules; not checked here
}

// Tag returns "PFWD".
func (PFWD) Tag() string { return "PFWD" }

// Party returns ProxiedClient.
func (PFWD) Party() Party { return ProxiedClient }

// AppendCommand appends the command.
//
// Spec: smp.md 11.3
func (c PFWD) AppendCommand(dst []byte, _ wire.Version) []byte {
	return appendForward(append(dst, "PFWD "...), c.Version, c.Key, c.Encrypted)
}

func readPFWD(r *wire.Reader) PFWD {
	return PFWD{Version: r.Version(), Key: key.ReadDH(r), Encrypted: r.Tail()}
}

// RFWD is a proxy's command to a relay: an encrypted [ForwardTransmission].
//
// Spec: smp.md 11.4
type RFWD struct{ Encrypted Opaque }

// Tag returns "RFWD".
func (RFWD) Tag() string { return "RFWD" }

// Party returns ProxyService.
func (RFWD) Party() Party { return ProxyService }

// AppendCommand appends the command.
//
// Spec: smp.md 11.4
func (c RFWD) AppendCommand(dst []byte, _ wire.Version) []byte {
	return append(append(dst, "RFWD "...), c.Encrypted...)
}

func readRFWD(r *wire.Reader) RFWD { return RFWD{Encrypted: r.Tail()} }

// PKEY is the response to PRXY.
//
// Spec: smp.md 11.1
type PKEY struct {
	SessionID wire.EntityID     // of the connection between proxy and relay
	Versions  wire.VersionRange // for forwarded commands
	Chain     [][]byte          // the relay's certificates in DER, leaf first; 1 to 255
	SignedKey []byte            // the relay's session key, signed, as in its hello
}

// Tag returns "PKEY".
func (PKEY) Tag() string { return "PKEY" }

// AppendResponse appends the response.
//
// Spec: smp.md 11.1
func (p PKEY) AppendResponse(dst []byte, _ wire.Version) []byte {
	dst = wire.AppendStr(append(dst, "PKEY "...), p.SessionID)
	dst = wire.AppendVersionRange(dst, p.Versions)
	return appendChainAndKey(dst, p.Chain, p.SignedKey)
}

func readPKEY(r *wire.Reader) PKEY {
	p := PKEY{SessionID: r.Str(), Versions: r.VersionRange()}
	p.Chain, p.SignedKey = readChainAndKey(r)
	return p
}

// RRES is a relay's response to RFWD: an encrypted [ForwardResponse].
//
// Spec: smp.md 11.5
type RRES struct{ Encrypted Opaque }

// Tag returns "RRES".
func (RRES) Tag() string { return "RRES" }

// AppendResponse appends the response.
//
// Spec: smp.md 11.5
func (p RRES) AppendResponse(dst []byte, _ wire.Version) []byte {
	return append(append(dst, "RRES "...), p.Encrypted...)
}

// PRES is the response to PFWD: the encrypted part of the relay's [ForwardResponse].
//
// Spec: smp.md 11.4
type PRES struct{ Encrypted Opaque }

// Tag returns "PRES".
func (PRES) Tag() string { return "PRES" }

// AppendResponse appends the response.
//
// Spec: smp.md 11.4
func (p PRES) AppendResponse(dst []byte, _ wire.Version) []byte {
	return append(append(dst, "PRES "...), p.Encrypted...)
}

// ForwardTransmission is what RFWD encrypts: the command of a PFWD with its correlation id.
//
// Spec: smp.md 11.4
type ForwardTransmission struct {
	CorrID    wire.CorrID // of PFWD; also the nonce of the encrypted part
	Version   wire.Version
	Key       key.Public // X25519
	Encrypted Opaque
}

// AppendTo appends the structure that is then encrypted.
//
// Spec: smp.md 11.4
func (f ForwardTransmission) AppendTo(dst []byte) []byte {
	return appendForward(wire.AppendStr(dst, f.CorrID), f.Version, f.Key, f.Encrypted)
}

// ParseForwardTransmission parses the decrypted content of RFWD. The error is [wire.ErrSyntax].
//
// Spec: smp.md 11.5
func ParseForwardTransmission(b []byte) (ForwardTransmission, error) {
	r := wire.NewReader(b)
	f := ForwardTransmission{CorrID: r.Str(), Version: r.Version(), Key: key.ReadDH(&r), Encrypted: r.Tail()}
	if err := r.Done(); err != nil {
		return ForwardTransmission{}, err
	}
	return f, nil
}

// appendForward appends what PFWD and ForwardTransmission share.
func appendForward(dst []byte, v wire.Version, k key.Public, encrypted Opaque) []byte {
	return append(k.AppendWire(wire.AppendVersion(dst, v)), encrypted...)
}

// ForwardResponse is what RRES encrypts: the encrypted response with the correlation id of PFWD.
//
// Spec: smp.md 11.5
type ForwardResponse struct {
	CorrID    wire.CorrID
	Encrypted Opaque
}

// AppendTo appends the structure that is then encrypted.
//
// Spec: smp.md 11.5
func (f ForwardResponse) AppendTo(dst []byte) []byte {
	return append(wire.AppendStr(dst, f.CorrID), f.Encrypted...)
}

// ParseForwardResponse parses the decrypted content of RRES. The error is [wire.ErrSyntax].
//
// Spec: smp.md 11.4
func ParseForwardResponse(b []byte) (ForwardResponse, error) {
	r := wire.NewReader(b)
	f := ForwardResponse{CorrID: r.Str(), Encrypted: r.Tail()}
	if err := r.Done(); err != nil {
		return ForwardResponse{}, err
	}
	return f, nil
}
