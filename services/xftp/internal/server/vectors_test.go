package server_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// loadVectors decodes a file of golden vectors, which are the shared module's.
func loadVectors(t testing.TB, name string, v any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../../../../shared/testdata/vectors/xftp", name))
	must(t, err)
	must(t, json.Unmarshal(b, v))
}

// hexBytes is a byte string that vectors spell in hex.
type hexBytes []byte

func (b *hexBytes) UnmarshalJSON(text []byte) (err error) {
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	*b, err = hex.DecodeString(s)
	return err
}

// base64Bytes is a byte string that vectors spell in base64.
type base64Bytes []byte

func (b *base64Bytes) UnmarshalJSON(text []byte) (err error) {
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	*b, err = base64.StdEncoding.DecodeString(s)
	return err
}
