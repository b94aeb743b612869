package transport

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
)

// suites are those of TLS 1.3 with the length of their hash.
var suites = []struct {
	id   uint16
	size int
}{
	{tls.TLS_CHACHA20_POLY1305_SHA256, 32},
	{tls.TLS_AES_128_GCM_SHA256, 32},
	{tls.TLS_AES_256_GCM_SHA384, 48},
}

// sealer makes the records of a client.
type sealer struct {
	t    testing.TB
	o    *recordOpener
	sent []byte
}

func newSealer(t testing.TB, suite uint16, secret []byte) *sealer {
	t.Helper()
	s, _ := suiteOf(suite)
	o, err := newRecordOpener(s, secret)
	if err != nil {
		t.Fatal(err)
	}
	return &sealer{t: t, o: o}
}

// seal appends an encrypted record.
func (s *sealer) seal(content []byte, kind byte, padding int) {
	inner := append(append(bytes.Clone(content), kind), make([]byte, padding)...)
	header := []byte{recordApplication, 3, 3, 0, 0}
	binary.BigEndian.PutUint16(header[3:], uint16(len(inner)+s.o.aead.Overhead()))
	nonce := s.o.iv
	counter := nonce[4:]
	binary.BigEndian.PutUint64(counter, binary.BigEndian.Uint64(counter)^s.o.sequence)
	s.o.sequence++
	s.sent = s.o.aead.Seal(append(s.sent, header...), nonce[:], inner, header)
}

// plain appends a record that is not encrypted.
func (s *sealer) plain(kind byte, body []byte) {
	s.sent = append(s.sent, kind, 3, 3, byte(len(body)>>8), byte(len(body)))
	s.sent = append(s.sent, body...)
}

// message is a handshake message.
func message(kind byte, body []byte) []byte {
	return append([]byte{kind, byte(len(body) >> 16), byte(len(body) >> 8), byte(len(body))}, body...)
}

// ascending returns n bytes that start with from.
func ascending(from byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = from + byte(i)
	}
	return b
}

func TestOpenFinished(t *testing.T) {
	checked := 0
	for _, suite := range suites {
		secret, finished := ascending(1, suite.size), ascending(100, suite.size)
		end := message(messageFinished, finished)
		certificate := message(11, bytes.Repeat([]byte{1, 2, 3}, 1000))
		for _, c := range []struct {
			name string
			want bool
			send func(s *sealer)
		}{
			{"alone", true, func(s *sealer) { s.seal(end, contentHandshake, 0) }},
			{"padded", true, func(s *sealer) { s.seal(end, contentHandshake, 1000) }},
			{"after plain records", true, func(s *sealer) {
				s.plain(22, make([]byte, 500))
				s.plain(20, []byte{1})
				s.plain(22, make([]byte, 16384))
				s.seal(end, contentHandshake, 0)
			}},
			{"after an empty plain record", true, func(s *sealer) {
				s.plain(22, nil)
				s.seal(end, contentHandshake, 0)
			}},
			{"after a certificate", true, func(s *sealer) {
				s.seal(certificate, contentHandshake, 0)
				s.seal(message(15, make([]byte, 68)), contentHandshake, 3)
				s.seal(end, contentHandshake, 0)
			}},
			{"in one record with a certificate", true, func(s *sealer) {
				s.seal(append(bytes.Clone(certificate), end...), contentHandshake, 0)
			}},
			{"split into bytes", true, func(s *sealer) {
				for _, b := range append(message(11, make([]byte, 99)), end...) {
					s.seal([]byte{b}, contentHandshake, 0)
				}
			}},
			{"before application data", true, func(s *sealer) {
				s.seal(end, contentHandshake, 0)
				s.plain(recordApplication, make([]byte, 100))
			}},
			{"before half a record", true, func(s *sealer) {
				s.seal(end, contentHandshake, 0)
				s.sent = append(s.sent, recordApplication, 3)
			}},
			{"nothing", false, func(*sealer) {}},
			{"certificate alone", false, func(s *sealer) { s.seal(certificate, contentHandshake, 0) }},
			{"alert", false, func(s *sealer) { s.seal([]byte{2, 40}, 21, 0) }},
			{"padding alone", false, func(s *sealer) { s.seal(nil, 0, 20) }},
			{"of another length", false, func(s *sealer) { s.seal(message(messageFinished, finished[1:]), contentHandshake, 0) }},
			{"half a message", false, func(s *sealer) { s.seal(end[:20], contentHandshake, 0) }},
			{"record lost", false, func(s *sealer) {
				s.seal(certificate, contentHandshake, 0)
				s.sent = nil
				s.seal(end, contentHandshake, 0)
			}},
			{"record shorter than a tag", false, func(s *sealer) { s.plain(recordApplication, make([]byte, 15)) }},
		} {
			t.Run(fmt.Sprintf("%s %s", tls.CipherSuiteName(suite.id), c.name), func(t *testing.T) {
				s := newSealer(t, suite.id, secret)
				c.send(s)
				for _, step := range []int{1, 3, 1000, 1 << 20} {
					kept := keep(s.sent, secret, step)
					got, err := kept.finished(suite.id)
					if c.want != (err == nil) || c.want && !bytes.Equal(got, finished) {
						t.Errorf("by %d bytes: %x %v", step, got, err)
					}
					kept.wipe()
				}
				checked++
			})
		}
	}
	t.Logf("checked %d cases", checked)
}

