package tls13

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"sotto/shared/key"
)

// TestAlteredFlight changes each byte of what a server sends in a handshake: those that are not under keys in each bit and in
// all, the others in one. The versions of records that are not under keys mean nothing; all else has to be as it was sent.
func TestAlteredFlight(t *testing.T) {
	for _, a := range []key.Algorithm{key.Ed25519, key.Ed448} {
		cfg, flight := recorded(t, &script{own: relay(t, a), alpn: "smp/1", ask: true})
		if _, _, err := against(t, flight, cfg); err != nil {
			t.Fatalf("as it was sent: %v", err)
		}
		sealed := bytes.Index(flight, []byte{recordData, 3, 3})
		checked := 0
		for i := range flight {
			if meansNothing(flight, i) {
				continue
			}
			changes := []byte{1 << (i % 8)}
			if i < sealed && a == key.Ed25519 { // which are the same for both
				changes = []byte{1, 2, 4, 8, 16, 32, 64, 128, 255}
			}
			for _, bits := range changes {
				altered := bytes.Clone(flight)
				altered[i] ^= bits
				if c, _, err := against(t, altered, cfg); c != nil || err == nil {
					t.Errorf("byte %d changed by %x: accepted", i, bits)
				}
				checked++
			}
		}
		t.Logf("%v: checked %d changes", a, checked)
	}
}

// meansNothing reports whether the byte of a flight is part of the version of a record that is not under keys.
func meansNothing(flight []byte, at int) bool {
	for start := 0; start <= at; {
		length := int(flight[start+3])<<8 | int(flight[start+4])
		if flight[start] != recordData && (at == start+1 || at == start+2) {
			return true
		}
		start += recordHeader + length
	}
	return false
}

// TestTruncatedFlight ends the connection after each byte of what a server sends in a handshake.
func TestTruncatedFlight(t *testing.T) {
	cfg, flight := recorded(t, &script{own: relay(t, key.Ed448)})
	for i := range flight {
		if c, _, err := against(t, flight[:i], cfg); c != nil || err != io.ErrUnexpectedEOF {
			t.Errorf("%d bytes: %v", i, err)
		}
	}
}

// TestSlowly has a flight come byte by byte.
func TestSlowly(t *testing.T) {
	own := relay(t, key.Ed25519)
	cfg, flight := recorded(t, &script{own: own, after: func(h *handshake) { h.add(recordData, []byte("hello")) }})
	c, err := Client(t.Context(), &canned{in: &slowly{flight}}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 10)
	if n, err := c.Read(got); err != nil || string(got[:n]) != "hello" {
		t.Errorf("%q, %v", got[:n], err)
	}
}

// slowly gives a byte at a time.
type slowly struct{ rest []byte }

func (s *slowly) Read(p []byte) (int, error) {
	if len(s.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:1], s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// TestOtherFlight gives a client what a server has sent to another, which is all the same but for the name.
func TestOtherFlight(t *testing.T) {
	cfg, flight := recorded(t, &script{own: relay(t, key.Ed25519)})
	other := *cfg
	other.ServerName = "example.org"
	if c, _, err := against(t, flight, &other); c != nil || !errors.Is(err, ErrDecrypt) {
		t.Errorf("%v", err)
	}
}
