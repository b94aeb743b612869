package box

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"sotto/shared/internal/vectors"
	"sotto/shared/wire"
)

type chainBlock struct {
	Content      vectors.Hex
	Encrypted    vectors.Hex
	Length       int         `json:"encrypted_length"`
	Sum          string      `json:"encrypted_sha256"`
	Start        string      `json:"encrypted_start"`
	NextChainKey vectors.Hex `json:"next_chain_key"`
	Key, Nonce   vectors.Hex
}

type chainVectors struct {
	ChainKeys struct {
		Server vectors.Hex `json:"first_half_server_sends"`
		Client vectors.Hex `json:"second_half_client_sends"`
	} `json:"chain_keys"`
	ClientPrivate  string       `json:"client_private"`
	ServerPrivate  string       `json:"server_private"`
	ClientToServer []chainBlock `json:"client_to_server"`
	ServerToClient []chainBlock `json:"server_to_client"`
	SessionID      vectors.Hex  `json:"session_id"`
	Secret         vectors.Hex  `json:"shared_secret"`
	TooLarge       struct {
		Length int `json:"content_length"`
	} `json:"too_large"`
}

func TestChainVectors(t *testing.T) {
	var v chainVectors
	vectors.Load(t, "smp/block_encryption.json", &v)
	secret := agreeNamed(t, vectors.Keys(t), v.ClientPrivate, v.ServerPrivate)
	if !bytes.Equal(secret[:], v.Secret) {
		t.Errorf("secret %x", secret)
	}
	server, client := NewChains(&secret, v.SessionID)
	if !bytes.Equal(server.key[:], v.ChainKeys.Server) || !bytes.Equal(client.key[:], v.ChainKeys.Client) {
		t.Errorf("chain keys %x and %x", server.key, client.key)
	}
	checkChain(t, "server", server, v.ServerToClient)
	checkChain(t, "client", client, v.ClientToServer)

	before := server.key
	block := make([]byte, wire.BlockSize)
	if err := server.Seal(block, make([]byte, v.TooLarge.Length)); !errors.Is(err, wire.ErrTooLong) {
		t.Errorf("%d bytes: %v", v.TooLarge.Length, err)
	}
	if server.key != before || !bytes.Equal(block, make([]byte, wire.BlockSize)) {
		t.Error("a payload that is too long advanced the chain or wrote to the block")
	}
	t.Logf("checked %d blocks", len(v.ServerToClient)+len(v.ClientToServer))
}

// checkChain runs one direction through both of its ends.
func checkChain(t *testing.T, name string, c Chain, blocks []chainBlock) {
	t.Helper()
	sender, receiver, stepper := c, c, c
	storage := make([]byte, paddedBlock)
	for i, want := range blocks {
		k, nonce := stepper.step()
		if !bytes.Equal(k[:], want.Key) || !bytes.Equal(nonce[:], want.Nonce) {
			t.Errorf("%s block %d: key %x, nonce %x", name, i, k, nonce)
		}
		block := make([]byte, wire.BlockSize)
		if err := sender.Seal(block, want.Content); err != nil {
			t.Fatal(err)
		}
		checkSum(t, name, block, want.Length, want.Start, want.Sum)
		if want.Encrypted != nil && !bytes.Equal(block, want.Encrypted) {
			t.Errorf("%s block %d differs", name, i)
		}
		payload, err := receiver.Open(storage, block)
		if err != nil || !bytes.Equal(payload, want.Content) {
			t.Errorf("%s block %d opens to %x, %v", name, i, payload, err)
		}
		if len(payload) > 0 && &payload[0] != &storage[2] {
			t.Errorf("%s block %d was not opened into the storage", name, i)
		}
		for _, end := range []Chain{stepper, sender, receiver} {
			if !bytes.Equal(end.key[:], want.NextChainKey) {
				t.Errorf("%s block %d: next chain key %x", name, i, end.key)
			}
		}
	}
}

// sessionVectors is a conversation of PING and PONG after a handshake.
type sessionVectors struct {
	Session struct {
		CorrIDs   []vectors.Hex `json:"corr_ids"`
		ClientKey string        `json:"client_key"`
		ServerKey string        `json:"server_key"`
		SessionID vectors.Hex   `json:"session_id"`
		Version   wire.Version
		Client    []sessionBlock `json:"client_blocks"`
		Server    []sessionBlock `json:"server_blocks"`
		First     vectors.Hex    `json:"first_client_block"`
		FirstBack vectors.Hex    `json:"first_server_block"`
	}
}

type sessionBlock struct {
	Length int
	SHA256 string
	Start  string
}

