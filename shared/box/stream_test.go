package box

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"golang.org/x/crypto/nacl/secretbox"

	"sotto/shared/internal/vectors"
)

type generated struct {
	Seed   vectors.Hex
	Length int
}

// bytes makes the input that the vectors describe.
func (g generated) bytes() []byte {
	var b []byte
	for i := uint64(0); len(b) < g.Length; i++ {
		block := sha256.Sum256(binary.BigEndian.AppendUint64(bytes.Clone(g.Seed), i))
		b = append(b, block[:]...)
	}
	return b[:g.Length]
}

type chunkVector struct {
	Name            string
	ClientPrivate   vectors.Hex
	ServerPublic    vectors.Hex
	Secret          vectors.Hex `json:"dhSecret"`
	Nonce           vectors.Hex
	Plain           vectors.Hex
	PlainData       *generated
	Pieces          []int
	CipherPieces    []vectors.Hex
	Tag             vectors.Hex
	Encrypted       vectors.Hex
	EncryptedSHA256 vectors.Hex
	EncryptedLength int
	ExpectedDigest  vectors.Hex
}

type chunkVectors struct {
	Small, Large, Errors []chunkVector
	Box                  []struct {
		Key, Nonce, Message, Boxed, BoxedPadded vectors.Hex
		PaddedSize                              int
	}
}

func (c chunkVector) keys() (k [KeySize]byte, nonce [NonceSize]byte) {
	return [KeySize]byte(c.Secret), [NonceSize]byte(c.Nonce)
}

func TestStreamVectors(t *testing.T) {
	var v chunkVectors
	vectors.Load(t, "xftp/transport_chunks.json", &v)
	for i, c := range append(v.Small, v.Large...) {
		k, nonce := c.keys()
		if agree(t, c.ServerPublic, c.ClientPrivate) != k {
			t.Errorf("%d: another secret is agreed", i)
		}
		plain := []byte(c.Plain)
		if c.PlainData != nil {
			plain = c.PlainData.bytes()
		}
		s := NewSealer(&k, &nonce)
		var sealed []byte
		rest := plain
		for n, size := range c.Pieces {
			piece := s.Seal(nil, rest[:size])
			if c.CipherPieces != nil && !bytes.Equal(piece, c.CipherPieces[n]) {
				t.Errorf("%d: piece %d is %x", i, n, piece)
			}
			rest, sealed = rest[size:], append(sealed, piece...)
		}
		sealed = s.Seal(sealed, rest)
		tag := s.Tag()
		if !bytes.Equal(tag[:], c.Tag) {
			t.Errorf("%d: tag %x", i, tag)
		}
		whole := append(bytes.Clone(sealed), tag[:]...)
		if sum := sha256.Sum256(whole); c.Encrypted != nil && !bytes.Equal(whole, c.Encrypted) ||
			c.EncryptedSHA256 != nil && !bytes.Equal(sum[:], c.EncryptedSHA256) {
			t.Errorf("%d: another ciphertext", i)
		}
		o := NewOpener(&k, &nonce)
		opened := o.Open(sealed[:0], sealed) // in place
		if !bytes.Equal(opened, plain) || !o.Verify(c.Tag) {
			t.Errorf("%d: does not open", i)
		}
	}
	for _, c := range v.Errors {
		k, nonce := c.keys()
		o := NewOpener(&k, &nonce)
		end := max(0, len(c.Encrypted)-TagSize)
		opened := o.Open(nil, c.Encrypted[:end])
		authentic := o.Verify(c.Encrypted[end:])
		if sum := sha256.Sum256(opened); c.ExpectedDigest != nil {
			// Everything but the digest is right.
			authentic = authentic == bytes.Equal(sum[:], c.ExpectedDigest)
		}
		if authentic {
			t.Errorf("%s is accepted", c.Name)
		}
	}
	for i, c := range v.Box {
		k, nonce := [KeySize]byte(c.Key), [NonceSize]byte(c.Nonce)
		padded, err := SealPadded(nil, c.Message, &nonce, &k, c.PaddedSize)
		if !bytes.Equal(Seal(nil, c.Message, &nonce, &k), c.Boxed) || err != nil || !bytes.Equal(padded, c.BoxedPadded) {
			t.Errorf("box %d differs", i)
		}
	}
	t.Logf("checked %d streams, %d refused, %d boxes", len(v.Small)+len(v.Large), len(v.Errors), len(v.Box))
}

