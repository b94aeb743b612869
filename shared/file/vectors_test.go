package file

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"io"
	"slices"
	"testing"

	"sotto/shared/box"
	"sotto/shared/internal/vectors"
)

// generated is an input that the vectors describe instead of holding it.
type generated struct {
	Seed   vectors.Hex
	Length int
}

func (g generated) bytes() []byte {
	b := make([]byte, 0, g.Length+sha256.Size)
	input := append(bytes.Clone(g.Seed), make([]byte, 8)...)
	for i := uint64(0); len(b) < g.Length; i++ {
		binary.BigEndian.PutUint64(input[len(g.Seed):], i)
		block := sha256.Sum256(input)
		b = append(b, block[:]...)
	}
	return b[:g.Length]
}

// runs is a list of chunk sizes as the vectors have it: how many of which size.
type runs [][2]int64

func (r runs) sizes() (sizes []uint32) {
	for _, run := range r {
		for range run[0] {
			sizes = append(sizes, uint32(run[1]))
		}
	}
	return sizes
}

type fileVector struct {
	FileName         string
	FileExtra        *string
	Source           vectors.Hex
	SourceData       *generated
	Header           vectors.Hex
	Key, Nonce       vectors.Hex
	FileSize         int64
	PayloadSize      int64
	EncryptedSize    int64
	Padding          int64
	Plain            vectors.Hex
	Encrypted        vectors.Hex
	EncryptedSHA512  vectors.Hex
	EncryptedFirst64 vectors.Hex
	SourceSHA256     vectors.Hex
	Tag              vectors.Hex
	SplitAt          int
	ChunkSizes       runs
	Chunks           []struct {
		ChunkNo         int
		Offset, Size    int64
		SHA256          vectors.Hex
		First16, Last16 vectors.Hex
	}
}

func (c fileVector) header() Header { return vectorHeader(c.FileName, c.FileExtra) }

func vectorHeader(name string, extra *string) Header {
	h := Header{Name: name}
	if extra != nil {
		h.Extra, h.HasExtra = *extra, true
	}
	return h
}

func (c fileVector) source() []byte {
	if c.SourceData != nil {
		return c.SourceData.bytes()
	}
	return c.Source
}

func (c fileVector) keys() (*[box.KeySize]byte, *[box.NonceSize]byte) {
	return (*[box.KeySize]byte)(c.Key), (*[box.NonceSize]byte)(c.Nonce)
}

func (c fileVector) encrypt(t testing.TB) []byte {
	t.Helper()
	key, nonce := c.keys()
	source := c.source()
	return encrypt(t, source, c.header(), c.EncryptedSize, key, nonce)
}

func same(t testing.TB, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%s: got %.64x, want %.64x", what, got, want)
	}
}

type fileVectors struct {
	Headers []struct {
		FileName  string
		FileExtra *string
		Hex       vectors.Hex
		Length    int
	}
	Small, Real []fileVector
	Errors      []struct {
		Name                    string
		FileSize, EncryptedSize int64
		Chunks                  []vectors.Hex
		Key, Nonce              vectors.Hex
	}
	Padding []struct {
		Message, Padded vectors.Hex
		Size            int64
	}
}

func loadFiles(t testing.TB) (v fileVectors) {
	t.Helper()
	vectors.Load(t, "xftp/files.json", &v)
	return v
}

// Spec: xftp.md 12.1
func TestHeaderVectors(t *testing.T) {
	all := loadFiles(t).Headers
	for _, c := range all {
		h := vectorHeader(c.FileName, c.FileExtra)
		same(t, c.FileName, h.appendHeader(nil), c.Hex)
		if h.size() != c.Length {
			t.Errorf("%q has %d bytes", c.FileName, h.size())
		}
		got, rest, err := readHeader(append(bytes.Clone(c.Hex), "rest"...))
		if err != nil || got != h || string(rest) != "rest" {
			t.Errorf("%q: %v", c.FileName, err)
		}
		for n := range c.Hex {
			if _, _, err := readHeader(c.Hex[:n]); err != ErrFormat {
				t.Errorf("the first %d bytes of %q: %v", n, c.FileName, err)
			}
		}
	}
	t.Logf("checked %d headers", len(all))
}

