package tls13

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"golang.org/x/crypto/cryptobyte"

	"sotto/shared/clienthello"
	"sotto/shared/identity/identitytest"
	"sotto/shared/key"
)

// offered is a ClientHello to be made.
type offered struct {
	version      uint16
	random       byte
	sessionID    []byte
	suites       []uint16
	compressions []byte
	extensions   []clienthello.Extension
}

// likeApp returns what an app sends that has a share for X25519.
//
// Spec: smp.md 3.1
func likeApp() *offered {
	return &offered{
		version: legacyVersion, random: 7, sessionID: make([]byte, 32), suites: []uint16{ChaCha20Poly1305}, compressions: []byte{0},
		extensions: []clienthello.Extension{
			{Type: extensionVersions, Body: []byte("\x04\x03\x04\x03\x03")},
			{Type: extensionSignatures, Body: []byte("\x00\x04\x08\x08\x08\x07")},
			{Type: extensionGroups, Body: []byte("\x00\x04\x00\x1e\x00\x1d")},
			{Type: extensionALPN, Body: []byte("\x00\x06\x05smp/1")},
			{Type: extensionShares, Body: shares(groupX25519, 32)},
		},
	}
}

// shares makes the list of one share; a length of 0 makes an empty list.
func shares(group uint16, length int) []byte {
	var b cryptobyte.Builder
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		if length > 0 {
			addShare(b, group, bytes.Repeat([]byte{9}, length))
		}
	})
	return b.BytesOrPanic()
}

// with sets an extension, or adds it at the end.
func (o *offered) with(kind uint16, body string) *offered {
	for i := range o.extensions {
		if o.extensions[i].Type == kind {
			o.extensions[i].Body = []byte(body)
			return o
		}
	}
	o.extensions = append(o.extensions, clienthello.Extension{Type: kind, Body: []byte(body)})
	return o
}

// without removes an extension.
func (o *offered) without(kind uint16) *offered {
	o.extensions = slices.DeleteFunc(o.extensions, func(e clienthello.Extension) bool { return e.Type == kind })
	return o
}

// set changes something else.
func (o *offered) set(change func(*offered)) *offered {
	change(o)
	return o
}

func (o *offered) marshal() []byte {
	return marshal(messageClientHello, func(b *cryptobyte.Builder) {
		b.AddUint16(o.version)
		b.AddBytes(bytes.Repeat([]byte{o.random}, randomSize))
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(o.sessionID) })
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
			for _, id := range o.suites {
				b.AddUint16(id)
			}
		})
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(o.compressions) })
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
			for _, e := range o.extensions {
				b.AddUint16(e.Type)
				b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(e.Body) })
			}
		})
	})
}

func (o *offered) parse(t testing.TB) *clienthello.Hello {
	t.Helper()
	h, err := clienthello.Parse(o.marshal())
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// testServer returns a server for smp/1 and http/1.1 that has a chain of this algorithm.
func testServer(t testing.TB, a key.Algorithm) *ServerConfig {
	t.Helper()
	chain, leaf := identitytest.Service(t, a, 2, nil)
	return &ServerConfig{Certificate: &Certificate{Chain: chain, Key: leaf}, ALPN: []string{"smp/1", "http/1.1"}}
}

func TestNegotiate(t *testing.T) {
	cfg := testServer(t, key.Ed25519)
	for _, tc := range []struct {
		name  string
		hello *offered
		suite uint16
		alpn  string
		share bool
	}{
		{"app", likeApp(), ChaCha20Poly1305, "smp/1", true},
		{"app, at first", likeApp().with(extensionShares, string(shares(0x1e, 56))), ChaCha20Poly1305, "smp/1", false},
		{"no shares", likeApp().with(extensionShares, string(shares(0, 0))), ChaCha20Poly1305, "smp/1", false},
		{"no ALPN", likeApp().without(extensionALPN), ChaCha20Poly1305, "", true},
		{"the client's order", likeApp().with(extensionALPN, "\x00\x11\x01x\x08http/1.1\x05smp/1"), ChaCha20Poly1305, "http/1.1", true},
		{
			"our order of suites", likeApp().set(func(o *offered) { o.suites = []uint16{0x0a0a, AES256GCM, AES128GCM, ChaCha20Poly1305} }),
			ChaCha20Poly1305, "smp/1", true,
		},
		{"AES-256 alone", likeApp().set(func(o *offered) { o.suites = []uint16{AES256GCM} }), AES256GCM, "smp/1", true},
		{"legacy version", likeApp().set(func(o *offered) { o.version = 0x0301 }), ChaCha20Poly1305, "smp/1", true},
		{"no session id", likeApp().set(func(o *offered) { o.sessionID = nil }), ChaCha20Poly1305, "smp/1", true},
		{"unknown extensions", likeApp().with(0x1a1a, "").with(0x2a2a, "x"), ChaCha20Poly1305, "smp/1", true},
		{"pre-shared key", likeApp().with(extensionKeyModes, "\x01\x01").with(extensionPreSharedKey, "?"), ChaCha20Poly1305, "smp/1", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := tc.hello.parse(t)
			o, err := negotiate(h, cfg)
			if err != nil {
				t.Fatal(err)
			}
			if o.suite.id != tc.suite || o.alpn != tc.alpn || (o.share != nil) != tc.share || !Supports(h) {
				t.Errorf("suite %x, protocol %q, share %v", o.suite.id, o.alpn, o.share != nil)
			}
		})
	}
}