// keep gives a transcript what a client sent, in steps.
func keep(sent, secret []byte, step int) *transcript {
	kept := new(transcript)
	kept.secretLen = copy(kept.secret[:], secret)
	for len(sent) > 0 {
		n := min(step, len(sent))
		kept.add(sent[:n])
		sent = sent[n:]
	}
	return kept
}

// TestOpenFinishedPrefixes cuts what a client sent at every place.
func TestOpenFinishedPrefixes(t *testing.T) {
	secret := ascending(1, 32)
	s := newSealer(t, tls.TLS_CHACHA20_POLY1305_SHA256, secret)
	s.plain(22, make([]byte, 30))
	s.seal(message(11, make([]byte, 10)), contentHandshake, 2)
	s.seal(message(messageFinished, ascending(100, 32)), contentHandshake, 0)
	for n := range s.sent {
		if got, err := keep(s.sent[:n], secret, 1<<20).finished(tls.TLS_CHACHA20_POLY1305_SHA256); err == nil {
			t.Errorf("first %d bytes gave %x", n, got)
		}
	}
	t.Logf("checked %d cases", len(s.sent))
}

func TestFinishedRefuses(t *testing.T) {
	secret := ascending(1, 32)
	s := newSealer(t, tls.TLS_CHACHA20_POLY1305_SHA256, secret)
	s.seal(message(messageFinished, ascending(100, 32)), contentHandshake, 0)
	for _, c := range []struct {
		name   string
		secret []byte
		suite  uint16
	}{
		{"no secret", nil, tls.TLS_CHACHA20_POLY1305_SHA256},
		{"another secret", ascending(2, 32), tls.TLS_CHACHA20_POLY1305_SHA256},
		{"secret of another length", ascending(1, 48), tls.TLS_CHACHA20_POLY1305_SHA256},
		{"another suite", secret, tls.TLS_AES_128_GCM_SHA256},
		{"suite of TLS 1.2", secret, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256},
	} {
		if _, err := keep(s.sent, c.secret, 1<<20).finished(c.suite); err == nil {
			t.Errorf("%s: accepted", c.name)
		}
	}
}

// TestTranscriptBound checks that a client cannot make a relay keep more than the bound, and that plain records are
// not kept at all.
func TestTranscriptBound(t *testing.T) {
	kept := new(transcript)
	s := &sealer{t: t}
	for range 20 {
		s.plain(22, make([]byte, 16384))
	}
	kept.add(s.sent)
	if kept.records != nil {
		t.Errorf("kept %d bytes of plain records", len(kept.records))
	}
	s.sent = nil
	for range 20 {
		s.plain(recordApplication, make([]byte, 16384))
	}
	for _, b := range s.sent {
		kept.add([]byte{b})
		if cap(kept.records) > 2*maxKept {
			t.Fatalf("kept %d bytes", cap(kept.records))
		}
	}
	if !kept.full || kept.records != nil {
		t.Error("kept too much")
	}
	kept.secretLen = 32
	if _, err := kept.finished(tls.TLS_CHACHA20_POLY1305_SHA256); err == nil {
		t.Error("session id from a transcript with gaps")
	}
}