func TestSessionVectors(t *testing.T) {
	var v sessionVectors
	vectors.Load(t, "smp/handshake.json", &v)
	s := v.Session
	secret := agreeNamed(t, vectors.Keys(t), s.ClientKey, s.ServerKey)
	server, client := NewChains(&secret, s.SessionID)
	clientReader, serverReader := client, server
	for i, ids := range [][]vectors.Hex{s.CorrIDs[:1], s.CorrIDs[1:3], s.CorrIDs[3:]} {
		var pings, pongs wire.Packer
		for _, id := range ids {
			signed := wire.AppendSigned(nil, id, nil, []byte("PING"))
			pings.Add(wire.AppendTransmission(nil, s.Version, false, nil, nil, nil, signed))
			pongs.Add(append(wire.AppendResponseHeader(nil, s.Version, s.SessionID, id, nil), "PONG"...))
		}
		for _, d := range []struct {
			name         string
			sender, back *Chain
			want         sessionBlock
			first        []byte
			payload      []byte
		}{
			{"client", &client, &clientReader, s.Client[i], s.First, pings.Payload()},
			{"server", &server, &serverReader, s.Server[i], s.FirstBack, pongs.Payload()},
		} {
			block := make([]byte, wire.BlockSize)
			if err := d.sender.Seal(block, d.payload); err != nil {
				t.Fatal(err)
			}
			checkSum(t, d.name, block, d.want.Length, d.want.Start, d.want.SHA256)
			if i == 0 && !bytes.Equal(block, d.first) {
				t.Errorf("%s: first block differs", d.name)
			}
			if got, err := d.back.Open(nil, block); err != nil || !bytes.Equal(got, d.payload) {
				t.Errorf("%s: block %d: %v", d.name, i, err)
			}
		}
	}
	t.Logf("checked %d blocks", len(s.Client)+len(s.Server))
}

// TestHKDFVectors checks NewChains and the HMAC of steps against the vectors for HKDF.
func TestHKDFVectors(t *testing.T) {
	var v cryptoVectors
	vectors.Load(t, "smp/crypto.json", &v)
	for i, c := range v.HKDF {
		var got []byte
		if c.Info == chainInitInfo {
			one, two := NewChains((*[KeySize]byte)(c.IKM), c.Salt)
			got = append(one.key[:], two.key[:]...)
		} else {
			prk := hmacSHA512(c.Salt, c.IKM)
			okm := hmacSHA512(prk[:], append([]byte(c.Info), 1))
			got = okm[:]
		}
		if !bytes.Equal(got, c.Output) {
			t.Errorf("case %d: %x, want %v", i, got, c.Output)
		}
	}
	t.Logf("checked %d cases", len(v.HKDF))
}

// TestStepIsHKDF compares the written out step with the standard library's HKDF.
func TestStepIsHKDF(t *testing.T) {
	for i := range 200 {
		var k [KeySize]byte
		binary.BigEndian.PutUint64(k[i%24:], uint64(i)*0x9e3779b97f4a7c15)
		want, err := hkdf.Key(sha512.New, k[:], nil, chainStepInfo, 2*KeySize+NonceSize)
		if err != nil {
			t.Fatal(err)
		}
		if got := expandStep(&k); !bytes.Equal(got[:len(want)], want) {
			t.Errorf("step of %x: %x, want %x", k, got, want)
		}
	}
}

// TestChainAdvances checks that a block that does not open leaves the chain ready for the next.
func TestChainAdvances(t *testing.T) {
	sender, _ := NewChains((*[KeySize]byte)(seed(1)), []byte("session"))
	receiver := sender
	block, dst := make([]byte, wire.BlockSize), make([]byte, wire.BlockSize)
	seal := func() {
		t.Helper()
		if err := sender.Seal(block, []byte("payload")); err != nil {
			t.Fatal(err)
		}
	}
	damage := map[string]func() []byte{
		"tag":     func() []byte { block[0] ^= 1; return block },
		"content": func() []byte { block[wire.BlockSize-1] ^= 1; return block },
		"short":   func() []byte { return block[:wire.BlockSize-1] },
		"long":    func() []byte { return append(bytes.Clone(block), 0) },
		"empty":   func() []byte { return nil },
	}
	for name, f := range damage {
		seal()
		if got, err := receiver.Open(dst, f()); !errors.Is(err, ErrOpen) || got != nil {
			t.Errorf("%s: %v", name, err)
		}
		seal()
		if got, err := receiver.Open(dst, block); err != nil || string(got) != "payload" {
			t.Errorf("block after %s: %q, %v", name, got, err)
		}
	}

	// An authentic block whose payload claims to be longer than it is.
	k, nonce := sender.step()
	padded := bytes.Repeat([]byte{0xff}, paddedBlock)
	if got, err := receiver.Open(dst, Seal(nil, padded, &nonce, &k)); !errors.Is(err, wire.ErrSyntax) || got != nil {
		t.Errorf("wrong padding: %v", err)
	}
	seal()
	if got, err := receiver.Open(dst, block); err != nil || string(got) != "payload" {
		t.Errorf("block after wrong padding: %q, %v", got, err)
	}
	if got, err := receiver.Open(dst, block); err == nil {
		t.Errorf("a block opens twice: %q", got)
	}
}

