package key_test

import (
	"bytes"
	"crypto/ecdh"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"sotto/shared/internal/vectors"
	"sotto/shared/key"
	"sotto/shared/wire"
)

var algorithms = map[string]key.Algorithm{
	"Ed25519": key.Ed25519, "Ed448": key.Ed448, "X25519": key.X25519, "X448": key.X448,
}

func TestVectors(t *testing.T) {
	keys := vectors.Keys(t)
	for name, v := range keys {
		p, err := key.Parse(v.SPKI)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		a := algorithms[v.Algorithm]
		if p.Algorithm() != a || a.String() != v.Algorithm || !bytes.Equal(p.Raw(), v.PublicRaw) || p.IsZero() {
			t.Errorf("%s: parsed as %v", name, p.Algorithm())
		}
		built, err := key.New(a, v.PublicRaw)
		if err != nil || built != p {
			t.Errorf("%s: New: %v, equal %t", name, err, built == p)
		}
		if got := built.AppendDER([]byte("x")); !bytes.Equal(got[1:], v.SPKI) || got[0] != 'x' {
			t.Errorf("%s: DER %x", name, got)
		}
		if got := built.AppendWire([]byte("x")); !bytes.Equal(got[1:], v.Wire) || got[0] != 'x' {
			t.Errorf("%s: wire %x", name, got)
		}
		if got := base64.URLEncoding.EncodeToString(built.AppendDER(nil)); got != v.Text {
			t.Errorf("%s: text %s", name, got)
		}
		checkPermitted(t, name, p, v)
		checkRejects(t, name, v)
	}
	t.Logf("checked %d cases", len(keys))
}

// checkPermitted checks which of the parsing functions accept a key, and the readers with them.
func checkPermitted(t *testing.T, name string, p key.Public, v vectors.Key) {
	t.Helper()
	cases := []struct {
		what  string
		parse func([]byte) (key.Public, error)
		read  func(*wire.Reader) key.Public
		ok    bool
	}{
		{"any", key.Parse, key.Read, true},
		{"auth", key.ParseAuth, key.ReadAuth, p.Algorithm() != key.X448},
		{"DH", key.ParseDH, key.ReadDH, p.Algorithm() == key.X25519},
	}
	for _, c := range cases {
		got, err := c.parse(v.SPKI)
		if c.ok && (err != nil || got != p) || !c.ok && (!errors.Is(err, key.ErrAlgorithm) || !got.IsZero()) {
			t.Errorf("%s as %s key: %v", name, c.what, err)
		}
		r := wire.NewReader(append(bytes.Clone(v.Wire), "rest"...))
		got = c.read(&r)
		if c.ok && (got != p || string(r.Tail()) != "rest") || !c.ok && (!r.Failed() || !got.IsZero()) {
			t.Errorf("%s read as %s key: failed %t", name, c.what, r.Failed())
		}
	}
	pub, err := p.ECDH()
	if p.Algorithm() != key.X25519 {
		if !errors.Is(err, key.ErrAlgorithm) {
			t.Errorf("%s: ECDH: %v", name, err)
		}
		return
	}
	if err != nil || !bytes.Equal(pub.Bytes(), v.PublicRaw) {
		t.Errorf("%s: ECDH: %v", name, err)
	}
	if back, err := key.FromECDH(pub); err != nil || back != p {
		t.Errorf("%s: FromECDH: %v", name, err)
	}
}

// checkRejects checks that a key cut short, followed by something, or with a byte of its prefix changed is none.
func checkRejects(t *testing.T, name string, v vectors.Key) {
	t.Helper()
	for n := range v.SPKI {
		if p, err := key.Parse(v.SPKI[:n]); !errors.Is(err, key.ErrSyntax) || !p.IsZero() {
			t.Errorf("%s: %d bytes parse", name, n)
		}
	}
	for n := range v.Wire {
		r := wire.NewReader(v.Wire[:n])
		if p := key.Read(&r); !r.Failed() || !p.IsZero() {
			t.Errorf("%s: %d bytes are read", name, n)
		}
	}
	if _, err := key.Parse(append(bytes.Clone(v.SPKI), 0)); !errors.Is(err, key.ErrSyntax) {
		t.Errorf("%s: parses with a byte after it", name)
	}
	for i := range len(v.SPKI) - len(v.PublicRaw) {
		der := bytes.Clone(v.SPKI)
		der[i] ^= 0x80
		if _, err := key.Parse(der); !errors.Is(err, key.ErrSyntax) {
			t.Errorf("%s: parses with byte %d changed", name, i)
		}
	}
}