func TestKeyLog(t *testing.T) {
	random, hexSecret := strings.Repeat("00", 32), strings.Repeat("ab", 32)
	for _, c := range []struct {
		name, line string
		size       int
		fails      bool
	}{
		{"client handshake", "CLIENT_HANDSHAKE_TRAFFIC_SECRET " + random + " " + hexSecret + "\n", 32, false},
		{"with SHA-384", "CLIENT_HANDSHAKE_TRAFFIC_SECRET " + random + " " + strings.Repeat("ab", 48) + "\n", 48, false},
		{"server handshake", "SERVER_HANDSHAKE_TRAFFIC_SECRET " + random + " " + hexSecret + "\n", 0, false},
		{"client traffic", "CLIENT_TRAFFIC_SECRET_0 " + random + " " + hexSecret + "\n", 0, false},
		{"TLS 1.2", "CLIENT_RANDOM " + random + " " + hexSecret + "\n", 0, false},
		{"too long", "CLIENT_HANDSHAKE_TRAFFIC_SECRET " + random + " " + strings.Repeat("ab", 49) + "\n", 0, true},
		{"not hex", "CLIENT_HANDSHAKE_TRAFFIC_SECRET " + random + " zz\n", 0, true},
		{"one field", "CLIENT_HANDSHAKE_TRAFFIC_SECRET " + random + "\n", 0, true},
	} {
		b := newBinding(nil, clientReads)
		line := []byte(c.line)
		n, err := keyLog{b}.Write(line)
		if (err != nil) != c.fails || err == nil && n != len(line) {
			t.Errorf("%s: %d %v", c.name, n, err)
		}
		if b.kept.secretLen != c.size {
			t.Errorf("%s: secret of %d bytes", c.name, b.kept.secretLen)
		}
		if bytes.Count(line, []byte{0}) != len(line) {
			t.Errorf("%s: the line was not overwritten", c.name)
		}
		b.stop()
		b.stop()
		if n, err := (keyLog{b}).Write([]byte(c.line)); err != nil || n != len(c.line) || b.kept != nil {
			t.Errorf("%s: kept after the end", c.name)
		}
	}
}

func FuzzTranscript(f *testing.F) {
	for i, suite := range suites {
		secret := ascending(1, suite.size)
		s := newSealer(f, suite.id, secret)
		s.plain(22, make([]byte, 20))
		s.plain(20, []byte{1})
		s.seal(message(11, make([]byte, 50)), contentHandshake, 5)
		s.seal(message(messageFinished, ascending(100, suite.size)), contentHandshake, 0)
		f.Add(s.sent, byte(i), uint16(7))
	}
	f.Fuzz(func(t *testing.T, sent []byte, which byte, step uint16) {
		suite := suites[int(which)%len(suites)]
		kept := keep(sent, ascending(1, suite.size), int(step)+1)
		if len(kept.records) > maxKept {
			t.Fatalf("kept %d bytes", len(kept.records))
		}
		whole := keep(sent, ascending(1, suite.size), len(sent)+1)
		if !bytes.Equal(kept.records, whole.records) {
			t.Error("what is kept depends on how it was split")
		}
		got, err := kept.finished(suite.id)
		if err == nil && len(got) != suite.size {
			t.Errorf("session id of %d bytes", len(got))
		}
	})
}

// FuzzMessages feeds handshake messages that do decrypt.
func FuzzMessages(f *testing.F) {
	f.Add(append(message(11, make([]byte, 50)), message(messageFinished, ascending(100, 32))...), uint8(9), uint8(3))
	f.Fuzz(func(t *testing.T, messages []byte, split, padding uint8) {
		secret := ascending(1, 32)
		s := newSealer(t, tls.TLS_CHACHA20_POLY1305_SHA256, secret)
		for rest := messages[:min(len(messages), 4096)]; len(rest) > 0; {
			n := min(int(split)+1, len(rest))
			s.seal(rest[:n], contentHandshake, int(padding))
			rest = rest[n:]
		}
		kept := keep(s.sent, secret, 1<<20)
		if got, err := kept.finished(tls.TLS_CHACHA20_POLY1305_SHA256); err == nil && !bytes.Contains(messages, got) {
			t.Error("session id is not among the messages")
		}
	})
}
