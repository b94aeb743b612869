package wire_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"sotto/shared/internal/vectors"
	"sotto/shared/wire"
)

// paddingVectors are the parts of crypto.json about padding.
type paddingVectors struct {
	Pad []struct {
		Message, Result vectors.Hex
		PaddedLength    int `json:"padded_length"`
		Error           *string
	}
	Unpad []struct {
		Padded, Result vectors.Hex
		Error          *string
	}
}

func TestPaddingVectors(t *testing.T) {
	var v paddingVectors
	vectors.Load(t, "smp/crypto.json", &v)
	for _, c := range v.Pad {
		dst := bytes.Repeat([]byte{0xee}, c.PaddedLength)
		err := wire.Pad(dst, c.Message)
		if c.Error != nil {
			if !errors.Is(err, wire.ErrTooLong) || dst[0] != 0xee {
				t.Errorf("pad %d bytes to %d: %v", len(c.Message), c.PaddedLength, err)
			}
			continue
		}
		if err != nil || !bytes.Equal(dst, c.Result) {
			t.Errorf("pad %v to %d: %x, %v", c.Message, c.PaddedLength, dst, err)
		}
		if got, err := wire.Unpad(c.Result); err != nil || !bytes.Equal(got, c.Message) {
			t.Errorf("unpad %v: %x, %v", c.Result, got, err)
		}
	}
	for _, c := range v.Unpad {
		got, err := wire.Unpad(c.Padded)
		if c.Error != nil {
			if !errors.Is(err, wire.ErrSyntax) || got != nil {
				t.Errorf("unpad %v: %x, %v", c.Padded, got, err)
			}
			continue
		}
		if err != nil || !bytes.Equal(got, c.Result) {
			t.Errorf("unpad %v: %x, %v", c.Padded, got, err)
		}
	}
	t.Logf("checked %d cases", len(v.Pad)+len(v.Unpad))
}

func TestPadLimits(t *testing.T) {
	cases := []struct {
		message, padded int
		err             error
	}{
		{0, 0, wire.ErrTooLong},
		{0, 1, wire.ErrTooLong},
		{0, 2, nil},
		{1, 2, wire.ErrTooLong},
		{wire.BlockSize - 2, wire.BlockSize, nil},
		{wire.BlockSize - 1, wire.BlockSize, wire.ErrTooLong},
		{wire.MaxPayload, wire.BlockSize - wire.TagSize, nil},
		{wire.MaxPayload + 1, wire.BlockSize - wire.TagSize, wire.ErrTooLong},
		{65533, 70000, nil},
		{65534, 70000, wire.ErrTooLong},
	}
	for _, c := range cases {
		dst, message := make([]byte, c.padded), bytes.Repeat([]byte{7}, c.message)
		if err := wire.Pad(dst, message); !errors.Is(err, c.err) {
			t.Errorf("%d bytes padded to %d: %v", c.message, c.padded, err)
			continue
		}
		if c.err != nil {
			continue
		}
		if got, err := wire.Unpad(dst); err != nil || !bytes.Equal(got, message) {
			t.Errorf("%d bytes padded to %d do not come back: %v", c.message, c.padded, err)
		}
		if rest := dst[2+c.message:]; bytes.Count(rest, []byte("#")) != len(rest) {
			t.Errorf("%d bytes padded to %d: the padding is not all #", c.message, c.padded)
		}
		for _, n := range []int{0, 1, 2 + c.message - 1} {
			if _, err := wire.Unpad(dst[:n]); err == nil && n < 2+c.message {
				t.Errorf("%d bytes, cut to %d: unpadded", c.message, n)
			}
		}
	}
}

// TestPadInPlace pads a message that already lies where it belongs.
func TestPadInPlace(t *testing.T) {
	dst := make([]byte, 16)
	copy(dst[2:], "hello")
	if err := wire.Pad(dst, dst[2:7]); err != nil || string(dst) != "\x00\x05hello#########" {
		t.Errorf("%q, %v", dst, err)
	}
}

const (
	exampleSession = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
	exampleCorr    = "404142434445464748494a4b4c4d4e4f5051525354555657"
	exampleQueue   = "808182838485868788898a8b8c8d8e8f9091929394959697"
)

// TestWorkedExamples builds the unencrypted blocks of the specification.
//
// Spec: smp.md 15.1
// Spec: smp.md 15.6
func TestWorkedExamples(t *testing.T) {
	session, corr, queue := unhex(t, exampleSession), unhex(t, exampleCorr), unhex(t, exampleQueue)
	ping := func(v wire.Version) []byte {
		return wire.AppendTransmission(nil, v, false, nil, nil, session, wire.AppendSigned(nil, corr, nil, []byte("PING")))
	}
	cases := []struct {
		name, sum, start string
		transmission     []byte
	}{
		{
			"PING", "67cec9d3eabadc734e06e8d545582881ba1fa4981c114f1170736a22885b7894",
			"002201001f0018404142434445464748494a4b4c4d4e4f50515253545556570050494e4723", ping(18),
		},
		{
			"PING 6", "", "00430100400020000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f1840414243444546" +
				"4748494a4b4c4d4e4f50515253545556570050494e4723", ping(6),
		},
		{
			"ERR AUTH", "d48e3d4dc51089c59ab5803b723427904b469d663c319c0f6965b0c4dd34132a", "003e01003b0018",
			append(wire.AppendResponseHeader(nil, 18, session, corr, queue), "ERR AUTH"...),
		},
	}
	for _, c := range cases {
		var p wire.Packer
		if !p.Add(c.transmission) {
			t.Fatal("does not fit")
		}
		block := make([]byte, wire.BlockSize)
		if err := wire.Pad(block, p.Payload()); err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(block); c.sum != "" && hex.EncodeToString(sum[:]) != c.sum {
			t.Errorf("%s: sum %x", c.name, sum)
		}
		if !strings.HasPrefix(hex.EncodeToString(block), c.start) {
			t.Errorf("%s: block starts %x", c.name, block[:80])
		}
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
