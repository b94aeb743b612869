package file

import (
	"bytes"
	"crypto/sha512"
	"math"
	"strings"
	"testing"

	"sotto/shared/wire"
)

// TestTampered changes each byte of small files in turn, and some bits of a large one.
func TestTampered(t *testing.T) {
	content := pattern(100)
	encrypted := encrypt(t, content, Header{Name: "name"}, 200, testKey, testNonce)
	for i := range encrypted {
		changed := bytes.Clone(encrypted)
		changed[i] ^= 1 << (i % 8)
		if _, _, err := decrypt(t, bytes.NewReader(changed), 200); err != ErrTag {
			t.Errorf("byte %d changed: %v", i, err)
		}
	}
	content = pattern(300_000)
	encrypted = encrypt(t, content, Header{Name: "name"}, 5<<16, testKey, testNonce)
	for i := 0; i < len(encrypted); i += len(encrypted)/20 - 1 {
		encrypted[i] ^= 0x80
		if _, _, err := decrypt(t, bytes.NewReader(encrypted), 5<<16); err != ErrTag {
			t.Errorf("byte %d changed: %v", i, err)
		}
		encrypted[i] ^= 0x80
	}
	if _, _, err := decrypt(t, bytes.NewReader(encrypted), 5<<16); err != nil {
		t.Errorf("restored: %v", err)
	}
}

// TestTamperedHeader: the header of a changed file is malformed or another, and the file is not authentic all the same.
func TestTamperedHeader(t *testing.T) {
	encrypted := encrypt(t, pattern(100), Header{Name: "name"}, 200, testKey, testNonce)
	encrypted[0] ^= 0x80 // the length becomes negative
	d, err := NewDecrypter(bytes.NewReader(encrypted), 200, testKey, testNonce)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Header(); err != ErrFormat {
		t.Errorf("header: %v", err)
	}
	var b bytes.Buffer
	if n, err := d.WriteTo(&b); n != 0 || b.Len() > 0 || err != ErrTag {
		t.Errorf("file: %d bytes, %v", n, err)
	}
	if d.Digest() != sha512.Sum512(encrypted) {
		t.Error("not all was read")
	}
}

// TestTruncated: each prefix, and more than there should be.
func TestTruncated(t *testing.T) {
	encrypted := encrypt(t, pattern(100), Header{Name: "name"}, 200, testKey, testNonce)
	for n := range encrypted {
		if _, _, err := decrypt(t, bytes.NewReader(encrypted[:n]), 200); err != ErrLength {
			t.Errorf("%d bytes of 200: %v", n, err)
		}
		want := ErrTag
		if n < overhead+minHeader {
			want = ErrLength
		}
		if _, _, err := decrypt(t, bytes.NewReader(encrypted[:n]), int64(n)); err != want {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if _, _, err := decrypt(t, bytes.NewReader(append(encrypted, 0)), 200); err != ErrLength {
		t.Errorf("a byte too many: %v", err)
	}
	if _, _, err := decrypt(t, bytes.NewReader(encrypted), math.MaxInt64); err != ErrLength {
		t.Errorf("a huge file: %v", err)
	}
}

// TestMalformed: what is authentic and yet no file.
func TestMalformed(t *testing.T) {
	plain := func(n int64, rest string) []byte { return append(wire.AppendInt64(nil, n), rest...) }
	for name, c := range map[string]struct {
		plain []byte
		want  error
	}{
		"smallest":               {plain(2, "\x000"), nil},
		"padding of any kind":    {plain(2, "\x000\x00anything"), nil},
		"negative length":        {plain(-1, "\x000"), ErrFormat},
		"most negative length":   {plain(math.MinInt64, "\x000"), ErrFormat},
		"length past the end":    {plain(3, "\x000"), ErrFormat},
		"largest length":         {plain(math.MaxInt64, "\x000"), ErrFormat},
		"no header":              {plain(0, "\x000"), ErrFormat},
		"half a header":          {plain(1, "\x000"), ErrFormat},
		"name past the end":      {plain(3, "\x02a0"), ErrFormat},
		"name into the padding":  {plain(3, "\x02a0####"), ErrFormat},
		"neither extra nor none": {plain(2, "\x002"), ErrFormat},
		"extra past the end":     {plain(3, "\x001\x05####"), ErrFormat},
		"long and malformed":     {plain(2000, "\x002"+strings.Repeat("x", 200_000)), ErrFormat},
	} {
		sealed := seal(c.plain)
		if got, _, err := decrypt(t, bytes.NewReader(sealed), int64(len(sealed))); err != c.want || len(got) > 0 {
			t.Errorf("%s: %d bytes, %v, want %v", name, len(got), err, c.want)
		}
	}
}
