package auth_test

import (
	"bytes"
	"testing"

	"sotto/shared/auth"
	"sotto/shared/internal/vectors"
	"sotto/shared/key"
	"sotto/shared/wire"
)

type authorizedTransmission struct {
	Name          string
	Version       wire.Version
	Key           string
	PeerKey       string `json:"peer_key_for_authenticator"`
	Authorized    vectors.Hex
	Command       vectors.Hex
	CorrID        vectors.Hex `json:"corr_id"`
	EntityID      vectors.Hex `json:"entity_id"`
	SessionID     vectors.Hex `json:"session_id"`
	Transmission  vectors.Hex
	ServiceHash   vectors.Hex `json:"service_certificate_hash"`
	ServiceKey    string      `json:"service_key"`
	ServiceSigned vectors.Hex `json:"service_signed"`
}

// TestTransmissionVectors verifies every authorized transmission, and makes it again.
func TestTransmissionVectors(t *testing.T) {
	var v struct{ Client []authorizedTransmission }
	vectors.Load(t, "smp/transmissions.json", &v)
	keys := vectors.Keys(t)
	checked, services := 0, 0
	for _, c := range v.Client {
		if c.Key == "" {
			continue
		}
		checked++
		tr, err := wire.ParseTransmission(c.Version, false, c.Transmission)
		if err != nil {
			t.Fatal(err)
		}
		message := wire.AppendAuthorized(bytes.Clone(c.ServiceHash), c.SessionID, tr.Signed)
		k, relay := named(t, keys, c.Key), named(t, keys, c.PeerKey)
		if !auth.Verify(k.Public(), relay.ECDH(), tr.CorrID, tr.Authorization, message) {
			t.Errorf("%s %d: does not verify", c.Name, c.Version)
		}
		if !auth.PlausibleSize(len(tr.Authorization)) {
			t.Errorf("%s %d: authorization of %d bytes", c.Name, c.Version, len(tr.Authorization))
		}
		a := authorize(t, k, relay.Public(), c.CorrID, c.Authorized)
		if !bytes.Equal(a, tr.Authorization) {
			t.Errorf("%s %d: authorization %x, want %x", c.Name, c.Version, a, tr.Authorization)
		}
		var service []byte
		if c.ServiceKey != "" {
			services++
			serviceKey := named(t, keys, c.ServiceKey)
			if !auth.Verify(serviceKey.Public(), nil, tr.CorrID, tr.ServiceSignature, c.ServiceSigned) {
				t.Errorf("%s %d: service signature does not verify", c.Name, c.Version)
			}
			service = authorize(t, serviceKey, key.Public{}, c.CorrID, c.ServiceSigned)
		}
		signed := wire.AppendSigned(nil, c.CorrID, c.EntityID, c.Command)
		if got := wire.AppendTransmission(nil, c.Version, false, a, service, c.SessionID, signed); !bytes.Equal(got, c.Transmission) {
			t.Errorf("%s %d: transmission %x", c.Name, c.Version, got)
		}
		checkWrong(t, c.Name, k, relay, tr, message)
	}
	if services == 0 {
		t.Error("no transmission of a service")
	}
	t.Logf("checked %d authorized of %d cases, %d of services", checked, len(v.Client), services)
}

// checkWrong changes everything that an authorization depends on, one thing at a time.
func checkWrong(t *testing.T, name string, k, relay auth.Key, tr wire.Transmission, message []byte) {
	t.Helper()
	a, authenticator := tr.Authorization, len(tr.Authorization) == auth.AuthenticatorSize
	flip := func(b []byte, i int) []byte {
		b = bytes.Clone(b)
		b[i] ^= 1
		return b
	}
	other := seeded(t, k.Public().Algorithm(), 0x77)
	otherRelay := seeded(t, key.X25519, 0x78)
	cases := []struct {
		what string
		ok   bool
	}{
		{"another key", auth.Verify(other.Public(), relay.ECDH(), tr.CorrID, a, message)},
		{"another message", auth.Verify(k.Public(), relay.ECDH(), tr.CorrID, a, flip(message, len(message)-1))},
		{"a shorter message", auth.Verify(k.Public(), relay.ECDH(), tr.CorrID, a, message[:len(message)-1])},
		{"a byte changed at the start", auth.Verify(k.Public(), relay.ECDH(), tr.CorrID, flip(a, 0), message)},
		{"a byte changed at the end", auth.Verify(k.Public(), relay.ECDH(), tr.CorrID, flip(a, len(a)-2), message)},
		{"another session key", authenticator && auth.Verify(k.Public(), otherRelay.ECDH(), tr.CorrID, a, message)},
		{"no session key", authenticator && auth.Verify(k.Public(), nil, tr.CorrID, a, message)},
		{"another corrId", authenticator && auth.Verify(k.Public(), relay.ECDH(), flip(tr.CorrID, 0), a, message)},
		{"no key", auth.Verify(key.Public{}, relay.ECDH(), tr.CorrID, a, message)},
	}
	for _, c := range cases {
		if c.ok {
			t.Errorf("%s verifies with %s", name, c.what)
		}
	}
	for n := range a {
		if auth.Verify(k.Public(), relay.ECDH(), tr.CorrID, a[:n], message) {
			t.Errorf("%s verifies cut to %d bytes", name, n)
		}
	}
	if !authenticator && !auth.Verify(k.Public(), nil, nil, a, message) {
		t.Errorf("%s: a signature depends on the session key or corrId", name)
	}
}

