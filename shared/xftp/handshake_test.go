package xftp_test

import (
	"bytes"
	"reflect"
	"testing"

	"sotto/shared/auth"
	"sotto/shared/internal/vectors"
	"sotto/shared/key"
	"sotto/shared/wire"
	"sotto/shared/xftp"
)

type helloVector struct {
	Name                   string
	Leaf                   vectors.Hex   `json:"leafPrivatePKCS8"`
	Chain                  []vectors.Hex `json:"certChain"`
	KeyHash                vectors.Hex
	MinVersion, MaxVersion uint16
	SessionID              vectors.Hex
	Challenge              vectors.Hex `json:"webChallenge"`
	SPKI                   vectors.Hex `json:"x25519SPKI"`
	SignedKey              vectors.Hex
	ProofInput             vectors.Hex
	Proof                  vectors.Hex
	Body                   vectors.Hex
	Block                  string `json:"block_b64"`
	Expect                 struct {
		WebIdentityProof vectors.Hex
	}
}

type handshakeVectors struct {
	ClientHello []struct {
		Challenge vectors.Hex `json:"webChallenge"`
		Body      vectors.Hex
		HTTPBody  string `json:"httpBody_b64"`
	} `json:"client_hello"`
	ClientHandshake []struct {
		Version  uint16
		KeyHash  vectors.Hex
		Body     vectors.Hex
		HTTPBody string `json:"httpBody_b64"`
	} `json:"client_handshake"`
	ServerHello []helloVector `json:"server_hello"`
	Words       []struct {
		Error string
		Block string `json:"block_b64"`
	} `json:"handshake_errors"`
	HelloErrors []helloVector `json:"server_hello_errors"`
	Agreement   []struct {
		Server, Client, Compatible []uint16
		Agreed                     *uint16
	} `json:"version_agreement"`
}

func loadHandshake(t testing.TB) handshakeVectors {
	t.Helper()
	var v handshakeVectors
	vectors.Load(t, "xftp/handshake.json", &v)
	return v
}

func pad(t testing.TB, content []byte) []byte {
	t.Helper()
	block := make([]byte, xftp.BlockSize)
	if err := wire.Pad(block, content); err != nil {
		t.Fatal(err)
	}
	return block
}

func TestClientHelloVectors(t *testing.T) {
	v := loadHandshake(t)
	for _, c := range v.ClientHello {
		h := xftp.ClientHello{Challenge: c.Challenge}
		same(t, "hello", h.AppendTo(nil), c.Body)
		if body := unbase64(t, c.HTTPBody); len(body) == xftp.BlockSize {
			same(t, "padded hello", pad(t, c.Body), body)
		}
		for _, tail := range []string{"", "more"} {
			got, err := xftp.ParseClientHello(append(bytes.Clone(c.Body), tail...))
			if err != nil || !bytes.Equal(got.Challenge, c.Challenge) || (got.Challenge == nil) != (c.Challenge == nil) {
				t.Errorf("%v %v", got, err)
			}
		}
		for n := range c.Body {
			if _, err := xftp.ParseClientHello(c.Body[:n]); err == nil {
				t.Errorf("%d bytes of a hello are parsed", n)
			}
		}
	}
	for _, wrong := range []string{"2", "1\x1f0123456789012345678901234567890", "1\x00"} {
		if _, err := xftp.ParseClientHello([]byte(wrong)); err == nil {
			t.Errorf("%q is parsed", wrong)
		}
	}
	for _, c := range v.ClientHandshake {
		h := xftp.ClientHandshake{Version: wire.Version(c.Version), KeyHash: c.KeyHash}
		same(t, "handshake", h.AppendTo(nil), c.Body)
		same(t, "padded handshake", pad(t, c.Body), unbase64(t, c.HTTPBody))
		got, err := xftp.ParseClientHandshake(append(bytes.Clone(c.Body), 1))
		if err != nil || !reflect.DeepEqual(got.KeyHash, []byte(c.KeyHash)) || got.Version != h.Version {
			t.Errorf("%v %v", got, err)
		}
		for n := range c.Body {
			if _, err := xftp.ParseClientHandshake(c.Body[:n]); err == nil {
				t.Errorf("%d bytes of a handshake are parsed", n)
			}
		}
	}
	t.Logf("checked %d hellos, %d handshakes", len(v.ClientHello), len(v.ClientHandshake))
}