func TestNegotiateRefuses(t *testing.T) {
	cfg := testServer(t, key.Ed25519)
	twice := append([]byte{0, 72}, append(shares(groupX25519, 32)[2:], shares(groupX25519, 32)[2:]...)...)
	for _, tc := range []struct {
		name  string
		hello *offered
		want  error
	}{
		{"TLS 1.2 alone", likeApp().with(extensionVersions, "\x02\x03\x03"), ErrVersion},
		{"no versions", likeApp().without(extensionVersions), ErrVersion},
		{"session id too long", likeApp().set(func(o *offered) { o.sessionID = make([]byte, 33) }), ErrMessage},
		{"compression", likeApp().set(func(o *offered) { o.compressions = []byte{1, 0} }), ErrParameter},
		{"no compression method", likeApp().set(func(o *offered) { o.compressions = nil }), ErrParameter},
		{"no signatures", likeApp().without(extensionSignatures), ErrMissing},
		{"no groups", likeApp().without(extensionGroups), ErrMissing},
		{"no list of shares", likeApp().without(extensionShares), ErrMissing},
		{"a cookie", likeApp().with(extensionCookie, "\x00\x01x"), ErrParameter},
		{"early data", likeApp().with(extensionEarlyData, ""), ErrExtension},
		{"pre-shared key not at the end", likeApp().with(extensionPreSharedKey, "?").with(extensionKeyModes, "\x01\x01"), ErrParameter},
		{"pre-shared key without modes", likeApp().with(extensionPreSharedKey, "?"), ErrMissing},
		{"suites of TLS 1.2", likeApp().set(func(o *offered) { o.suites = []uint16{0xcca9} }), ErrCommon},
		{"X448 alone", likeApp().with(extensionGroups, "\x00\x02\x00\x1e").with(extensionShares, string(shares(0x1e, 56))), ErrCommon},
		{"Ed448 alone", likeApp().with(extensionSignatures, "\x00\x02\x08\x08"), ErrCommon},
		{"another protocol", likeApp().with(extensionALPN, "\x00\x07\x06xftp/1"), ErrALPN},
		{"a share that is too long", likeApp().with(extensionShares, string(shares(groupX25519, 33))), ErrParameter},
		{"a share for another group", likeApp().with(extensionShares, string(shares(0x17, 65))), ErrParameter},
		{"two shares for a group", likeApp().with(extensionShares, string(twice)), ErrParameter},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := negotiate(tc.hello.parse(t), cfg); !errors.Is(err, tc.want) {
				t.Errorf("%v, want %v", err, tc.want)
			}
		})
	}
}

func TestSecondHello(t *testing.T) {
	cfg := testServer(t, key.Ed25519)
	first := func() *offered {
		return likeApp().with(extensionShares, string(shares(0x1e, 56))).with(extensionPadding, "\x00\x00")
	}
	second := func() *offered { return likeApp().with(extensionPadding, "\x00") }
	for _, tc := range []struct {
		name  string
		hello *offered
		want  error
	}{
		{"as it should be", second(), nil},
		{"without padding", second().without(extensionPadding), nil},
		{"another order of extensions", second().set(func(o *offered) { slices.Reverse(o.extensions) }), nil},
		{"another version", second().set(func(o *offered) { o.version++ }), ErrParameter},
		{"another random", second().set(func(o *offered) { o.random++ }), ErrParameter},
		{"another session id", second().set(func(o *offered) { o.sessionID = nil }), ErrParameter},
		{"another suite", second().set(func(o *offered) { o.suites = []uint16{AES128GCM} }), ErrParameter},
		{"one more suite", second().set(func(o *offered) { o.suites = append(o.suites, AES128GCM) }), ErrParameter},
		{"other compressions", second().set(func(o *offered) { o.compressions = []byte{0, 0} }), ErrParameter},
		{"another protocol", second().with(extensionALPN, "\x00\x09\x08http/1.1"), ErrParameter},
		{"no protocol", second().without(extensionALPN), ErrParameter},
		{"other groups", second().with(extensionGroups, "\x00\x02\x00\x1d"), ErrParameter},
		{"other signatures", second().with(extensionSignatures, "\x00\x02\x08\x07"), ErrParameter},
		{"other versions", second().with(extensionVersions, "\x02\x03\x04"), ErrParameter},
		{"a name", second().with(extensionName, "\x00\x04\x00\x00\x01a"), ErrParameter},
		{"an unknown extension", second().with(0x1a1a, ""), ErrParameter},
		{"the same share", first(), ErrParameter},
		{"no share", second().with(extensionShares, string(shares(0, 0))), ErrParameter},
		{"no list of shares", second().without(extensionShares), ErrParameter},
		{
			"two shares", second().with(extensionShares, "\x00\x60\x00\x1e\x00\x38"+string(make([]byte, 56))+string(shares(groupX25519, 32)[2:])),
			ErrParameter,
		},
		{"a share that is too short", second().with(extensionShares, string(shares(groupX25519, 31))), ErrParameter},
		{"a cookie", second().with(extensionCookie, "\x00\x01x"), ErrParameter},
		{"early data", second().with(extensionEarlyData, ""), ErrExtension},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o, err := negotiate(first().parse(t), cfg)
			if err != nil || o.share != nil {
				t.Fatal(err)
			}
			if err := o.again(tc.hello.parse(t)); !errors.Is(err, tc.want) {
				t.Errorf("%v, want %v", err, tc.want)
			}
			if tc.want == nil && len(o.share) != shareSize {
				t.Error("no share")
			}
		})
	}
}
