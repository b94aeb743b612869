package tls13

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"sotto/shared/key"
)

// TestHandshake makes handshakes of every kind and compares what the two ends have agreed.
func TestHandshake(t *testing.T) {
	checked := 0
	for _, a := range []key.Algorithm{key.Ed25519, key.Ed448} {
		own := relay(t, a)
		for _, s := range suites {
			for _, cookie := range []string{"", "biscuit"} {
				for _, ask := range []bool{false, true} {
					t.Run(fmt.Sprintf("%v %x %s %t", a, s.id, cookie, ask), func(t *testing.T) {
						checkHandshake(t, &script{own: own, suite: s.id, cookie: cookie, ask: ask, alpn: "smp/1"})
						checked++
					})
				}
			}
		}
	}
	t.Logf("checked %d cases", checked)
}

func checkHandshake(t *testing.T, s *script) {
	t.Helper()
	cfg := &Config{VerifyChain: trusts(s.own), Suites: s.offered(), ALPN: []string{"other", "smp/1"}}
	if s.ask {
		cfg.Certificate = relay(t, key.Ed448)
	}
	client, server := both(t, s, cfg)
	got, want := client.State(), server.State()
	if !bytes.Equal(got.ClientFinished, want.ClientFinished) || len(got.ClientFinished) != suiteOf(s.suite).hash.Size() {
		t.Errorf("session ids %x and %x", got.ClientFinished, want.ClientFinished)
	}
	if got.Suite != s.suite || got.ALPN != "smp/1" || got.Retried != (s.cookie != "") || len(got.PeerChain) != 2 {
		t.Errorf("suite %x, ALPN %q, retried %t, chain of %d", got.Suite, got.ALPN, got.Retried, len(got.PeerChain))
	}
	if s.ask && (len(want.PeerChain) != 2 || !bytes.Equal(want.PeerChain[0], cfg.Certificate.Chain[0])) {
		t.Errorf("the server has seen a chain of %d", len(want.PeerChain))
	}
	data := bytes.Repeat([]byte("block"), 16384)
	transfer(t, client, server, data)
	transfer(t, server, client, data)
	if err := client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Write(data); !errors.Is(err, ErrWriteClosed) {
		t.Errorf("written after the end: %v", err)
	}
	if _, err := server.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the end was read as %v", err)
	}
	transfer(t, server, client, data)
	server.Close()
	if _, err := client.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the end was read as %v", err)
	}
}

// TestNoCertificate has a server ask a client for a certificate that it has not, and for one of another algorithm.
func TestNoCertificate(t *testing.T) {
	own := relay(t, key.Ed25519)
	onlyEd25519 := func(message []byte) []byte {
		if message[0] == messageCertificateRequest {
			return (&certificateRequest{[]Scheme{0x0403, Ed25519}}).marshal()
		}
		return message
	}
	for name, certificate := range map[string]*Certificate{"none": nil, "Ed448": relay(t, key.Ed448)} {
		t.Run(name, func(t *testing.T) {
			cfg := &Config{VerifyChain: trusts(own), Certificate: certificate}
			client, server := both(t, &script{own: own, ask: true, edit: onlyEd25519}, cfg)
			if chain := server.State().PeerChain; chain != nil {
				t.Errorf("the server has seen a chain of %d", len(chain))
			}
			transfer(t, client, server, []byte("hello"))
		})
	}
}

// TestConfig has configurations refused before anything is sent.
func TestConfig(t *testing.T) {
	fine := func([][]byte) error { return nil }
	for name, cfg := range map[string]*Config{
		"nil":           nil,
		"no check":      {},
		"unknown suite": {VerifyChain: fine, Suites: []uint16{ChaCha20Poly1305, 0x1304}},
		"no key":        {VerifyChain: fine, Certificate: &Certificate{Chain: [][]byte{{1}}}},
		"no chain":      {VerifyChain: fine, Certificate: &Certificate{Key: relay(t, key.Ed25519).Key}},
		"empty ALPN":    {VerifyChain: fine, ALPN: []string{"smp/1", ""}},
		"long ALPN":     {VerifyChain: fine, ALPN: []string{strings.Repeat("x", 256)}},
		"much ALPN":     {VerifyChain: fine, ALPN: strings.Split("abcdefghijklmnopq", "")},
		"long name":     {VerifyChain: fine, ServerName: strings.Repeat("x", 256)},
		"suites twice":  {VerifyChain: fine, Suites: []uint16{AES128GCM, AES128GCM, AES128GCM, AES128GCM}},
	} {
		t.Run(name, func(t *testing.T) {
			raw := &canned{in: bytes.NewReader(nil)}
			if c, err := Client(t.Context(), raw, cfg); c != nil || !errors.Is(err, ErrConfig) {
				t.Errorf("%v", err)
			}
			if bytes.Contains(raw.out.Bytes(), []byte{recordHandshake}) {
				t.Errorf("sent %x", raw.out.Bytes())
			}
		})
	}
}

// TestInterrupted ends a handshake with a server that says nothing.
func TestInterrupted(t *testing.T) {
	client, server := net.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		server.Read(make([]byte, recordHeader))
		cancel()
	}()
	if _, err := Client(ctx, client, &Config{VerifyChain: func([][]byte) error { return nil }}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := client.Write([]byte{1}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("the connection was not closed: %v", err)
	}
}
