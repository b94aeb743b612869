package clienthello

import (
	"bytes"
	"crypto/tls"
	"errors"
	"slices"
	"testing"
)

// message returns the message of a real client's hello.
func message(t testing.TB, config *tls.Config) []byte {
	t.Helper()
	config.InsecureSkipVerify = true
	return helloOf(t, config)[recordHeader:]
}

func TestParse(t *testing.T) {
	sent := message(t, &tls.Config{
		NextProtos: []string{"smp/1"}, CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256},
	})
	h, err := Parse(sent)
	if err != nil {
		t.Fatal(err)
	}
	if h.Version != tls.VersionTLS12 || len(h.Random) != randomSize || len(h.SessionID) != 32 ||
		!bytes.Equal(h.Compressions, []byte{0}) || !bytes.Equal(h.Message, sent) {
		t.Errorf("%+v", h)
	}
	if !slices.Equal(h.Versions, []uint16{tls.VersionTLS13, tls.VersionTLS12}) ||
		!slices.Equal(h.Groups, []uint16{uint16(tls.X25519), uint16(tls.CurveP256)}) ||
		!slices.Contains(h.Suites, tls.TLS_CHACHA20_POLY1305_SHA256) ||
		!slices.Contains(h.Signatures, uint16(tls.Ed25519)) {
		t.Errorf("%+v", h)
	}
	if len(h.Shares) != 1 || h.Shares[0].Group != uint16(tls.X25519) || len(h.Shares[0].Key) != 32 {
		t.Errorf("shares: %+v", h.Shares)
	}
	if !h.Has(ExtensionALPN) || h.Has(ExtensionName) || !h.Has(h.Last) {
		t.Error("other extensions")
	}
}

// TestParseRefuses are messages that are cut short, too long by a byte, or have an extension twice.
func TestParseRefuses(t *testing.T) {
	sent := message(t, &tls.Config{ServerName: "relay.example", NextProtos: []string{"smp/1"}})
	for n := range sent {
		if _, err := Parse(sent[:n]); !errors.Is(err, ErrMalformed) {
			t.Errorf("the first %d bytes: %v", n, err)
		}
	}
	if _, err := Parse(append(slices.Clone(sent), 0)); !errors.Is(err, ErrMalformed) {
		t.Errorf("a byte too many: %v", err)
	}
	for _, extensions := range []string{
		"\x01\x00\x00\x00\x01\x00\x00\x00",                   // an unknown one twice
		"\x00\x2b\x00\x01\x00",                               // no versions
		"\x00\x2b\x00\x02\x01\x03",                           // half a version
		"\x00\x0a\x00\x02\x00\x00",                           // no groups
		"\x00\x0d\x00\x03\x00\x02\x08",                       // cut short
		"\x00\x33\x00\x06\x00\x04\x00\x1d\x00\x00",           // an empty share
		"\x00\x33\x00\x03\x00\x00\x00",                       // something after the shares
		"\x00\x10\x00\x03\x00\x01\x00",                       // an empty protocol
		"\x00\x00\x00\x0a\x00\x08\x00\x00\x01a\x00\x00\x01b", // two names
	} {
		if _, err := Parse(bare([]byte(extensions))); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v", extensions, err)
		}
	}
	if _, err := Parse(bare([]byte("\x00\x33\x00\x02\x00\x00"))); err != nil {
		t.Errorf("a list of no shares: %v", err)
	}
}

// bare returns a hello with nothing in it but extensions.
func bare(extensions []byte) []byte {
	body := append([]byte{3, 3}, make([]byte, randomSize)...)
	body = append(body, 0, 0, 2, 0x13, 0x03, 1, 0, byte(len(extensions)>>8), byte(len(extensions)))
	body = append(body, extensions...)
	return append([]byte{messageHello, 0, byte(len(body) >> 8), byte(len(body))}, body...)
}
