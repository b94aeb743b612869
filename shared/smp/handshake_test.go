package smp_test

import (
	"reflect"
	"testing"

	"sotto/shared/internal/vectors"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

type handshakeVectors struct {
	Server []struct {
		ALPN        *string     `json:"alpn"`
		Length      int         `json:"block_length"`
		SHA256      string      `json:"block_sha256"`
		ChainAndKey vectors.Hex `json:"certificate_chain_and_signed_key"`
		Configured  string      `json:"configured_version_range"`
		Content     vectors.Hex `json:"content"`
		SessionID   vectors.Hex `json:"session_id"`
	} `json:"server"`
	Client []clientVector `json:"client"`
	Older  []clientVector `json:"client_with_older_servers"`
	Errors []struct {
		Encoded vectors.Hex `json:"encoded"`
		Error   string      `json:"error"`
	} `json:"handshake_errors"`
	Service []struct {
		Version   wire.Version  `json:"version"`
		ClientKey string        `json:"client_key"`
		KeyHash   vectors.Hex   `json:"key_hash"`
		Role      string        `json:"role"`
		Chain     vectors.Hex   `json:"service_certificate_chain"`
		ServiceID vectors.Hex   `json:"service_id"`
		Content   []vectors.Hex `json:"client_content"`
		Accepted  []vectors.Hex `json:"server_response"`
		Refused   []vectors.Hex `json:"server_response_service_error"`
		WrongCert []vectors.Hex `json:"server_response_wrong_certificate"`
	} `json:"service"`
}

type clientVector struct {
	Content       []vectors.Hex `json:"content"`
	SHA256        []string      `json:"block_sha256"`
	KeyHash       vectors.Hex   `json:"key_hash"`
	ClientKey     *string       `json:"client_key"`
	ClientRange   string        `json:"client_version_range"`
	ServerRange   string        `json:"server_version_range"`
	AgreedVersion wire.Version  `json:"agreed_version"`
	ProxyServer   bool          `json:"proxy_server"`
}

func loadHandshake(t testing.TB) handshakeVectors {
	t.Helper()
	var all handshakeVectors
	vectors.Load(t, "smp/handshake.json", &all)
	return all
}

func TestServerHelloVectors(t *testing.T) {
	all := loadHandshake(t)
	for _, c := range all.Server {
		hello := smp.ServerHello{Versions: versionRange(t, c.Configured), SessionID: wire.EntityID(c.SessionID)}
		if c.ALPN == nil {
			hello.Versions.Max = smp.MinVersion
		}
		if hello.Versions.Max >= smp.VersionAuth {
			hello.Chain, hello.SignedKey = splitChainAndKey(t, c.ChainAndKey)
		}
		checkBytes(t, "server hello", hello.AppendTo(nil), c.Content)
		block := paddedBlock(t, hello.AppendTo(nil))
		if len(block) != c.Length || sum(block) != c.SHA256 {
			t.Errorf("block for %s differs", c.Configured)
		}
		checkServerHello(t, c.Content, hello)
	}
	t.Logf("checked %d cases", len(all.Server))
}

// checkServerHello parses content with and without bytes after it, and each of its beginnings.
func checkServerHello(t *testing.T, content []byte, want smp.ServerHello) {
	t.Helper()
	for _, in := range [][]byte{content, append(content[:len(content):len(content)], "later versions"...)} {
		if got, err := smp.ParseServerHello(in); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("server hello: %v, %v", got, err)
		}
	}
	for n := range content {
		if _, err := smp.ParseServerHello(content[:n]); err != wire.ErrSyntax {
			t.Errorf("first %d bytes of a server hello: %v", n, err)
		}
	}
}

