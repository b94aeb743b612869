package file

import (
	"bytes"
	"io"
	"runtime"
	"testing"
)

// zeros is a file of any length that takes no memory.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// large is a file that must never be in memory as a whole.
const large = 64 << 20

func largeEncrypter(t testing.TB) (e *Encrypter, total int64) {
	t.Helper()
	p, err := Encoded(Header{Name: "large"}, large)
	if err != nil {
		t.Fatal(err)
	}
	total = sum(ChunkSizes(p))
	e, err = NewEncrypter(io.LimitReader(zeros{}, large), large, Header{Name: "large"}, total, testKey, testNonce)
	if err != nil {
		t.Fatal(err)
	}
	return e, total
}

// TestConstantMemory passes 64 MiB through both, one into the other, with the memory for two pieces.
func TestConstantMemory(t *testing.T) {
	const most = 256 << 10
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	e, total := largeEncrypter(t)
	d, err := NewDecrypter(e, total, testKey, testNonce)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := d.WriteTo(io.Discard); n != large || err != nil {
		t.Fatalf("%d bytes: %v", n, err)
	}
	runtime.ReadMemStats(&after)
	if e.Digest() != d.Digest() {
		t.Error("the digests differ")
	}
	allocated := after.TotalAlloc - before.TotalAlloc
	if allocated > most {
		t.Errorf("%d bytes were allocated for a file of %d, more than %d", allocated, large, most)
	}
	t.Logf("%d bytes were allocated for a file of %d", allocated, large)
}

// TestReadAllocatesNothing: reading by pieces takes no memory but the caller's.
func TestReadAllocatesNothing(t *testing.T) {
	e, _ := largeEncrypter(t)
	piece := make([]byte, pieceSize)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := io.ReadFull(e, piece); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations for a piece", n)
	}
}

func BenchmarkEncrypter(b *testing.B) {
	content := make([]byte, 8<<20)
	p, err := Encoded(Header{}, int64(len(content)))
	if err != nil {
		b.Fatal(err)
	}
	total := sum(ChunkSizes(p))
	piece := make([]byte, pieceSize)
	b.SetBytes(total)
	b.ReportAllocs()
	for b.Loop() {
		e, err := NewEncrypter(bytes.NewReader(content), int64(len(content)), Header{}, total, testKey, testNonce)
		if err != nil {
			b.Fatal(err)
		}
		for err == nil {
			_, err = e.Read(piece)
		}
		if err != io.EOF {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecrypter(b *testing.B) {
	content := make([]byte, 8<<20)
	p, err := Encoded(Header{}, int64(len(content)))
	if err != nil {
		b.Fatal(err)
	}
	total := sum(ChunkSizes(p))
	encrypted := encrypt(b, content, Header{}, total, testKey, testNonce)
	b.SetBytes(total)
	b.ReportAllocs()
	for b.Loop() {
		d, err := NewDecrypter(bytes.NewReader(encrypted), total, testKey, testNonce)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := d.WriteTo(io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}
