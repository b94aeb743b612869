package vectors

import "testing"

// Key is one of the named test keys that the SMP vectors refer to.
type Key struct {
	Name       string
	Algorithm  string // "Ed25519", "Ed448", "X25519" or "X448"
	PrivateRaw Hex    `json:"private_raw"`
	PublicRaw  Hex    `json:"public_raw"`
	SPKI       Hex    `json:"public_spki"`
	Wire       Hex    `json:"public_smp_encoded"` // SPKI as a short string
	Text       string `json:"public_str_encoded"` // SPKI as base64url
}

// Keys returns the test keys of smp/keys.json by name.
func Keys(t testing.TB) map[string]Key {
	t.Helper()
	var v struct{ Keys []Key }
	Load(t, "smp/keys.json", &v)
	keys := make(map[string]Key, len(v.Keys))
	for _, k := range v.Keys {
		keys[k.Name] = k
	}
	return keys
}

// IDs returns the test ids of smp/keys.json by name, such as "session_id".
func IDs(t testing.TB) map[string]Hex {
	t.Helper()
	var v struct{ IDs map[string]Hex }
	Load(t, "smp/keys.json", &v)
	return v.IDs
}