// checkClientHello is checkServerHello for the client's hello, where a key that is cut off is an absent key.
func checkClientHello(t *testing.T, content []byte, want smp.ClientHello) {
	t.Helper()
	checkBytes(t, "client hello", want.AppendTo(nil), content)
	trailing := append(content[:len(content):len(content)], "later versions"...)
	for _, in := range [][]byte{content, trailing} {
		if got, err := smp.ParseClientHello(in); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("client hello: %v, %v", got, err)
		}
	}
	for n := range content {
		got, err := smp.ParseClientHello(content[:n])
		keyless := want.Version >= smp.VersionAuth && want.Version < smp.VersionProxyFlag && n >= 35
		if keyless && (err != nil || !got.Key.IsZero()) || !keyless && err != wire.ErrSyntax {
			t.Errorf("first %d bytes of a client hello of version %d: %v, %v", n, want.Version, got, err)
		}
	}
}

func TestClientHelloVectors(t *testing.T) {
	all, keys := loadHandshake(t), loadKeys(t)
	for _, c := range all.Client {
		version := min(versionRange(t, c.ClientRange).Max, versionRange(t, c.ServerRange).Max)
		hello := c.hello(t, keys, version)
		for i, content := range c.Content {
			checkClientHello(t, content, hello)
			if got := sum(paddedBlock(t, content)); got != c.SHA256[i] {
				t.Errorf("block of version %d: %s, want %s", version, got, c.SHA256[i])
			}
		}
	}
	for _, c := range all.Older {
		hello := c.hello(t, keys, c.AgreedVersion)
		for _, content := range c.Content {
			// These cases do not say the key hash.
			parsed, err := smp.ParseClientHello(content)
			if err != nil || len(parsed.KeyHash) != 32 {
				t.Fatalf("client hello: %v, %v", parsed, err)
			}
			hello.KeyHash = parsed.KeyHash
			checkClientHello(t, content, hello)
		}
		proxyCap := c.ProxyServer && versionRange(t, c.ServerRange).Max < smp.VersionProxyFlag
		if proxyCap && c.AgreedVersion > smp.MaxOldRelayVersion {
			t.Errorf("a proxy agreed to version %d", c.AgreedVersion)
		}
	}
	t.Logf("checked %d and %d cases", len(all.Client), len(all.Older))
}

// hello is what the case describes, as its version expresses it.
func (c clientVector) hello(t *testing.T, keys keyVectors, v wire.Version) smp.ClientHello {
	t.Helper()
	h := smp.ClientHello{Version: v, KeyHash: c.KeyHash}
	if c.ClientKey != nil && v >= smp.VersionAuth {
		h.Key = keys.public(t, *c.ClientKey)
	}
	h.ProxyServer = c.ProxyServer && v >= smp.VersionProxyFlag
	return h
}

func TestServiceHelloVectors(t *testing.T) {
	all, keys := loadHandshake(t), loadKeys(t)
	for _, c := range all.Service {
		for _, content := range c.Content {
			parsed, err := smp.ParseClientHello(content)
			if err != nil || parsed.Service == nil {
				t.Fatalf("%v, %v", parsed, err)
			}
			// The signed key is in no other field of the case; it ends the content.
			signed := parsed.Service.SignedKey
			chain, _ := splitChainAndKey(t, append(c.Chain[:len(c.Chain):len(c.Chain)], 0, 0))
			checkClientHello(t, content, smp.ClientHello{
				Version: c.Version, KeyHash: c.KeyHash, Key: keys.public(t, c.ClientKey),
				Service: &smp.ClientService{Role: smp.ServiceRole(c.Role[0]), Chain: chain, SignedKey: signed},
			})
		}
		for _, in := range c.Accepted {
			checkServiceResponse(t, in, smp.ServiceResponse{ServiceID: wire.EntityID(c.ServiceID)})
		}
		for _, in := range c.Refused {
			checkServiceResponse(t, in, smp.ServiceResponse{Err: smp.HandshakeBadService})
		}
		for _, in := range c.WrongCert {
			checkServiceResponse(t, in, smp.ServiceResponse{Err: smp.HandshakeBadAuth})
		}
	}
	t.Logf("checked %d cases", len(all.Service))
}

