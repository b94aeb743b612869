package file

import (
	"bytes"
	"crypto/sha512"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"sotto/shared/box"
	"sotto/shared/wire"
)

// FuzzDecrypter gives plain forms that are authentic to a Decrypter, and the same bytes as an encrypted form, which are
// not. Nothing is accepted that does not come back when it is encrypted.
func FuzzDecrypter(f *testing.F) {
	for _, c := range loadFiles(f).Small {
		f.Add([]byte(c.Plain), uint8(0))
		f.Add([]byte(c.Encrypted), uint8(1))
	}
	f.Fuzz(func(t *testing.T, b []byte, surplus uint8) {
		if _, _, err := decrypt(t, bytes.NewReader(b), int64(len(b))+int64(surplus)); err == nil {
			t.Fatal("a forgery is accepted")
		}
		sealed := seal(b)
		content, h, err := decrypt(t, iotest.HalfReader(bytes.NewReader(sealed)), int64(len(sealed)))
		switch {
		case errors.Is(err, ErrFormat), errors.Is(err, ErrLength):
			return
		case err != nil:
			t.Fatal(err)
		case !h.fits():
			return // its name was repaired, and is longer now
		}
		p, err := Encoded(h, int64(len(content)))
		if err != nil {
			t.Fatal(err)
		}
		again := encrypt(t, content, h, max(p, int64(len(sealed))), testKey, testNonce)
		got, gotHeader, err := decrypt(t, bytes.NewReader(again), int64(len(again)))
		if err != nil || !bytes.Equal(got, content) || gotHeader != h {
			t.Fatalf("does not come back: %v", err)
		}
	})
}

// FuzzEncrypter: what is read does not depend on the pieces, and is the box of the plain form.
func FuzzEncrypter(f *testing.F) {
	f.Add([]byte("content"), "name", uint16(100), uint16(7))
	f.Add([]byte{}, "", uint16(0), uint16(64))
	f.Fuzz(func(t *testing.T, content []byte, name string, fill, step uint16) {
		h := Header{Name: name}
		p, err := Encoded(h, int64(len(content)))
		if err != nil {
			if err == ErrName && len(name) > 255 {
				return
			}
			t.Fatal(err)
		}
		total := p + int64(fill)
		e, err := NewEncrypter(bytes.NewReader(content), int64(len(content)), h, total, testKey, testNonce)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if _, err := io.CopyBuffer(&b, struct{ io.Reader }{e}, make([]byte, 1+int(step))); err != nil {
			t.Fatal(err)
		}
		want := h.appendHeader(nil)
		want = append(wire.AppendInt64(nil, int64(len(want)+len(content))), want...)
		want = append(want, content...)
		want = append(want, bytes.Repeat([]byte{padding}, int(total)-box.TagSize-len(want))...)
		if want = seal(want); !bytes.Equal(b.Bytes(), want) || e.Digest() != sha512.Sum512(want) {
			t.Fatal("another encrypted file")
		}
	})
}
