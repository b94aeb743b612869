package smp_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"testing"

	"sotto/shared/internal/vectors"
	"sotto/shared/key"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

// keyVectors are the named keys and ids that the other vectors refer to.
type keyVectors struct {
	IDs  map[string]vectors.Hex `json:"ids"`
	Keys []struct {
		Name       string      `json:"name"`
		PublicSPKI vectors.Hex `json:"public_spki"`
		PrivateRaw vectors.Hex `json:"private_raw"`
	} `json:"keys"`
}

func loadKeys(t testing.TB) keyVectors {
	t.Helper()
	var k keyVectors
	vectors.Load(t, "smp/keys.json", &k)
	return k
}

// public returns the named key; no name is no key.
func (k keyVectors) public(t testing.TB, name string) key.Public {
	t.Helper()
	if name == "" {
		return key.Public{}
	}
	for _, v := range k.Keys {
		if v.Name == name {
			return mustKey(t, v.PublicSPKI)
		}
	}
	t.Fatalf("no key %q in the vectors", name)
	return key.Public{}
}

func mustKey(t testing.TB, der []byte) key.Public {
	t.Helper()
	k, err := key.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// encoding is a run of versions that share the same bytes.
type encoding struct {
	Hex vectors.Hex  `json:"hex"`
	Min wire.Version `json:"min_version"`
	Max wire.Version `json:"max_version"`
}

// eachVersion calls f for every version of every run.
func eachVersion(runs []encoding, f func(v wire.Version, want []byte)) {
	for _, run := range runs {
		for v := run.Min; v <= run.Max; v++ {
			f(v, run.Hex)
		}
	}
}

// decodeStrict decodes parameters of a case and ends the test if there is one that the test does not look at.
func decodeStrict(t testing.TB, name string, raw json.RawMessage, v any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		t.Fatalf("%s: parameters: %v", name, err)
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

func checkBytes(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%s:\n got %x\nwant %x", what, got, want)
	}
}

// paddedBlock returns content padded to a block that is not encrypted.
func paddedBlock(t testing.TB, content []byte) []byte {
	t.Helper()
	block := make([]byte, wire.BlockSize)
	if err := wire.Pad(block, content); err != nil {
		t.Fatal(err)
	}
	return block
}

// sequence returns n bytes that count up from first.
func sequence(first byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = first + byte(i)
	}
	return b
}

// commandPrefixes checks that no beginning of a command is taken for the whole: what is accepted is a shorter command
// that encodes to exactly these bytes.
func commandPrefixes(t *testing.T, v wire.Version, b []byte) {
	t.Helper()
	for n := range b {
		c, err := smp.ParseCommand(v, b[:n])
		if err != nil {
			if err != smp.CmdSyntax && err != smp.CmdUnknown {
				t.Errorf("v%d: first %d bytes of %q: error %v", v, n, b, err)
			}
			continue
		}
		switch c.(type) {
		case smp.SEND, smp.PFWD, smp.RFWD: // end with bytes of any number
		case smp.SUB, smp.NSUB: // SUBS, NSUBS
		default:
			t.Errorf("v%d: first %d bytes of %q were accepted as %s", v, n, b, c.Tag())
		}
		checkBytes(t, c.Tag()+" from a prefix", c.AppendCommand(nil, v), b[:n])
	}
}

// responsePrefixes is commandPrefixes for responses.
func responsePrefixes(t *testing.T, v wire.Version, b []byte) {
	t.Helper()
	for n := range b {
		p, err := smp.ParseResponse(v, b[:n])
		if err != nil {
			if err != wire.ErrSyntax {
				t.Errorf("v%d: first %d bytes of %q: error %v", v, n, b, err)
			}
			continue
		}
		switch p.(type) {
		case smp.MSG, smp.INFO, smp.PRES, smp.RRES: // end with bytes of any number
		case smp.ERR: // a reason without its notice, STORE with any text, NETWORK without its detail
		case smp.END: // ENDS
		default:
			t.Errorf("v%d: first %d bytes of %q were accepted as %s", v, n, b, p.Tag())
		}
		checkBytes(t, p.Tag()+" from a prefix", p.AppendResponse(nil, v), b[:n])
	}
}
