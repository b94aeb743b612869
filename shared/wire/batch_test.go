package wire_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"testing"

	"sotto/shared/internal/vectors"
	"sotto/shared/wire"
)

type blockVectors struct {
	Cases []struct {
		Version       wire.Version
		Transmissions []vectors.Hex
		Content       []vectors.Hex
		Sums          []string    `json:"blocks_sha256"`
		FirstBlock    vectors.Hex `json:"first_block"`
	}
	Splitting []struct {
		Description string
		Version     wire.Version
		Lengths     []int `json:"batch_content_lengths"`
		Counts      []int `json:"batch_counts"`
		Bodies      []int `json:"message_body_lengths"`
		Errors      int
	}
}

// pack builds as many payloads as the transmissions need, each in storage of its own.
func pack(transmissions [][]byte) (payloads [][]byte) {
	var p wire.Packer
	for _, transmission := range transmissions {
		if !p.Add(transmission) {
			payloads = append(payloads, p.Payload())
			p.Reset(nil)
			p.Add(transmission)
		}
	}
	return append(payloads, p.Payload())
}

// unpack returns the transmissions of a payload, or nil if it is malformed.
func unpack(payload []byte) (transmissions [][]byte) {
	b, err := wire.ParseBatch(payload)
	if err != nil {
		return nil
	}
	for n := b.Len(); ; n-- {
		transmission, ok := b.Next()
		if !ok {
			return transmissions
		}
		if b.Len() != n-1 {
			panic("Len does not count down")
		}
		transmissions = append(transmissions, transmission)
	}
}

func TestBlockVectors(t *testing.T) {
	var v blockVectors
	vectors.Load(t, "smp/blocks.json", &v)
	for i, c := range v.Cases {
		var transmissions [][]byte
		for _, transmission := range c.Transmissions {
			transmissions = append(transmissions, transmission)
		}
		payloads := pack(transmissions)
		if len(payloads) != len(c.Content) {
			t.Fatalf("case %d: %d payloads", i, len(payloads))
		}
		var back [][]byte
		for j, payload := range payloads {
			if !bytes.Equal(payload, c.Content[j]) {
				t.Errorf("case %d: payload %x, want %v", i, payload, c.Content[j])
			}
			block := make([]byte, wire.BlockSize)
			if err := wire.Pad(block, payload); err != nil {
				t.Fatal(err)
			}
			if sum := sha256.Sum256(block); hex.EncodeToString(sum[:]) != c.Sums[j] {
				t.Errorf("case %d: block %d has sum %x", i, j, sum)
			}
			back = append(back, unpack(c.Content[j])...)
		}
		if !slices.EqualFunc(back, transmissions, bytes.Equal) {
			t.Errorf("case %d: transmissions do not come back", i)
		}
		if payload, err := wire.Unpad(c.FirstBlock); err != nil || !bytes.Equal(payload, c.Content[0]) {
			t.Errorf("case %d: first block does not unpad: %v", i, err)
		}
		for n := range c.Content[0] {
			if _, err := wire.ParseBatch(c.Content[0][:n]); !errors.Is(err, wire.ErrSyntax) {
				t.Errorf("case %d: %d bytes of the payload parse", i, n)
			}
		}
	}
	t.Logf("checked %d cases", len(v.Cases))
}

func TestSplitVectors(t *testing.T) {
	var v blockVectors
	vectors.Load(t, "smp/blocks.json", &v)
	id := make([]byte, 24)
	for _, c := range v.Splitting {
		var sizes []int
		var transmissions [][]byte
		for _, n := range c.Bodies {
			signed := wire.AppendSigned(nil, id, id, append([]byte("SEND F "), make([]byte, n)...))
			transmission := wire.AppendTransmission(nil, c.Version, false, nil, nil, nil, signed)
			sizes = append(sizes, len(transmission))
			if len(transmission) <= wire.MaxTransmission {
				transmissions = append(transmissions, transmission)
			}
		}
		counts, oversize := wire.Split(sizes)
		if !slices.Equal(counts, c.Counts) || oversize != c.Errors {
			t.Errorf("%s: %v and %d too long, want %v and %d", c.Description, counts, oversize, c.Counts, c.Errors)
		}
		for i, n := range counts {
			var p wire.Packer
			for _, transmission := range transmissions[:n] {
				if !p.Add(transmission) {
					t.Errorf("%s: block %d takes only %d", c.Description, i, p.Count())
				}
			}
			if transmissions = transmissions[n:]; len(p.Payload()) != c.Lengths[i] || p.Count() != n {
				t.Errorf("%s: payload %d has %d bytes, want %d", c.Description, i, len(p.Payload()), c.Lengths[i])
			}
		}
	}
	t.Logf("checked %d cases", len(v.Splitting))
}