func TestSealRefusesOtherBlocks(t *testing.T) {
	c, _ := NewChains((*[KeySize]byte)(seed(1)), nil)
	before := c
	for _, n := range []int{0, wire.BlockSize - 1, wire.BlockSize + 1} {
		if err := c.Seal(make([]byte, n), nil); !errors.Is(err, wire.ErrTooLong) || c != before {
			t.Errorf("block of %d: %v", n, err)
		}
	}
	if err := c.Seal(make([]byte, wire.BlockSize), make([]byte, wire.MaxPayload)); err != nil {
		t.Errorf("largest payload: %v", err)
	}
	for _, verb := range []string{"%v", "%x", "%d", "%#v"} {
		if got := fmt.Sprintf(verb, []any{c, &c}); strings.Count(got, "[chain]") != 2 {
			t.Errorf("prints with %s as %s", verb, got)
		}
	}
	c.Wipe()
	if c != (Chain{}) {
		t.Error("Wipe left the key")
	}
}

func TestAllocations(t *testing.T) {
	sender, _ := NewChains((*[KeySize]byte)(seed(1)), []byte("session"))
	receiver := sender
	block, dst, payload := make([]byte, wire.BlockSize), make([]byte, paddedBlock), make([]byte, 1000)
	body, sealed, nonce := make([]byte, 16000), make([]byte, 0, wire.BlockSize), [NonceSize]byte{}
	k := [KeySize]byte(seed(2))
	cases := map[string]func(){
		"Chain.Seal": func() { _ = sender.Seal(block, payload) },
		"Chain.Open": func() { _, _ = receiver.Open(dst, block) },
		"Chain.Seal and Open": func() {
			c := sender
			if err := sender.Seal(block, payload); err != nil {
				t.Error(err)
			}
			if _, err := c.Open(dst, block); err != nil {
				t.Error(err)
			}
		},
		"Seal": func() { Seal(sealed, body, &nonce, &k) },
		"SealPadded": func() {
			b, err := SealPadded(sealed, body, &nonce, &k, 16106)
			if err != nil {
				t.Error(err)
			}
			if _, err := OpenPadded(dst[:0], b, &nonce, &k); err != nil {
				t.Error(err)
			}
		},
	}
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool drop what it is given")
	}
	for name, f := range cases {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func FuzzChainOpen(f *testing.F) {
	var v chainVectors
	vectors.Load(f, "smp/block_encryption.json", &v)
	for _, b := range append(v.ClientToServer, v.ServerToClient...) {
		if b.Encrypted != nil {
			f.Add([]byte(b.Encrypted))
		}
		f.Add([]byte(b.Content))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		sender, _ := NewChains((*[KeySize]byte)(v.Secret), v.SessionID)
		receiver := sender
		block := make([]byte, wire.BlockSize)
		copy(block, b)
		if _, err := receiver.Open(nil, block); err != nil && !errors.Is(err, ErrOpen) && !errors.Is(err, wire.ErrSyntax) {
			t.Fatal(err)
		}
		sender.step()
		if err := sender.Seal(block, b); err != nil {
			if len(b) <= wire.MaxPayload {
				t.Fatal(err)
			}
			return
		}
		if got, err := receiver.Open(nil, block); err != nil || !bytes.Equal(got, b) {
			t.Fatalf("the block after a failed one does not open: %v", err)
		}
	})
}

func BenchmarkChainSeal(b *testing.B) {
	c, _ := NewChains((*[KeySize]byte)(seed(1)), []byte("session"))
	block, payload := make([]byte, wire.BlockSize), make([]byte, wire.MaxPayload)
	b.ReportAllocs()
	b.SetBytes(wire.BlockSize)
	for b.Loop() {
		if err := c.Seal(block, payload); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkChainOpen(b *testing.B) {
	c, _ := NewChains((*[KeySize]byte)(seed(1)), []byte("session"))
	start := c
	block, dst := make([]byte, wire.BlockSize), make([]byte, paddedBlock)
	if err := c.Seal(block, make([]byte, wire.MaxPayload)); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(wire.BlockSize)
	for b.Loop() {
		c = start
		if _, err := c.Open(dst, block); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStep(b *testing.B) {
	var k [KeySize]byte
	b.Run("here", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			out := expandStep(&k)
			copy(k[:], out[:])
		}
	})
	b.Run("crypto/hkdf", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			out, err := hkdf.Key(sha512.New, k[:], nil, chainStepInfo, 2*KeySize+NonceSize)
			if err != nil {
				b.Fatal(err)
			}
			copy(k[:], out)
		}
	})
}
