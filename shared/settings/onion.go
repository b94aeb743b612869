package settings

import (
	"bytes"
	"crypto/sha3"
	"encoding/base32"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"

	"sotto/shared/address"
)

// Parts of an onion name: what is encoded is an Ed25519 key of 32 bytes, a checksum of 2, and the version. Names of
// version 2, which no client opens any more, are shorter.
const (
	onionSuffix  = ".onion"
	onionKeySize = 32
	onionSumSize = 2
	onionVersion = 3
	onionSalt    = ".onion checksum" // what the checksum begins with
)

// maxOnionFile is more than any file with an onion name has; what is longer is some other file.
const maxOnionFile = 1 << 10

// Onion reads the relay's onion name from the file at path, which the setting name has. There is none, ok is false,
// without a path, and while there is no such file: Tor makes it when it first starts, perhaps after the relay. Names
// are those of version 3, with the checksum of rend-spec-v3.
func Onion(name, path string) (host address.Host, ok bool, err error) {
	if path == "" {
		return "", false, nil
	}
	content, err := readOnion(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", false, nil
	case err != nil:
		return "", false, Bad("%s cannot be read: %v", name, err)
	}
	text := strings.ToLower(strings.TrimSpace(content))
	if !isOnion(text) {
		return "", false, Bad("%s names a file without an onion name of version 3; Tor's file hostname has one", name)
	}
	host, ok = address.ParseHost(text)
	return host, ok, nil
}

// readOnion reads the file, or as much of it as shows that it is another one.
func readOnion(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	content, err := io.ReadAll(io.LimitReader(f, maxOnionFile))
	return string(content), err
}

// isOnion reports whether text is an onion name of version 3, in lower case. Base32 of 35 bytes has neither padding nor
// bits left over, so that each name has one form.
func isOnion(text string) bool {
	encoded, ok := strings.CutSuffix(text, onionSuffix)
	if !ok || strings.ContainsAny(encoded, "\r\n") { // which the decoder skips
		return false
	}
	raw, err := base32.StdEncoding.DecodeString(strings.ToUpper(encoded))
	if err != nil || len(raw) != onionKeySize+onionSumSize+1 || raw[len(raw)-1] != onionVersion {
		return false
	}
	key, sum := raw[:onionKeySize], raw[onionKeySize:onionKeySize+onionSumSize]
	full := sha3.Sum256(append(append([]byte(onionSalt), key...), onionVersion))
	return bytes.Equal(sum, full[:onionSumSize])
}
