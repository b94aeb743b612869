package auth_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"sotto/shared/auth"
	"sotto/shared/box"
	"sotto/shared/key"
	"sotto/shared/wire"
)

// TestVerifyByKind gives every kind of key every kind of authorization. Only the key's own kind verifies.
//
// Spec: smp.md 6.3
func TestVerifyByKind(t *testing.T) {
	relay := seeded(t, key.X25519, 3)
	corrID, message := []byte("corr"), []byte("message")
	kinds := []auth.Key{seeded(t, key.Ed25519, 5), seeded(t, key.Ed448, 5), seeded(t, key.X25519, 5)}
	sizes := []int{auth.Ed25519Size, auth.Ed448Size, auth.AuthenticatorSize}
	for i, made := range kinds {
		a := authorize(t, made, relay.Public(), corrID, message)
		if len(a) != sizes[i] {
			t.Errorf("%v: authorization of %d bytes", made.Public().Algorithm(), len(a))
		}
		for j, asked := range kinds {
			if got := auth.Verify(asked.Public(), relay.ECDH(), corrID, a, message); got != (i == j) {
				t.Errorf("%v by a key of %v: %t", made.Public().Algorithm(), asked.Public().Algorithm(), got)
			}
		}
		x448, _ := key.New(key.X448, make([]byte, key.X448Size))
		for _, public := range []key.Public{{}, x448} {
			if auth.Verify(public, relay.ECDH(), corrID, a, message) {
				t.Errorf("%v verifies without a key", made.Public().Algorithm())
			}
		}
	}
}

// TestVerifySizes checks that authorizations of all other lengths are refused, and nothing panics.
func TestVerifySizes(t *testing.T) {
	relay, k := seeded(t, key.X25519, 3), seeded(t, key.Ed25519, 5)
	for n := range 256 {
		if auth.Verify(k.Public(), relay.ECDH(), nil, make([]byte, n), nil) {
			t.Errorf("%d zero bytes verify", n)
		}
		if auth.PlausibleSize(n) != (n == 64 || n == 80 || n == 114) {
			t.Errorf("PlausibleSize(%d)", n)
		}
	}
}

// TestVerifyWeakKeys gives queues a key that agrees with every private key on the same secret, zero, and an authenticator
// made with that secret. It also checks that raw bytes that are no point of their curve are refused without a panic.
func TestVerifyWeakKeys(t *testing.T) {
	relay := seeded(t, key.X25519, 3)
	message, corrID := []byte("message"), []byte("corr")
	digest, nonce := sha512.Sum512(message), box.NonceFrom(corrID)
	forged := box.Seal(nil, digest[:], &nonce, new([box.KeySize]byte))
	for _, first := range []byte{0, 1} {
		weak, err := key.New(key.X25519, append([]byte{first}, make([]byte, 31)...))
		if err != nil {
			t.Fatal(err)
		}
		if auth.Verify(weak, relay.ECDH(), corrID, forged, message) {
			t.Errorf("an authenticator made without a private key verifies for the point %d", first)
		}
	}
	for _, a := range []key.Algorithm{key.Ed25519, key.Ed448} {
		signature := authorize(t, seeded(t, a, 5), key.Public{}, nil, message)
		none, err := key.New(a, bytes.Repeat([]byte{0xff}, len(seeded(t, a, 5).Public().Raw())))
		if err != nil {
			t.Fatal(err)
		}
		if auth.Verify(none, nil, nil, signature, message) {
			t.Errorf("%v: verifies by bytes that are no point", a)
		}
	}
}