// TestSmallFileVectors: files of which the vectors have every byte.
//
// Spec: xftp.md 12.1
func TestSmallFileVectors(t *testing.T) {
	all := loadFiles(t).Small
	for i, c := range all {
		p, err := Encoded(c.header(), int64(len(c.Source)))
		if err != nil || p != c.FileSize+overhead || p+c.Padding != c.EncryptedSize {
			t.Errorf("%d: takes %d bytes: %v", i, p, err)
		}
		same(t, "header", c.header().appendHeader(nil), c.Header)
		encrypted := c.encrypt(t)
		same(t, "encrypted", encrypted, c.Encrypted)
		same(t, "tag", encrypted[len(encrypted)-box.TagSize:], c.Tag)
		key, nonce := c.keys()
		o := box.NewOpener(key, nonce)
		same(t, "plain", o.Open(nil, encrypted[:len(encrypted)-box.TagSize]), c.Plain)
		// In one piece, and as two chunks.
		checkDecrypts(t, c, bytes.NewReader(c.Encrypted))
		checkDecrypts(t, c, io.MultiReader(bytes.NewReader(c.Encrypted[:c.SplitAt]), bytes.NewReader(c.Encrypted[c.SplitAt:])))
	}
	t.Logf("checked %d files", len(all))
}

func checkDecrypts(t *testing.T, c fileVector, r io.Reader) {
	t.Helper()
	key, nonce := c.keys()
	d, err := NewDecrypter(r, c.EncryptedSize, key, nonce)
	if err != nil {
		t.Fatal(err)
	}
	if h, err := d.Header(); err != nil || h != c.header() {
		t.Errorf("header: %v", err)
	}
	var b bytes.Buffer
	if n, err := d.WriteTo(&b); err != nil || n != int64(b.Len()) {
		t.Fatalf("after %d bytes: %v", n, err)
	}
	same(t, "file", b.Bytes(), c.source())
	digest := d.Digest()
	same(t, "digest", digest[:], c.EncryptedSHA512)
}

// TestFileVectors: files of real sizes, which become chunks.
//
// Spec: xftp.md 12.1
// Spec: xftp.md 12.2
func TestFileVectors(t *testing.T) {
	all := loadFiles(t).Real
	for i, c := range all {
		source := c.source()
		hash := sha256.Sum256(source)
		same(t, "source", hash[:], c.SourceSHA256)
		p, err := Encoded(c.header(), int64(len(source)))
		if err != nil || p != c.PayloadSize || p != c.FileSize+overhead {
			t.Errorf("%d: takes %d bytes: %v", i, p, err)
		}
		sizes := ChunkSizes(p)
		if !slices.Equal(sizes, c.ChunkSizes.sizes()) || sum(sizes) != c.EncryptedSize || len(sizes) != len(c.Chunks) {
			t.Fatalf("%d: chunks of %v", i, sizes)
		}
		encrypted := c.encrypt(t)
		digest := sha512.Sum512(encrypted)
		same(t, "encrypted", digest[:], c.EncryptedSHA512)
		same(t, "its beginning", encrypted[:64], c.EncryptedFirst64)
		same(t, "tag", encrypted[len(encrypted)-box.TagSize:], c.Tag)
		rest := encrypted
		for j, want := range c.Chunks {
			chunk := rest[:sizes[j]]
			if want.ChunkNo != j+1 || want.Size != int64(sizes[j]) || want.Offset != int64(len(encrypted)-len(rest)) {
				t.Errorf("%d: chunk %d is another", i, j)
			}
			rest = rest[len(chunk):]
			hash := sha256.Sum256(chunk)
			same(t, "chunk", hash[:], want.SHA256)
			same(t, "its beginning", chunk[:16], want.First16)
			same(t, "its end", chunk[len(chunk)-16:], want.Last16)
		}
		checkDecrypts(t, c, bytes.NewReader(encrypted))
	}
	t.Logf("checked %d files", len(all))
}