func TestCryptoVectors(t *testing.T) {
	var v struct {
		Authenticator []struct {
			Authenticator, Message vectors.Hex
			CorrID                 vectors.Hex `json:"corr_id"`
			OwnPrivate             vectors.Hex `json:"own_private"`
			PeerSPKI               vectors.Hex `json:"peer_public_spki"`
		}
		Signatures []struct {
			Algorithm          string
			Message, Signature vectors.Hex
			Private            vectors.Hex `json:"private_raw"`
		}
	}
	vectors.Load(t, "smp/crypto.json", &v)
	relay := named(t, vectors.Keys(t), "session_server")
	for i, c := range v.Authenticator {
		peer, err := key.ParseDH(c.PeerSPKI)
		if err != nil || peer != relay.Public() {
			t.Fatalf("peer is not the server's session key: %v", err)
		}
		own := ecdhKey(t, c.OwnPrivate)
		got, err := auth.Authenticate(own, peer, c.CorrID, c.Message)
		if err != nil || !bytes.Equal(got, c.Authenticator) || len(got) != auth.AuthenticatorSize {
			t.Errorf("authenticator %d: %x, %v", i, got, err)
		}
		public, _ := key.FromECDH(own.PublicKey())
		if !auth.Verify(public, relay.ECDH(), c.CorrID, c.Authenticator, c.Message) {
			t.Errorf("authenticator %d does not verify", i)
		}
	}
	for _, c := range v.Signatures {
		a := map[string]key.Algorithm{"Ed25519": key.Ed25519, "Ed448": key.Ed448}[c.Algorithm]
		k := newKey(t, a, c.Private)
		if got := authorize(t, k, key.Public{}, nil, c.Message); !bytes.Equal(got, c.Signature) {
			t.Errorf("%s: signature %x", c.Algorithm, got)
		}
		if !auth.Verify(k.Public(), nil, nil, c.Signature, c.Message) {
			t.Errorf("%s: does not verify", c.Algorithm)
		}
	}
	t.Logf("checked %d cases", len(v.Authenticator)+len(v.Signatures))
}

// TestProxyVectors verifies the transmissions that were forwarded by a proxy.
func TestProxyVectors(t *testing.T) {
	var v []struct {
		Version    wire.Version `json:"forwarded_version"`
		Authorized vectors.Hex
		Inner      vectors.Hex `json:"inner_block"`
		RelayKey   string      `json:"relay_session_key"`
		SenderKey  string      `json:"sender_key"`
		SessionID  vectors.Hex `json:"relay_session_id"`
	}
	vectors.Load(t, "smp/proxy.json", &v)
	keys := vectors.Keys(t)
	checked := 0
	for i, c := range v {
		if c.SenderKey == "" {
			continue
		}
		checked++
		batch, err := wire.ParseBatch(c.Inner)
		if err != nil {
			t.Fatal(err)
		}
		inner, _ := batch.Next()
		tr, err := wire.ParseTransmission(c.Version, true, inner)
		if err != nil {
			t.Fatal(err)
		}
		sender, relay := named(t, keys, c.SenderKey), named(t, keys, c.RelayKey)
		if !auth.Verify(sender.Public(), relay.ECDH(), tr.CorrID, tr.Authorization, c.Authorized) {
			t.Errorf("case %d does not verify", i)
		}
		if got := authorize(t, sender, relay.Public(), tr.CorrID, c.Authorized); !bytes.Equal(got, tr.Authorization) {
			t.Errorf("case %d: authorization %x", i, got)
		}
	}
	t.Logf("checked %d authorized of %d cases", checked, len(v))
}
