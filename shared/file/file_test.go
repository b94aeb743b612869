package file

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"testing/iotest"

	"sotto/shared/box"
)

var (
	testKey   = &[box.KeySize]byte{1, 2, 3, 31: 4}
	testNonce = &[box.NonceSize]byte{5, 6, 7, 23: 8}
)

// seal encrypts a whole plain form, which need not make sense.
func seal(plain []byte) []byte {
	s := box.NewSealer(testKey, testNonce)
	sealed := s.Seal(nil, plain)
	tag := s.Tag()
	return append(sealed, tag[:]...)
}

// decrypt returns what WriteTo wrote.
func decrypt(t testing.TB, r io.Reader, total int64) ([]byte, Header, error) {
	t.Helper()
	d, err := NewDecrypter(r, total, testKey, testNonce)
	if err != nil {
		return nil, Header{}, err
	}
	var b bytes.Buffer
	n, err := d.WriteTo(&b)
	if n != int64(b.Len()) {
		t.Errorf("wrote %d bytes, says %d", b.Len(), n)
	}
	h, headerErr := d.Header()
	if headerErr != err {
		t.Errorf("header: %v, file: %v", headerErr, err)
	}
	if again, errAgain := d.WriteTo(&b); again != 0 || errAgain != err || int64(b.Len()) != n {
		t.Errorf("once more: %d bytes, %v", again, errAgain)
	}
	return b.Bytes(), h, err
}

// pattern makes a file whose bytes tell where they belong.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 ^ i>>8)
	}
	return b
}

// TestWorkedExample is the file of the specification.
//
// Spec: xftp.md 17.9
func TestWorkedExample(t *testing.T) {
	var key [box.KeySize]byte
	var nonce [box.NonceSize]byte
	for i := range key {
		key[i] = byte(i)
	}
	for i := range nonce {
		nonce[i] = 0xd0 + byte(i)
	}
	h, content := Header{Name: "a.txt"}, []byte("hello, xftp\n")
	p, err := Encoded(h, int64(len(content)))
	sizes := ChunkSizes(p)
	if err != nil || p != 43 || len(sizes) != 1 || sizes[0] != 65536 {
		t.Fatalf("%d bytes in %v: %v", p, sizes, err)
	}
	encrypted := encrypt(t, content, h, 65536, &key, &nonce)
	sha512, sha256 := sha512.Sum512(encrypted), sha256.Sum256(encrypted)
	for what, c := range map[string]struct {
		got  []byte
		want string
	}{
		"header": {h.appendHeader(nil), "05612e74787430"},
		"beginning": {encrypted[:48], "2bf7afa0b1af5736e173820d4e4daefa22de32f004704ba17c3398dc31d2d7c5" +
			"db25262ee4ed24bd944dc2e989f12e9a"},
		"tag": {encrypted[65520:], "1218fd3d33b160ea338f7256116e4c96"},
		"SHA-512": {sha512[:], "a971dfb49afe44b87607e0574d6b19d0108c9592add66379a833ac451f21b748" +
			"17be533d68f3d8323403da641d9ff57e6cb4ba9813b6dbd503cc6c0010dca2d8"},
		"SHA-256": {sha256[:], "28bbf17aa6e2a70ccef6dfdb510a3b6c53de4fe17c4b3977368f38494167f0a3"},
	} {
		if got := fmt.Sprintf("%x", c.got); got != c.want {
			t.Errorf("%s: %s, want %s", what, got, c.want)
		}
	}
}

// TestRoundTrip encrypts files of lengths around each boundary: of headers, pieces, blocks of the cipher and chunks.
func TestRoundTrip(t *testing.T) {
	headers := map[string]Header{
		"no name":    {},
		"name":       {Name: "a.txt"},
		"long name":  {Name: strings.Repeat("n", 255)},
		"extra":      {Name: "a", Extra: "x", HasExtra: true},
		"everything": {Name: strings.Repeat("n", 255), Extra: strings.Repeat("e", 255), HasExtra: true},
		"empty":      {Name: "a", HasExtra: true},
	}
	for name, h := range headers {
		t.Run(name, func(t *testing.T) {
			for _, boundary := range []int{0, 64, headSize} {
				for d := -65; d <= 65; d++ {
					checkRoundTrip(t, boundary+d, h)                     // the file ends there
					checkRoundTrip(t, boundary-h.size()-lengthSize+d, h) // the plain form does
				}
			}
			for _, boundary := range []int{pieceSize, 3 << 16, 1<<18 + headSize} {
				for d := -1; d <= 1; d++ {
					checkRoundTrip(t, boundary+d, h)
					checkRoundTrip(t, boundary-h.size()-overhead+d, h) // the encrypted form ends there
				}
			}
		})
	}
}

