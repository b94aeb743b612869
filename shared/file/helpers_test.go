package file

import (
	"bytes"
	"crypto/sha512"
	"io"
	"testing"
	"testing/iotest"

	"sotto/shared/box"
)

// encrypt returns the encrypted form of source, after checking the digest and that what is read does not depend on how.
func encrypt(t testing.TB, source []byte, h Header, total int64, key *[box.KeySize]byte, nonce *[box.NonceSize]byte) []byte {
	t.Helper()
	e, err := NewEncrypter(bytes.NewReader(source), int64(len(source)), h, total, key, nonce)
	if err != nil {
		t.Fatal(err)
	}
	encrypted := make([]byte, total)
	if n, err := io.ReadFull(e, encrypted); err != nil {
		t.Fatalf("read %d of %d bytes: %v", n, total, err)
	}
	if e.Digest() != sha512.Sum512(encrypted) {
		t.Error("the digest is another")
	}
	if n, err := e.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("after the end: %d, %v", n, err)
	}
	if total > 1<<10 {
		return encrypted
	}
	if e, err = NewEncrypter(iotest.HalfReader(bytes.NewReader(source)), int64(len(source)), h, total, key, nonce); err != nil {
		t.Fatal(err)
	}
	if again, err := io.ReadAll(iotest.OneByteReader(e)); err != nil || !bytes.Equal(again, encrypted) {
		t.Errorf("byte by byte it is another: %v", err)
	}
	return encrypted
}