// TestStreamIsBox: sealed in any pieces, a stream is the box of the same bytes with the tag moved to the end.
func TestStreamIsBox(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for n := range 1500 {
		checkStream(t, make([]byte, n), random)
	}
}

func checkStream(t *testing.T, plain []byte, random *rand.Rand) {
	t.Helper()
	k, nonce := [KeySize]byte{1, 2, 3}, [NonceSize]byte{4, 5, 6, 23: 7}
	want := Seal(nil, plain, &nonce, &k)
	s, o := NewSealer(&k, &nonce), NewOpener(&k, &nonce)
	var sealed, opened []byte
	for rest := plain; len(rest) > 0; {
		piece := rest[:1+random.IntN(len(rest))]
		rest = rest[len(piece):]
		sealed = s.Seal(sealed, piece)
		opened = o.Open(opened, sealed[len(sealed)-len(piece):])
	}
	tag := s.Tag()
	if !bytes.Equal(sealed, want[secretbox.Overhead:]) || !bytes.Equal(tag[:], want[:secretbox.Overhead]) {
		t.Fatalf("%d bytes: the stream is not the box", len(plain))
	}
	if !bytes.Equal(opened, plain) || !o.Verify(tag[:]) || o.Verify(tag[:15]) {
		t.Fatalf("%d bytes do not open", len(plain))
	}
	tag[0] ^= 1
	if o = NewOpener(&k, &nonce); o.Verify(tag[:]) {
		t.Fatal("a wrong tag is accepted")
	}
}

func TestStreamPrintsNothing(t *testing.T) {
	var k [KeySize]byte
	var nonce [NonceSize]byte
	for _, v := range []any{NewSealer(&k, &nonce), NewOpener(&k, &nonce), *NewSealer(&k, &nonce)} {
		if got := fmt.Sprintf("%v%+v%x", v, v, v); got != "[stream][stream][stream]" {
			t.Errorf("%T prints %s", v, got)
		}
	}
}

func TestStreamAllocatesNothing(t *testing.T) {
	var k [KeySize]byte
	var nonce [NonceSize]byte
	s, o, piece := NewSealer(&k, &nonce), NewOpener(&k, &nonce), make([]byte, 16<<10)
	if n := testing.AllocsPerRun(100, func() {
		s.Seal(piece[:0], piece)
		o.Open(piece[:0], piece)
	}); n != 0 {
		t.Errorf("%v allocations for a piece", n)
	}
}

func FuzzStream(f *testing.F) {
	f.Add([]byte("plain"), uint64(1))
	f.Add(make([]byte, 200), uint64(2))
	f.Fuzz(func(t *testing.T, plain []byte, seed uint64) { checkStream(t, plain, rand.New(rand.NewPCG(seed, 0))) })
}

func BenchmarkStream(b *testing.B) {
	var k [KeySize]byte
	var nonce [NonceSize]byte
	piece := make([]byte, 64<<10)
	s, o := NewSealer(&k, &nonce), NewOpener(&k, &nonce)
	b.Run("seal", func(b *testing.B) {
		b.SetBytes(int64(len(piece)))
		for b.Loop() {
			s.Seal(piece[:0], piece)
		}
	})
	b.Run("open", func(b *testing.B) {
		b.SetBytes(int64(len(piece)))
		for b.Loop() {
			o.Open(piece[:0], piece)
		}
	})
}