// checkRoundTrip encrypts a file of n bytes without padding, with a byte of it, and up to the end of its chunks.
func checkRoundTrip(t *testing.T, n int, h Header) {
	t.Helper()
	if n < 0 {
		return
	}
	content := pattern(n)
	p, err := Encoded(h, int64(n))
	if err != nil {
		t.Fatal(err)
	}
	totals := []int64{p, p + 1}
	if n%16 == 0 {
		totals = append(totals, sum(ChunkSizes(p)))
	}
	for _, total := range totals {
		encrypted := encrypt(t, content, h, total, testKey, testNonce)
		got, gotHeader, err := decrypt(t, bytes.NewReader(encrypted), total)
		if err != nil || !bytes.Equal(got, content) || gotHeader != h {
			t.Fatalf("%d bytes in %d do not come back: %v", n, total, err)
		}
	}
}

// TestReaders: it does not matter how much the readers give at a time.
func TestReaders(t *testing.T) {
	content, h := pattern(3000), Header{Name: "name"}
	want := encrypt(t, content, h, 4096, testKey, testNonce)
	for name, wrap := range map[string]func(io.Reader) io.Reader{
		"byte by byte":         iotest.OneByteReader,
		"half":                 iotest.HalfReader,
		"the end with data":    iotest.DataErrReader,
		"nothing, then a byte": func(r io.Reader) io.Reader { return &idleReader{r: r} },
	} {
		e, err := NewEncrypter(wrap(bytes.NewReader(content)), int64(len(content)), h, 4096, testKey, testNonce)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(wrap(e)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: another encrypted file: %v", name, err)
		}
		if got, _, err := decrypt(t, wrap(bytes.NewReader(want)), 4096); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s: another file: %v", name, err)
		}
	}
	for n := range 200 {
		e, err := NewEncrypter(bytes.NewReader(content), int64(len(content)), h, 4096, testKey, testNonce)
		if err != nil {
			t.Fatal(err)
		}
		var got []byte
		for p := make([]byte, n+1); ; {
			m, err := e.Read(p)
			if got = append(got, p[:m]...); err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got, want) || e.Digest() != sha512.Sum512(want) {
			t.Fatalf("read by %d bytes it is another", n+1)
		}
	}
}

// idleReader reads nothing every other time.
type idleReader struct {
	r    io.Reader
	idle bool
}

func (i *idleReader) Read(p []byte) (int, error) {
	if i.idle = !i.idle; i.idle || len(p) == 0 {
		return 0, nil
	}
	return i.r.Read(p[:1])
}

// TestNames: whatever a name is made of, it is text when it is read.
func TestNames(t *testing.T) {
	for name, want := range map[string]string{
		"a\x00b":                        "a\x00b",
		"../../etc/passwd":              "../../etc/passwd",
		"\xff":                          "\ufffd",
		"a\xc3\x28":                     "a\ufffd(",
		"\xed\xa0\x80":                  "\ufffd\ufffd\ufffd", // half of a surrogate pair
		"文件\xe6\x96":                    "文件\ufffd\ufffd",
		strings.Repeat("\xfe", 255):     strings.Repeat("\ufffd", 255),
		strings.Repeat("é", 127) + "\n": strings.Repeat("é", 127) + "\n",
	} {
		h := Header{Name: name, Extra: name, HasExtra: true}
		encrypted := encrypt(t, nil, h, 1000, testKey, testNonce)
		_, got, err := decrypt(t, bytes.NewReader(encrypted), 1000)
		if err != nil || got.Name != want || got.Extra != want || !got.HasExtra {
			t.Errorf("%q becomes %q: %v", name, got.Name, err)
		}
	}
}

func TestEncoded(t *testing.T) {
	long := strings.Repeat("n", 256)
	for name, c := range map[string]struct {
		h      Header
		length int64
		want   int64
		err    error
	}{
		"smallest":                {Header{}, 0, 26, nil},
		"largest":                 {Header{Name: long[1:], Extra: long[1:], HasExtra: true}, MaxSize, maxEncoded, nil},
		"extra that is not":       {Header{Extra: long}, 0, 26, nil},
		"name too long":           {Header{Name: long}, 0, 0, ErrName},
		"extra too long":          {Header{Extra: long, HasExtra: true}, 0, 0, ErrName},
		"file too long":           {Header{}, MaxSize + 1, 0, ErrTooLarge},
		"file far too long":       {Header{}, math.MaxInt64, 0, ErrTooLarge},
		"file of negative length": {Header{}, -1, 0, ErrLength},
	} {
		if got, err := Encoded(c.h, c.length); got != c.want || err != c.err {
			t.Errorf("%s: %d, %v, want %d, %v", name, got, err, c.want, c.err)
		}
		if c.err == nil {
			continue
		}
		if _, err := NewEncrypter(nil, c.length, c.h, math.MaxInt64, testKey, testNonce); err != c.err {
			t.Errorf("%s, encrypted: %v", name, err)
		}
	}
	for total, want := range map[int64]error{math.MinInt64: ErrLength, 0: ErrLength, 126: ErrLength, 127: nil, math.MaxInt64: nil} {
		if _, err := NewEncrypter(nil, 100, Header{Name: "a"}, total, testKey, testNonce); err != want {
			t.Errorf("100 bytes in %d: %v", total, err)
		}
	}
}

