package proxy

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"sotto/shared/box"
	"sotto/shared/key"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

// vector is what deployed software has made of one command.
type vector struct {
	Version     wire.Version `json:"forwarded_version"`
	Secret      string       `json:"client_relay_secret"`
	ProxySecret string       `json:"proxy_relay_secret"`
	CommandKey  string       `json:"command_key"`
	Nonce       string       `json:"corr_id_and_client_nonce"`
	ProxyNonce  string       `json:"proxy_corr_id_and_nonce"`
	Inner       string       `json:"inner_block"`
	Padded      int          `json:"padded_inner_length"`
	RFWD        string       `json:"rfwd_command"`
	RRES        string       `json:"rres_response"`
	Response    string       `json:"response_inner_block"`
}

func load(t *testing.T, name string, into any) {
	t.Helper()
	b, err := os.ReadFile("../../../../shared/testdata/vectors/smp/" + name)
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// loadKeys returns the public keys of the vectors by name, in DER.
func loadKeys(t *testing.T) map[string]string {
	t.Helper()
	var all struct {
		Keys []struct {
			Name string
			SPKI string `json:"public_spki"`
		}
	}
	load(t, "keys.json", &all)
	keys := make(map[string]string)
	for _, k := range all.Keys {
		keys[k.Name] = k.SPKI
	}
	return keys
}

// TestVectors makes RFWD of PFWD, and PRES of RRES, as deployed software does.
func TestVectors(t *testing.T) {
	var all []vector
	load(t, "proxy.json", &all)
	keys := loadKeys(t)
	if len(all) == 0 {
		t.Fatal("no vectors")
	}
	for _, v := range all {
		secret, n := [box.KeySize]byte(unhex(t, v.Secret)), nonce(unhex(t, v.Nonce))
		encrypted, err := box.SealPadded(nil, unhex(t, v.Inner), &n, &secret, v.Padded)
		if err != nil {
			t.Fatal(err)
		}
		public, err := key.Parse(unhex(t, keys[v.CommandKey]))
		if err != nil {
			t.Fatal(err)
		}
		s := &Session{version: smp.MaxVersion, secret: [box.KeySize]byte(unhex(t, v.ProxySecret))}
		r := nonce(unhex(t, v.ProxyNonce))
		payload := s.encode(rooms.Get().(*room), &r, n[:], smp.PFWD{Version: v.Version, Key: public, Encrypted: encrypted})
		batch, err := wire.ParseBatch(payload)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := batch.Next()
		sent, err := wire.ParseTransmission(s.version, false, b)
		if err != nil || hex.EncodeToString(sent.Command) != v.RFWD || nonce(sent.CorrID) != r {
			t.Errorf("version %d: another RFWD, %v", v.Version, err)
		}
		got := s.answer(r, wire.Transmission{Command: unhex(t, v.RRES)})
		turned := box.Reverse(n)
		inner, err := box.OpenPadded(nil, got.encrypted, &turned, &secret)
		if got.err != nil || err != nil || hex.EncodeToString(inner) != v.Response {
			t.Errorf("version %d: another PRES, %v, %v", v.Version, got.err, err)
		}
	}
	t.Logf("checked %d cases", len(all))
}