func TestEquality(t *testing.T) {
	raw := bytes.Repeat([]byte{7}, 32)
	ed, _ := key.New(key.Ed25519, raw)
	x, _ := key.New(key.X25519, raw)
	again, _ := key.New(key.Ed25519, bytes.Clone(raw))
	other, _ := key.New(key.Ed25519, make([]byte, 32))
	if ed == x || ed != again || ed == other || ed == (key.Public{}) {
		t.Error("== is not equality of algorithm and key")
	}
	again.Raw()[0] = 1
	if ed != again {
		t.Error("Raw gives access to the key")
	}
}

func TestNoKey(t *testing.T) {
	var p key.Public
	if !p.IsZero() || p.Algorithm() != 0 || p.Raw() != nil || p.Algorithm().String() != "none" {
		t.Error("the zero value is a key")
	}
	if got := p.AppendDER(nil); len(got) != 0 {
		t.Errorf("DER %x", got)
	}
	if got := p.AppendWire(nil); !bytes.Equal(got, []byte{0}) {
		t.Errorf("wire %x", got)
	}
	if _, err := p.ECDH(); !errors.Is(err, key.ErrAlgorithm) {
		t.Errorf("ECDH: %v", err)
	}
	for a := range 256 {
		for n := range 60 {
			p, err := key.New(key.Algorithm(a), make([]byte, n))
			if ok := a >= 1 && a <= 4 && n == []int{32, 57, 32, 56}[a-1]; ok != (err == nil) || ok == p.IsZero() {
				t.Errorf("New(%d, %d bytes): %v", a, n, err)
			}
		}
	}
}

func TestFromECDHRejects(t *testing.T) {
	priv, err := ecdh.P256().NewPrivateKey(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := key.FromECDH(priv.PublicKey()); !errors.Is(err, key.ErrAlgorithm) {
		t.Errorf("P-256: %v", err)
	}
}

func TestKeysDoNotPrint(t *testing.T) {
	p, _ := key.New(key.Ed25519, bytes.Repeat([]byte("k"), 32))
	for _, v := range []any{p, &p, []key.Public{p}, struct{ K key.Public }{p}} {
		for _, verb := range []string{"%v", "%s", "%x", "%d", "%q", "%#v", "%+v"} {
			if out := fmt.Sprintf(verb, v); strings.Contains(out, "kk") || strings.Contains(out, "6b6b") || strings.Contains(out, "107") {
				t.Errorf("%T with %s: %s", v, verb, out)
			}
		}
		if out, err := json.Marshal(v); err != nil || !strings.Contains(string(out), "[key]") {
			t.Errorf("%T as JSON: %s, %v", v, out, err)
		}
	}
}

func TestAllocations(t *testing.T) {
	encoded := []byte(vectors.Keys(t)["rcv_ed448"].Wire)
	dst := make([]byte, 0, 128)
	n := testing.AllocsPerRun(100, func() {
		r := wire.NewReader(encoded)
		p := key.ReadAuth(&r)
		if p.IsZero() || len(p.AppendWire(dst)) != len(encoded) {
			t.Error("not a key")
		}
	})
	if n != 0 {
		t.Errorf("reading and appending a key: %v allocations", n)
	}
}

func FuzzParse(f *testing.F) {
	for _, v := range vectors.Keys(f) {
		f.Add([]byte(v.SPKI))
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		p, err := key.Parse(der)
		if (err != nil) != p.IsZero() {
			t.Fatalf("%v", err)
		}
		if err == nil && !bytes.Equal(p.AppendDER(nil), der) {
			t.Fatalf("%x is encoded as %x", der, p.AppendDER(nil))
		}
		r := wire.NewReader(der)
		if p := key.ReadAuth(&r); r.Failed() != p.IsZero() {
			t.Fatal("ReadAuth returned a key and failed, or neither")
		}
	})
}

func BenchmarkRead(b *testing.B) {
	encoded := []byte(vectors.Keys(b)["rcv_ed25519"].Wire)
	b.ReportAllocs()
	for b.Loop() {
		r := wire.NewReader(encoded)
		if p := key.ReadAuth(&r); p.IsZero() {
			b.Fatal("not a key")
		}
	}
}