// TestSourceLength: a file that is not as long as was said is not encrypted to the end.
func TestSourceLength(t *testing.T) {
	for _, length := range []int64{0, 1, 99, 101, 1000, pieceSize} {
		for _, wrap := range []func(io.Reader) io.Reader{iotest.DataErrReader, iotest.OneByteReader} {
			e, err := NewEncrypter(wrap(bytes.NewReader(pattern(100))), length, Header{}, 2*pieceSize, testKey, testNonce)
			if err != nil {
				t.Fatal(err)
			}
			if n, err := io.Copy(io.Discard, e); err != ErrLength || n >= 2*pieceSize {
				t.Errorf("100 bytes as %d: %d were read, %v", length, n, err)
			}
			if n, err := e.Read(make([]byte, 10)); n != 0 || err != ErrLength {
				t.Errorf("after the error: %d, %v", n, err)
			}
		}
	}
}

// TestErrorsOfOthers: what readers and writers fail with is returned as it is.
func TestErrorsOfOthers(t *testing.T) {
	broken := errors.New("broken")
	for _, before := range []int{0, 10, 100} {
		r := io.MultiReader(bytes.NewReader(pattern(before)), iotest.ErrReader(broken))
		e, err := NewEncrypter(r, 100, Header{}, 1000, testKey, testNonce)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, e); err != broken {
			t.Errorf("a source that breaks after %d of 100 bytes: %v", before, err)
		}
	}
	encrypted := encrypt(t, pattern(100_000), Header{}, 200_000, testKey, testNonce)
	for _, before := range []int{0, 10, headSize, 150_000, 199_990, 200_000} {
		r := io.MultiReader(bytes.NewReader(encrypted[:before]), iotest.ErrReader(broken))
		if _, _, err := decrypt(t, r, 200_000); err != broken {
			t.Errorf("a stream that breaks after %d bytes: %v", before, err)
		}
	}
	for _, before := range []int{0, 10, headSize, 99_999} {
		d, err := NewDecrypter(bytes.NewReader(encrypted), 200_000, testKey, testNonce)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := d.WriteTo(&fullWriter{left: before, err: broken}); err != broken || n != int64(before) {
			t.Errorf("a writer that is full after %d bytes: %d, %v", before, n, err)
		}
		if d, err = NewDecrypter(bytes.NewReader(encrypted), 200_000, testKey, testNonce); err != nil {
			t.Fatal(err)
		}
		if n, err := d.WriteTo(&fullWriter{left: before}); err != io.ErrShortWrite || n != int64(before) {
			t.Errorf("a writer that writes less than it should: %d, %v", n, err)
		}
	}
}

// fullWriter has room for a number of bytes, and then fails.
type fullWriter struct {
	left int
	err  error
}

func (w *fullWriter) Write(p []byte) (int, error) {
	n := min(len(p), w.left)
	if w.left -= n; n < len(p) {
		return n, w.err
	}
	return n, nil
}

func TestPrintsNothing(t *testing.T) {
	h := Header{Name: "secret name", Extra: "secret extra", HasExtra: true}
	e, err := NewEncrypter(bytes.NewReader(nil), 0, h, 1000, testKey, testNonce)
	if err != nil {
		t.Fatal(err)
	}
	d, err := NewDecrypter(bytes.NewReader(encrypt(t, nil, h, 1000, testKey, testNonce)), 1000, testKey, testNonce)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Header(); err != nil {
		t.Fatal(err)
	}
	for want, values := range map[string][]any{
		"[file header]":    {h, &h},
		"[file encrypter]": {e, *e},
		"[file decrypter]": {d, *d},
	} {
		for _, v := range values {
			if got := fmt.Sprintf("%v%+v%#v%x%d%s", v, v, v, v, v, v); got != strings.Repeat(want, 6) {
				t.Errorf("%T prints %s", v, got)
			}
			if got, err := json.Marshal(v); err != nil || string(got) != `"`+want+`"` {
				t.Errorf("%T is %s in JSON: %v", v, got, err)
			}
		}
	}
}