// TestFileErrorVectors: what must not be encrypted or decrypted.
func TestFileErrorVectors(t *testing.T) {
	want := map[string]error{
		"no chunks":                  ErrLength,
		"one bit flipped":            ErrTag,
		"one bit of the tag flipped": ErrTag,
		"another key":                ErrTag,
		"another nonce":              ErrTag,
		"cut short":                  ErrLength,
		"one byte too many":          ErrLength,
		"chunks in the wrong order":  ErrTag,
		"encrypting into a size smaller than fileSize + 24 fails": ErrLength,
	}
	all := loadFiles(t).Errors
	if len(all) != len(want) {
		t.Errorf("%d cases, %d are known", len(all), len(want))
	}
	for _, c := range all {
		var err error
		if c.Key == nil {
			_, err = NewEncrypter(nil, c.FileSize-minHeader, Header{}, c.EncryptedSize, new([32]byte), new([24]byte))
		} else {
			var d *Decrypter
			d, err = NewDecrypter(bytes.NewReader(join(c.Chunks)), c.EncryptedSize, (*[32]byte)(c.Key), (*[24]byte)(c.Nonce))
			if err != nil {
				t.Fatal(err)
			}
			_, err = d.WriteTo(io.Discard)
		}
		if err != want[c.Name] || err == nil {
			t.Errorf("%s: %v, want %v", c.Name, err, want[c.Name])
		}
	}
	t.Logf("checked %d cases", len(all))
}

func join(chunks []vectors.Hex) (b []byte) {
	for _, c := range chunks {
		b = append(b, c...)
	}
	return b
}

// TestFilePaddingVectors: the length in front and the padding behind, by themselves.
func TestFilePaddingVectors(t *testing.T) {
	all := loadFiles(t).Padding
	for _, c := range all {
		var key [box.KeySize]byte
		var nonce [box.NonceSize]byte
		e, err := newEncrypter(bytes.NewReader(c.Message), int64(len(c.Message)), nil, c.Size+box.TagSize, &key, &nonce)
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := io.ReadAll(e)
		if err != nil {
			t.Fatal(err)
		}
		d := Decrypter{r: bytes.NewReader(sealed), opener: box.NewOpener(&key, &nonce), digest: sha512.New(), left: c.Size}
		plain, err := d.next(make([]byte, c.Size))
		if err != nil {
			t.Fatal(err)
		}
		same(t, "padded", plain, c.Padded)
		message, _, err := cutLength(plain, 0)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "message", message, c.Message)
	}
	t.Logf("checked %d paddings", len(all))
}

// TestChunkSizeVectors covers every boundary.
//
// Spec: xftp.md 12.2
func TestChunkSizeVectors(t *testing.T) {
	var v struct {
		Server []uint32 `json:"serverChunkSizes"`
		Cases  []struct {
			PayloadSize     int64
			ChunkSizes      runs
			Chunks          int
			Total           int64
			LastOffset      *int64
			SingleChunkSize *uint32
		}
	}
	vectors.Load(t, "xftp/chunk_sizes.json", &v)
	for i, size := range v.Server {
		if got, ok := SingleChunk(int64(size)); got != size || !ok {
			t.Errorf("size %d is %d", i, got)
		}
	}
	for _, c := range v.Cases {
		sizes := ChunkSizes(c.PayloadSize)
		if !slices.Equal(sizes, c.ChunkSizes.sizes()) || len(sizes) != c.Chunks || sum(sizes) != c.Total {
			t.Errorf("%d bytes in %v", c.PayloadSize, sizes)
		}
		if (len(sizes) == 0) != (c.LastOffset == nil) || len(sizes) > 0 && sum(sizes[:len(sizes)-1]) != *c.LastOffset {
			t.Errorf("%d bytes: the last chunk begins elsewhere", c.PayloadSize)
		}
		size, ok := SingleChunk(c.PayloadSize)
		if ok != (c.SingleChunkSize != nil) || ok && size != *c.SingleChunkSize {
			t.Errorf("%d bytes in a chunk of %d", c.PayloadSize, size)
		}
	}
	t.Logf("checked %d sizes", len(v.Cases))
}

func sum(sizes []uint32) (total int64) {
	for _, size := range sizes {
		total += int64(size)
	}
	return total
}
