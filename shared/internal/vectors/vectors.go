// Package vectors loads the golden vectors in shared/testdata/vectors. Only tests import it.
package vectors

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// Hex is a byte string that the vectors spell as lowercase hex. JSON null gives nil, the empty string gives an
// empty slice that is not nil.
type Hex []byte

// UnmarshalJSON decodes a hex string or null.
func (h *Hex) UnmarshalJSON(b []byte) error {
	var s *string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	if s == nil {
		*h = nil
		return nil
	}
	raw, err := hex.DecodeString(*s)
	if err != nil {
		return err
	}
	*h = raw
	return nil
}

// String returns the bytes as hex, for test failures.
func (h Hex) String() string { return hex.EncodeToString(h) }

// Load decodes the file at name, relative to the vectors directory ("smp/crypto.json"), into v. It ends the test if
// the file is missing or does not decode.
func Load(t testing.TB, name string, v any) {
	t.Helper()
	if err := json.Unmarshal(Bytes(t, name), v); err != nil {
		t.Fatalf("vectors: %s: %v", name, err)
	}
}

// Bytes returns the content of the file at name, relative to the vectors directory.
func Bytes(t testing.TB, name string) []byte {
	t.Helper()
	root, err := find()
	if err != nil {
		t.Fatalf("vectors: %v", err)
	}
	b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatalf("vectors: %v", err)
	}
	return b
}

// find walks up from the directory the test runs in, which is that of its package, to the vectors. Packages of the
// services find them beside their own module.
func find() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		for _, sub := range []string{"testdata", "shared/testdata"} {
			path := filepath.Join(dir, filepath.FromSlash(sub), "vectors")
			if info, err := os.Stat(path); err == nil && info.IsDir() {
				return path, nil
			} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return "", err
			}
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no testdata/vectors in any parent directory")
		}
		dir = parent
	}
}