// TestWorkedNEW makes the signed NEW of the specification.
//
// Spec: smp.md 15.4
func TestWorkedNEW(t *testing.T) {
	session, corr := unhex(t, exampleSession), unhex(t, exampleCorr)
	k, dh := seeded(t, key.Ed25519, 5), seeded(t, key.X25519, 6)
	command := append(dh.Public().AppendWire(k.Public().AppendWire([]byte("NEW "))), "0S1M00"...)
	signed := wire.AppendSigned(nil, corr, nil, command)
	authorized := wire.AppendAuthorized(nil, session, signed)
	if len(command) != 100 || len(authorized) != 159 {
		t.Errorf("command of %d bytes, authorized %d", len(command), len(authorized))
	}
	a := authorize(t, k, key.Public{}, corr, authorized)
	if got := hex.EncodeToString(a); got != "519a820318f5c956064d99f4536bb76f7ba4657bb81d95e83fce9b7d15623ebdcd109cc9596f50c5a1414f5f4ceafd19"+
		"45145da9995092dec605387b4e94dc0a" {
		t.Errorf("signature %s", got)
	}
	transmission := wire.AppendTransmission(nil, 18, false, a, nil, session, signed)
	b := block(t, transmission)
	if sum := sha256.Sum256(b); len(transmission) != 192 || !strings.HasPrefix(hex.EncodeToString(b), "00c30100c040519a") ||
		hex.EncodeToString(sum[:]) != "afcea69ddc06d40803d59bd5b64ebbe46be3cc570f7d8d815ce2ae0151f5590f" {
		t.Errorf("block %x… with SHA-256 %x", b[:8], sum)
	}
	if !auth.Verify(k.Public(), nil, corr, a, authorized) {
		t.Error("does not verify")
	}
}

// TestWorkedAuthenticator makes the authenticated SEND of the specification.
//
// Spec: smp.md 15.8
func TestWorkedAuthenticator(t *testing.T) {
	session, corr, queue := unhex(t, exampleSession), unhex(t, exampleCorr), unhex(t, exampleQueue)
	sender, relay := seeded(t, key.X25519, 7), seeded(t, key.X25519, 3)
	if got := hex.EncodeToString(sender.Public().Raw()); got != "13be4feaeaf204c7fd3358fc9c00721881d174278128227ec674f37f7fe97b6d" {
		t.Errorf("sender's key %s", got)
	}
	authorized := wire.AppendAuthorized(nil, session, wire.AppendSigned(nil, corr, queue, []byte("SEND F hello")))
	a := authorize(t, sender, relay.Public(), corr, authorized)
	if got := hex.EncodeToString(a); len(authorized) != 95 ||
		got != "4b4a4771fe1379a1ef4f62d7456460417f602914a82e11004982e5a08cb2cdf27bf080cb8167437e8016a18adc856c3f"+
			"821006aa374ed786a304bd867788ddb2f47398fd277521ef8c66cd1f6f77d86b" {
		t.Errorf("authenticator %s", got)
	}
	if !auth.Verify(sender.Public(), relay.ECDH(), corr, a, authorized) {
		t.Error("does not verify")
	}
}

// TestDeniable checks that whoever verifies an authenticator could have made it.
//
// Spec: smp.md 2.6
func TestDeniable(t *testing.T) {
	sender, relay := seeded(t, key.X25519, 7), seeded(t, key.X25519, 3)
	a, err := auth.Authenticate(relay.ECDH(), sender.Public(), []byte("corr"), []byte("message"))
	if err != nil || !bytes.Equal(a, authorize(t, sender, relay.Public(), []byte("corr"), []byte("message"))) {
		t.Errorf("%x, %v", a, err)
	}
}

func TestAuthenticateRejects(t *testing.T) {
	zero, _ := key.New(key.X25519, make([]byte, 32))
	for name, peer := range map[string]key.Public{
		"none": {}, "Ed25519": seeded(t, key.Ed25519, 5).Public(), "zero": zero,
	} {
		if a, err := seeded(t, key.X25519, 7).Authorize(peer, nil, nil); !errors.Is(err, box.ErrAgreement) || a != nil {
			t.Errorf("%s: %x, %v", name, a, err)
		}
	}
}

