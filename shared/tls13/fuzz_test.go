package tls13

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"io"
	"math/big"
	"reflect"
	"testing"
	"time"
)

// fixed returns a relay that is the same in every process, so that what is found in one is found again in another.
func fixed(t testing.TB) *Certificate {
	t.Helper()
	private := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "relay"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Unix(0, 0), NotAfter: time.Date(2999, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	return &Certificate{Chain: [][]byte{der, der}, Key: private}
}

// FuzzMessages reads any bytes as each message. What is read and made again reads the same.
func FuzzMessages(f *testing.F) {
	for _, s := range []string{traceServerHello, traceExtensions, traceCertificate, traceVerify, traceServerFinished} {
		f.Add(unhex(f, s))
	}
	f.Add((&certificateRequest{schemes}).marshal())
	f.Add((&serverHello{random: retryRandom, version: versionTLS13, cookie: []byte("c")}).marshal())
	f.Add(marshalKeyUpdate(true))
	f.Fuzz(func(t *testing.T, message []byte) {
		if len(message) < messageHeader {
			return
		}
		hello := &clientHello{name: "localhost", alpn: []string{"smp/1"}}
		remade(t, message, parseServerHello, (*serverHello).marshal)
		remade(t, message, parseCertificateRequest, (*certificateRequest).marshal)
		remade(t, message, parseCertificateVerify, (*certificateVerify).marshal)
		remade(t, message, parseCertificate, marshalCertificate)
		remade(t, message, parseKeyUpdate, marshalKeyUpdate)
		remade(t, message, func(message []byte) (*encryptedExtensions, error) {
			return parseEncryptedExtensions(message, hello)
		}, (*encryptedExtensions).marshal)
	})
}

// remade reads a message, makes it again, and reads that.
func remade[T any](t *testing.T, message []byte, parse func([]byte) (T, error), marshal func(T) []byte) {
	t.Helper()
	first, err := parse(message)
	if err != nil {
		return
	}
	second, err := parse(marshal(first))
	if err != nil || !reflect.DeepEqual(first, second) {
		t.Errorf("%+v became %+v, %v", first, second, err)
	}
}

// FuzzFlight has a client read any bytes as a server's flight. None of them can be right but the recorded one, which
// begins like the first seed.
func FuzzFlight(f *testing.F) {
	cfg, flight := recorded(f, &script{own: fixed(f), alpn: "smp/1"})
	f.Add(flight)
	f.Add(flight[:100])
	_, retry := recorded(f, &script{own: fixed(f), cookie: "c"})
	f.Add(retry)
	f.Fuzz(func(t *testing.T, sent []byte) {
		if c, _, err := against(t, sent, cfg); err == nil && !bytes.HasPrefix(masked(sent), masked(flight)) {
			t.Errorf("accepted: suite %x", c.State().Suite)
		}
	})
}

// masked returns a flight without what means nothing.
func masked(flight []byte) []byte {
	b := bytes.Clone(flight)
	for start := 0; start+recordHeader <= len(b); start += recordHeader + int(binary.BigEndian.Uint16(b[start+3:])) {
		if b[start] != recordData {
			b[start+1], b[start+2] = 3, 3
		}
	}
	return b
}

// FuzzUnderKeys has a client read any messages, in any records, from a server with the right keys: first in the place of
// those after the ServerHello, then after the handshake. Each record is its type, its length in two bytes, its content.
func FuzzUnderKeys(f *testing.F) {
	own := fixed(f)
	records := func(h *handshake, sent []byte) {
		for len(sent) >= 3 {
			n := min(int(sent[1])<<8|int(sent[2]), len(sent)-3, maxContent)
			h.add(sent[0], sent[3:3+n])
			sent = sent[3+n:]
		}
	}
	f.Add([]byte("\x16\x00\x06\x08\x00\x00\x02\x00\x00"), []byte("\x17\x00\x02hi\x15\x00\x02\x01\x00"))
	f.Add([]byte("\x16\x00\x04\x0b\x00\x00\x00"), append([]byte{recordHandshake, 0, byte(len(ticket))}, ticket...))
	f.Add([]byte(""), []byte("\x16\x00\x05\x18\x00\x00\x01\x01\x17\x00\x01x"))
	f.Fuzz(func(t *testing.T, before, after []byte) {
		s := &script{own: own, after: func(h *handshake) { records(h, after) }}
		if len(before) > 0 {
			s.between = map[byte]func(*handshake){messageEncryptedExtensions: func(h *handshake) { records(h, before) }}
		}
		cfg, flight := recorded(t, s)
		c, _, err := against(t, flight, cfg)
		if err != nil {
			return
		}
		n, err := io.Copy(io.Discard, c)
		if n > int64(len(after)) {
			t.Errorf("%d bytes of data and %v from %d bytes", n, err, len(after))
		}
		if c.in.buf != nil || c.in.hand != nil {
			t.Error("a buffer is held")
		}
	})
}

// FuzzRecords reads any bytes as records that are not under keys: what comes out was sent, in order.
func FuzzRecords(f *testing.F) {
	f.Add([]byte("\x16\x03\x01\x00\x02hi\x14\x03\x03\x00\x01\x01\x15\x03\x03\x00\x02\x02\x50"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		in := &inbound{shaking: true, budget: maxHandshake}
		raw := &canned{in: bytes.NewReader(sent)}
		rest := sent
		for {
			kind, content, err := in.record(raw)
			if err != nil {
				break
			}
			for rest[0] == recordChangeCipherSpec {
				rest = rest[recordHeader+1:]
			}
			if kind != rest[0] || !bytes.Equal(content, rest[recordHeader:recordHeader+len(content)]) {
				t.Fatalf("type %d, %x", kind, content)
			}
			rest = rest[recordHeader+len(content):]
			in.done()
		}
		if in.buf != nil || in.err == nil {
			t.Errorf("ended with %v", in.err)
		}
	})
}