// privateKey returns the key of PKCS#8.
func privateKey(t testing.TB, der []byte) auth.Key {
	t.Helper()
	algorithm, size := key.Ed25519, 32
	if len(der) == 73 {
		algorithm, size = key.Ed448, 57
	}
	k, err := auth.NewKey(algorithm, der[len(der)-size:])
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestServerHelloVectors(t *testing.T) {
	v := loadHandshake(t)
	for _, c := range v.ServerHello {
		h := xftp.ServerHello{
			Versions:  wire.VersionRange{Min: wire.Version(c.MinVersion), Max: wire.Version(c.MaxVersion)},
			SessionID: wire.EntityID(c.SessionID), SignedKey: c.SignedKey, Proof: c.Proof,
		}
		for _, cert := range c.Chain {
			h.Chain = append(h.Chain, cert)
		}
		same(t, c.Name+": what is proved", xftp.ProofMessage(c.Challenge, c.SessionID), c.ProofInput)
		if len(c.Proof) > 0 {
			proof, err := privateKey(t, c.Leaf).Authorize(key.Public{}, nil, c.ProofInput)
			if err != nil {
				t.Fatal(err)
			}
			same(t, c.Name+": proof", proof, c.Proof)
		}
		content := unbase64(t, c.Block)
		content, err := wire.Unpad(content)
		if err != nil {
			t.Fatal(err)
		}
		got, err := xftp.ParseServerHello(content)
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		want := h.AppendTo(nil)
		same(t, c.Name+", parsed", got.AppendTo(nil), want)
		switch c.Name {
		case "bytes after the proof are ignored", "no proof field at all":
		default:
			same(t, c.Name, want, c.Body)
		}
		for n := range content {
			if h, err := xftp.ParseServerHello(content[:n]); err == nil && len(h.Proof) > 0 && n < len(want) {
				t.Errorf("%s: %d bytes are parsed", c.Name, n)
			}
		}
		session, err := got.VerifyProof([32]byte(c.KeyHash), c.Challenge)
		switch bare := bytes.HasPrefix(c.SignedKey[2:], []byte("\x30\x2a")); {
		case len(c.Proof) == 0 || bare: // browsers take a bare key, which relays never send
			if err == nil {
				t.Errorf("%s is accepted", c.Name)
			}
		case err != nil || session != parseKey(t, c.SPKI):
			t.Errorf("%s: %v", c.Name, err)
		}
	}
	for _, c := range v.HelloErrors {
		if _, err := xftp.ParseServerHello(c.Body); err == nil {
			t.Errorf("%s is parsed", c.Name)
		}
	}
	for _, c := range v.Agreement {
		both, ok := wire.VersionRange{Min: wire.Version(c.Server[0]), Max: wire.Version(c.Server[1])}.
			Intersect(wire.VersionRange{Min: wire.Version(c.Client[0]), Max: wire.Version(c.Client[1])})
		if ok != (c.Agreed != nil) || ok && uint16(both.Max) != *c.Agreed {
			t.Errorf("%v and %v: %v %v", c.Server, c.Client, both, ok)
		}
	}
	t.Logf("checked %d hellos, %d malformed ones, %d agreements", len(v.ServerHello), len(v.HelloErrors), len(v.Agreement))
}

func TestWordVectors(t *testing.T) {
	v := loadHandshake(t)
	for _, c := range v.Words {
		var head [xftp.BlockSize]byte
		xftp.PutWord(&head, xftp.ErrorCode(c.Error))
		same(t, c.Error, head[:], unbase64(t, c.Block))
		content, err := wire.Unpad(head[:])
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := xftp.ParseWord(content); !ok || got != xftp.ErrorCode(c.Error) {
			t.Errorf("%s: %s %v", c.Error, got, ok)
		}
	}
	for _, c := range append(v.ServerHello[:1:1], helloVector{}, helloVector{Body: []byte("session")}) {
		if got, ok := xftp.ParseWord(c.Body); ok {
			t.Errorf("%x is the word %s", c.Body, got)
		}
	}
	t.Logf("checked %d words", len(v.Words))
}

func TestIdentityVectors(t *testing.T) {
	var v struct {
		Cases []struct {
			Name      string
			CertChain []vectors.Hex
			SignedKey vectors.Hex
			Proof     vectors.Hex
			Challenge vectors.Hex `json:"webChallenge"`
			SessionID vectors.Hex
			KeyHash   vectors.Hex
			Valid     bool
		}
	}
	vectors.Load(t, "xftp/identity.json", &v)
	for _, c := range v.Cases {
		h := xftp.ServerHello{SessionID: wire.EntityID(c.SessionID), SignedKey: c.SignedKey, Proof: c.Proof}
		for _, cert := range c.CertChain {
			h.Chain = append(h.Chain, cert)
		}
		if _, err := h.VerifyProof([32]byte(c.KeyHash), c.Challenge); (err == nil) != c.Valid {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
	t.Logf("checked %d proofs", len(v.Cases))
}