func TestNewKey(t *testing.T) {
	for name, make := range map[string]func() auth.Key{
		"Ed25519": auth.NewEd25519, "Ed448": auth.NewEd448, "X25519": auth.NewX25519,
	} {
		k, other := make(), make()
		if k.Public().Algorithm().String() != name || k.Public() == other.Public() {
			t.Errorf("%s: algorithm %v, or not random", name, k.Public().Algorithm())
		}
		if (k.ECDH() != nil) != (name == "X25519") {
			t.Errorf("%s: ECDH", name)
		}
	}
	for a := range 6 {
		algorithm := key.Algorithm(a)
		known := algorithm == key.Ed25519 || algorithm == key.Ed448 || algorithm == key.X25519
		_, err := auth.NewKey(algorithm, make([]byte, 31))
		if known && !errors.Is(err, key.ErrSyntax) || !known && !errors.Is(err, key.ErrAlgorithm) {
			t.Errorf("%v of 31 bytes: %v", algorithm, err)
		}
	}
	var none auth.Key
	if a, err := none.Authorize(key.Public{}, nil, nil); a != nil || err != nil || !none.Public().IsZero() {
		t.Errorf("no key authorizes: %x, %v", a, err)
	}
}

func TestPrivateKeysDoNotPrint(t *testing.T) {
	k := newKey(t, key.Ed25519, bytes.Repeat([]byte("k"), 32))
	for _, v := range []any{k, &k, []auth.Key{k}, struct{ K auth.Key }{k}} {
		for _, verb := range []string{"%v", "%s", "%x", "%d", "%q", "%#v", "%+v"} {
			if out := fmt.Sprintf(verb, v); strings.Contains(out, "kk") || strings.Contains(out, "6b6b") || strings.Contains(out, "107") {
				t.Errorf("%T with %s: %s", v, verb, out)
			}
		}
		if out, err := json.Marshal(v); err != nil || !strings.Contains(string(out), "[private key]") {
			t.Errorf("%T as JSON: %s, %v", v, out, err)
		}
	}
}

func TestVerifyEd25519Allocations(t *testing.T) {
	k, relay := seeded(t, key.Ed25519, 5), seeded(t, key.X25519, 3)
	message := make([]byte, 200)
	a := authorize(t, k, relay.Public(), nil, message)
	n := testing.AllocsPerRun(20, func() {
		if !auth.Verify(k.Public(), relay.ECDH(), nil, a, message) {
			t.Error("does not verify")
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzVerify(f *testing.F) {
	relay := seeded(f, key.X25519, 3)
	keys := []auth.Key{seeded(f, key.Ed25519, 5), seeded(f, key.Ed448, 5), seeded(f, key.X25519, 5)}
	for i, k := range keys {
		f.Add(byte(i), k.Public().AppendDER(nil), []byte("corr"), authorize(f, k, relay.Public(), []byte("corr"), []byte("m")), []byte("m"))
	}
	f.Fuzz(func(t *testing.T, kind byte, der, corrID, authorization, message []byte) {
		public, _ := key.Parse(der)
		valid := auth.Verify(public, relay.ECDH(), corrID, authorization, message)
		if valid && (public.IsZero() || public.Algorithm() == key.X448) {
			t.Fatal("verifies without a key")
		}
		k := keys[int(kind)%len(keys)]
		a := authorize(t, k, relay.Public(), corrID, message)
		if !auth.Verify(k.Public(), relay.ECDH(), corrID, a, message) {
			t.Fatal("an authorization does not verify")
		}
		if auth.Verify(k.Public(), relay.ECDH(), corrID, a, append(message, 0)) {
			t.Fatal("verifies another message")
		}
	})
}

// BenchmarkVerify has, for each kind of authorization, the three failures that must not differ, and the success.
//
// Spec: smp.md 6.5
func BenchmarkVerify(b *testing.B) {
	relay := seeded(b, key.X25519, 3)
	message := make([]byte, 200)
	for _, a := range []key.Algorithm{key.Ed25519, key.Ed448, key.X25519} {
		k, wrong := seeded(b, a, 5), seeded(b, a, 6)
		other := seeded(b, key.Ed25519, 5)
		if a == key.Ed25519 {
			other = seeded(b, key.Ed448, 5)
		}
		authorization := authorize(b, k, relay.Public(), nil, message)
		for _, c := range []struct {
			name string
			key  key.Public
		}{{"valid", k.Public()}, {"wrong", wrong.Public()}, {"type", other.Public()}, {"none", key.Public{}}} {
			b.Run(a.String()+"/"+c.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					auth.Verify(c.key, relay.ECDH(), nil, authorization, message)
				}
			})
		}
	}
}