// TestSplitEdges covers lists at the limits of a block.
func TestSplitEdges(t *testing.T) {
	cases := []struct {
		name     string
		sizes    []int
		counts   []int
		oversize int
	}{
		{"nothing", nil, nil, 0},
		{"only too long", []int{20000, wire.MaxTransmission + 1}, nil, 2},
		{"largest", []int{wire.MaxTransmission, wire.MaxTransmission}, []int{1, 1}, 0},
		{"exactly full", []int{wire.MaxTransmission - 2, 0}, []int{2}, 0},
		{"one byte too many", []int{wire.MaxTransmission - 2, 1}, []int{1, 1}, 0},
		{"from the end", []int{6000, 6000, 6000}, []int{1, 2}, 0},
		{"empty ones", make([]int, 600), []int{90, 255, 255}, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			counts, oversize := wire.Split(c.sizes)
			if !slices.Equal(counts, c.counts) || oversize != c.oversize {
				t.Errorf("%v and %d", counts, oversize)
			}
		})
	}
}

func TestParseBatchRejects(t *testing.T) {
	cases := map[string]string{
		"nothing": "", "count 0": "\x00", "count 0 with content": "\x00\x00\x01a", "count 1, nothing": "\x01",
		"one left over": "\x01\x00\x01a\x00\x01b", "byte left over": "\x01\x00\x01ab", "count too large": "\x02\x00\x01a",
		"long length": "\x01\xff\xffa",
	}
	for name, payload := range cases {
		t.Run(name, func(t *testing.T) {
			b, err := wire.ParseBatch([]byte(payload))
			if !errors.Is(err, wire.ErrSyntax) || b.Len() != 0 {
				t.Errorf("%d transmissions, %v", b.Len(), err)
			}
			if _, ok := b.Next(); ok {
				t.Error("Next returned one")
			}
		})
	}
	if got := unpack([]byte("\x02\x00\x00\x00\x01a")); len(got) != 2 || len(got[0]) != 0 || string(got[1]) != "a" {
		t.Errorf("an empty transmission among others: %q", got)
	}
}

func TestPackerLimits(t *testing.T) {
	var p wire.Packer
	if p.Payload() != nil || p.Count() != 0 {
		t.Error("the zero Packer has a payload")
	}
	if p.Add(make([]byte, wire.MaxTransmission+1)) || p.Payload() != nil {
		t.Error("too long a transmission was added")
	}
	if !p.Add(make([]byte, wire.MaxTransmission)) || len(p.Payload()) != wire.MaxPayload {
		t.Errorf("the longest transmission makes a payload of %d", len(p.Payload()))
	}
	if p.Add(nil) || p.Fits(0) {
		t.Error("an empty transmission was added to a full payload")
	}
	if err := wire.Pad(make([]byte, wire.BlockSize-wire.TagSize), p.Payload()); err != nil {
		t.Errorf("a full payload does not fit an encrypted block: %v", err)
	}

	p.Reset(p.Payload())
	for range wire.MaxBatch {
		if !p.Add([]byte("x")) {
			t.Fatal("refused")
		}
	}
	if p.Add([]byte("x")) || p.Count() != 255 || len(unpack(p.Payload())) != 255 {
		t.Errorf("%d transmissions of 255", p.Count())
	}
}

// TestPackerInPlace writes transmissions in place, the last of which does not fit, and carries it over into a payload
// built in the same storage.
func TestPackerInPlace(t *testing.T) {
	for _, storage := range []int{0, wire.MaxPayload, 2 * wire.MaxPayload} {
		for _, first := range []int{0, 1, wire.MaxTransmission - 1, wire.MaxTransmission} {
			var p wire.Packer
			p.Reset(make([]byte, storage))
			one, two := bytes.Repeat([]byte{1}, first), bytes.Repeat([]byte{2}, wire.MaxTransmission)
			if !p.Commit(append(p.Begin(), one...)) {
				t.Fatalf("%d bytes do not fit", first)
			}
			want := bytes.Clone(p.Payload())
			dst := append(p.Begin(), two...)
			if p.Commit(dst) {
				t.Fatal("two transmissions fit that are too long together")
			}
			if !bytes.Equal(p.Payload(), want) || p.Count() != 1 {
				t.Error("a refused transmission changed the payload")
			}
			pending := p.Pending(dst)
			p.Reset(p.Payload())
			if !p.Add(pending) {
				t.Fatal("the refused transmission does not fit an empty payload")
			}
			if got := unpack(p.Payload()); len(got) != 1 || !bytes.Equal(got[0], two) {
				t.Errorf("after %d bytes in storage of %d the second transmission is damaged", first, storage)
			}
		}
	}
}

func TestPackerRefusesForeignSlice(t *testing.T) {
	var p wire.Packer
	p.Begin()
	if p.Commit(nil) || p.Count() != 0 {
		t.Error("a slice that Begin did not return was added")
	}
}