func checkServiceResponse(t *testing.T, content []byte, want smp.ServiceResponse) {
	t.Helper()
	checkBytes(t, "service response", want.AppendTo(nil), content)
	for _, in := range [][]byte{content, append(content[:len(content):len(content)], " later versions"...)} {
		if got, err := smp.ParseServiceResponse(in); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
	for n := range content {
		if got, err := smp.ParseServiceResponse(content[:n]); err != wire.ErrSyntax {
			t.Errorf("%q: %v, %v", content[:n], got, err)
		}
	}
}

func TestHandshakeErrorVectors(t *testing.T) {
	all := loadHandshake(t)
	values := map[string]smp.TransportError{
		"bad block": smp.TransportBlock, "version": smp.TransportVersion, "large message": smp.TransportLargeMsg,
		"bad session": smp.TransportSession, "no server auth": smp.TransportNoAuth,
		"handshake PARSE": smp.HandshakeParse, "handshake IDENTITY": smp.HandshakeIdentity,
		"handshake BAD_AUTH": smp.HandshakeBadAuth, "handshake BAD_SERVICE": smp.HandshakeBadService,
	}
	for _, c := range all.Errors {
		want, ok := values[c.Error]
		if !ok {
			t.Errorf("%s: an error that the test does not know", c.Error)
			continue
		}
		checkServiceResponse(t, c.Encoded, smp.ServiceResponse{Err: want})
	}
	t.Logf("checked %d cases", len(all.Errors))
}

// TestOptionalKey: what is no X25519 key is the next field, also if it begins like one.
func TestOptionalKey(t *testing.T) {
	keys := loadKeys(t)
	head := "\x00\x12\x02ab"
	ed25519, x25519 := string(keys.public(t, "rcv_ed25519").AppendWire(nil)), string(keys.public(t, "rcv_dh").AppendWire(nil))
	for _, c := range []struct {
		name, in string
		ok, key  bool
	}{
		{"absent", head + "F0", true, false},
		{"absent, proxy", head + "T0", true, false},
		{"X25519", head + x25519 + "F0", true, true},
		{"Ed25519 is not the key and not a flag", head + ed25519 + "F0", false, false},
		{"nothing after the key", head + x25519, false, false},
		{"bad flag", head + x25519 + "X0", false, false},
		{"bad role", head + x25519 + "F1X\x01\x00\x00\x00\x00", false, false},
		{"service without certificates", head + x25519 + "F1M\x00\x00\x00", false, false},
		{"no key hash", "\x00\x12", false, false},
		{"future version", "\xff\xff\x02abF0more", true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := smp.ParseClientHello([]byte(c.in))
			if (err == nil) != c.ok || got.Key.IsZero() == c.key {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}

func TestCertificateVectors(t *testing.T) {
	var c struct {
		Chain []struct {
			DER vectors.Hex `json:"der"`
		} `json:"chain"`
		Encoded    vectors.Hex `json:"chain_smp_encoded"`
		WithKey    vectors.Hex `json:"chain_and_signed_key_smp_encoded"`
		SessionKey struct {
			DER vectors.Hex `json:"der"`
		} `json:"signed_session_key"`
	}
	vectors.Load(t, "smp/certificates.json", &c)
	hello := smp.ServerHello{Versions: wire.VersionRange{Min: 6, Max: 18}, SignedKey: c.SessionKey.DER}
	for _, cert := range c.Chain {
		hello.Chain = append(hello.Chain, cert.DER)
	}
	head := []byte("\x00\x06\x00\x12\x00")
	checkBytes(t, "chain and key", hello.AppendTo(nil), append(head, c.WithKey...))
	checkBytes(t, "chain", hello.AppendTo(nil)[len(head):][:len(c.Encoded)], c.Encoded)
	got, err := smp.ParseServerHello(append(head, c.WithKey...))
	if err != nil || len(got.Chain) != len(c.Chain) {
		t.Fatalf("%v, %v", got, err)
	}
	for i, cert := range c.Chain {
		checkBytes(t, "certificate", got.Chain[i], cert.DER)
	}
	checkBytes(t, "signed key", got.SignedKey, c.SessionKey.DER)
	t.Logf("checked %d certificates and the encodings of chain and key", len(c.Chain))
}
