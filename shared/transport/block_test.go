package transport

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"sotto/shared/box"
	"sotto/shared/wire"
)

// memory is a connection that remembers what is written and reads what was put there.
type memory struct {
	net.Conn
	in, out bytes.Buffer
	fail    error // of the next writes
}

func (m *memory) Read(p []byte) (int, error) { return m.in.Read(p) }

func (m *memory) Write(p []byte) (int, error) {
	if m.fail != nil {
		return 0, m.fail
	}
	return m.out.Write(p)
}

// written returns the blocks written since the last call.
func (m *memory) written(t testing.TB) [][]byte {
	t.Helper()
	if m.out.Len()%wire.BlockSize != 0 {
		t.Fatalf("wrote %d bytes", m.out.Len())
	}
	var blocks [][]byte
	for m.out.Len() > 0 {
		blocks = append(blocks, bytes.Clone(m.out.Next(wire.BlockSize)))
	}
	return blocks
}

// chains returns the chains of both ends: sending and receiving for the relay, then for the client.
func chains(secret, sessionID []byte) (relaySend, relayRecv, clientSend, clientRecv box.Chain) {
	relaySend, relayRecv = box.NewChains((*[32]byte)(secret), sessionID)
	clientRecv, clientSend = box.NewChains((*[32]byte)(secret), sessionID)
	return relaySend, relayRecv, clientSend, clientRecv
}

// encryptedPair returns both ends of an encrypted connection over memory.
func encryptedPair() (relay, client *BlockConn, relayConn, clientConn *memory) {
	relaySend, relayRecv, clientSend, clientRecv := chains(ascending(1, 32), ascending(2, 32))
	relayConn, clientConn = new(memory), new(memory)
	relay, client = NewBlockConn(relayConn), NewBlockConn(clientConn)
	relay.Encrypt(relaySend, relayRecv)
	client.Encrypt(clientSend, clientRecv)
	return relay, client, relayConn, clientConn
}

// TestMalformedBlocks checks that a connection goes on after a block that makes no sense.
func TestMalformedBlocks(t *testing.T) {
	overlong := bytes.Repeat([]byte{0xff}, wire.BlockSize)
	t.Run("plain", func(t *testing.T) {
		conn := new(memory)
		c := NewBlockConn(conn)
		if err := c.WriteBlock([]byte("good")); err != nil {
			t.Fatal(err)
		}
		conn.in.Write(overlong)
		conn.in.Write(conn.written(t)[0])
		checkReads(t, c, "", "good")
	})
	for name, spoil := range map[string]func(block []byte){
		"tag":        func(b []byte) { b[0] ^= 1 },
		"body":       func(b []byte) { b[wire.BlockSize-1] ^= 1 },
		"other":      func(b []byte) { copy(b, overlong) },
		"plain text": func(b []byte) { wire.Pad(b, []byte("hello")) },
	} {
		t.Run("encrypted, "+name, func(t *testing.T) {
			relay, client, relayConn, clientConn := encryptedPair()
			for _, payload := range []string{"first", "spoilt", "third"} {
				if err := client.WriteBlock([]byte(payload)); err != nil {
					t.Fatal(err)
				}
			}
			blocks := clientConn.written(t)
			spoil(blocks[1])
			relayConn.in.Write(slices.Concat(blocks...))
			checkReads(t, relay, "first", "", "third")
		})
	}
}

// checkReads fails the test unless c reads these payloads, "" being a malformed block, and then ends.
func checkReads(t *testing.T, c *BlockConn, want ...string) {
	t.Helper()
	var room Block
	defer room.Release()
	for i, payload := range want {
		got, err := c.ReadBlock(&room)
		if payload == "" {
			if err != ErrBlock {
				t.Errorf("block %d: %v", i, err)
			}
			continue
		}
		if err != nil || string(got) != payload {
			t.Errorf("block %d: %q %v", i, got, err)
		}
	}
	if _, err := c.ReadBlock(&room); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}

func TestShortBlocks(t *testing.T) {
	for _, n := range []int{1, 2, 100, wire.BlockSize - 1} {
		for _, encrypted := range []bool{false, true} {
			relay, _, conn, _ := encryptedPair()
			if !encrypted {
				relay = NewBlockConn(conn)
			}
			conn.in.Write(make([]byte, n))
			var room Block
			if _, err := relay.ReadBlock(&room); err != io.ErrUnexpectedEOF {
				t.Errorf("%d bytes, encrypted %v: %v", n, encrypted, err)
			}
			room.Release()
		}
	}
}

func TestPayloadSizes(t *testing.T) {
	for _, c := range []struct {
		size             int
		plain, encrypted bool
	}{
		{0, true, true},
		{1, true, true},
		{wire.BatchCapacity + 1, true, true},
		{MaxEncryptedPayload, true, true},
		{MaxEncryptedPayload + 1, true, false},
		{MaxPlainPayload, true, false},
		{MaxPlainPayload + 1, false, false},
		{70_000, false, false},
	} {
		relay, client, relayConn, clientConn := encryptedPair()
		payload := ascending(3, c.size)
		for _, way := range []struct {
			name  string
			fits  bool
			write func([]byte) error
			read  func(*Block) ([]byte, error)
		}{
			{"block", c.encrypted, client.WriteBlock, relay.ReadBlock},
			{"hello", c.plain, client.WriteHello, relay.ReadHello},
		} {
			err := way.write(payload)
			if way.fits != (err == nil) || err != nil && !errors.Is(err, wire.ErrTooLong) {
				t.Errorf("%s of %d: %v", way.name, c.size, err)
			}
			if err != nil {
				if clientConn.out.Len() != 0 {
					t.Errorf("%s of %d: wrote %d bytes", way.name, c.size, clientConn.out.Len())
				}
				continue
			}
			relayConn.in.Write(clientConn.written(t)[0])
			var room Block
			if got, err := way.read(&room); err != nil || !bytes.Equal(got, payload) {
				t.Errorf("%s of %d: %v", way.name, c.size, err)
			}
		}
		// The chain has taken no step for what was not sent.
		if err := client.WriteBlock([]byte("next")); err != nil {
			t.Fatal(err)
		}
		relayConn.in.Write(clientConn.written(t)[0])
		checkReads(t, relay, "next")
	}
}

func TestWriteFails(t *testing.T) {
	_, client, _, conn := encryptedPair()
	conn.fail = errors.New("broken")
	if err := client.WriteBlock([]byte("lost")); err != conn.fail {
		t.Error(err)
	}
	failed := conn.fail
	conn.fail = nil
	for _, write := range []func([]byte) error{client.WriteBlock, client.WriteHello} {
		if err := write([]byte("after a gap")); err != failed || conn.out.Len() != 0 {
			t.Errorf("%v, wrote %d bytes", err, conn.out.Len())
		}
	}
}

// TestConcurrentWrites has many writers; if the step of the chain and the write were not one, blocks would not open.
func TestConcurrentWrites(t *testing.T) {
	const writers, each = 8, 20
	relaySend, relayRecv, clientSend, clientRecv := chains(ascending(1, 32), ascending(2, 32))
	a, b := net.Pipe()
	relay, client := NewBlockConn(a), NewBlockConn(b)
	relay.Encrypt(relaySend, relayRecv)
	client.Encrypt(clientSend, clientRecv)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				if err := relay.WriteBlock(fmt.Appendf(nil, "%d %d", w, i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	next := make([]int, writers)
	var room Block
	for range writers * each {
		payload, err := client.ReadBlock(&room)
		if err != nil {
			t.Fatal(err)
		}
		var w, i int
		if _, err := fmt.Sscanf(string(payload), "%d %d", &w, &i); err != nil || next[w] != i {
			t.Fatalf("%q, want the block %d", payload, next[w])
		}
		next[w]++
	}
	wg.Wait()
	if err := errors.Join(relay.Close(), client.Close()); err != nil {
		t.Error(err)
	}
}

// TestOverTLS exchanges blocks over a real session.
func TestOverTLS(t *testing.T) {
	id := newIdentity(t)
	c, s := handshakes(t, connect(ClientConfig{Fingerprint: id.Fingerprint(), ALPN: []string{ALPN}}), serve(ServerConfig(id)))
	checkSessions(t, c, s, 32)
	relay, client := NewBlockConn(s.session.Conn), NewBlockConn(c.session.Conn)
	secret := ascending(9, 32)
	relaySend, relayRecv, _, _ := chains(secret, s.session.ID)
	_, _, clientSend, clientRecv := chains(secret, c.session.ID)
	var room Block
	defer room.Release()
	if err := relay.WriteHello([]byte("server hello")); err != nil {
		t.Fatal(err)
	}
	if got, err := client.ReadHello(&room); err != nil || string(got) != "server hello" {
		t.Fatalf("%q %v", got, err)
	}
	relay.Encrypt(relaySend, relayRecv)
	client.Encrypt(clientSend, clientRecv)
	for i := range 20 {
		payload := strings.Repeat(hex.EncodeToString([]byte{byte(i)}), i*400)
		for _, way := range [][2]*BlockConn{{relay, client}, {client, relay}} {
			if err := way[0].WriteBlock([]byte(payload)); err != nil {
				t.Fatal(err)
			}
			if got, err := way[1].ReadBlock(&room); err != nil || string(got) != payload {
				t.Fatalf("block %d: %v", i, err)
			}
		}
	}
	if err := client.Close(); err != nil {
		t.Error(err)
	}
	if _, err := relay.ReadBlock(&room); err != io.EOF {
		t.Errorf("after close: %v", err)
	}
	if err := client.WriteBlock(nil); err != net.ErrClosed {
		t.Errorf("after close: %v", err)
	}
}

// TestBlocksAllocateNothing holds the hot path to its promise.
func TestBlocksAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes pools forget")
	}
	const runs = 100
	payload := ascending(0, wire.BatchCapacity)
	relay, client, relayConn, clientConn := encryptedPair()
	clientConn.out.Grow((runs + 1) * wire.BlockSize)
	write := func() {
		if err := client.WriteBlock(payload); err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(runs, write); n != 0 {
		t.Errorf("writing takes %v allocations", n)
	}
	relayConn.in.Write(clientConn.out.Bytes())
	var room Block
	read := func() {
		if _, err := relay.ReadBlock(&room); err != nil {
			t.Fatal(err)
		}
		room.Release()
	}
	if n := testing.AllocsPerRun(runs, read); n != 0 {
		t.Errorf("reading takes %v allocations", n)
	}
}

func FuzzReadBlock(f *testing.F) {
	_, client, _, conn := encryptedPair()
	for _, payload := range []string{"", "payload", strings.Repeat("x", MaxEncryptedPayload)} {
		client.WriteBlock([]byte(payload))
	}
	blocks := conn.written(f)
	f.Add(blocks[0], true)
	f.Add(slices.Concat(blocks...), true)
	f.Add(blocks[0][:100], true)
	f.Add(slices.Concat(blocks...), false)
	f.Fuzz(func(t *testing.T, sent []byte, encrypted bool) {
		relay, _, conn, _ := encryptedPair()
		if !encrypted {
			relay = NewBlockConn(conn)
		}
		conn.in.Write(sent)
		var room Block
		defer room.Release()
		for n := range len(sent)/wire.BlockSize + 1 {
			payload, err := relay.ReadBlock(&room)
			if whole := n < len(sent)/wire.BlockSize; whole != (err == nil || err == ErrBlock) {
				t.Fatalf("block %d of %d bytes: %v", n, len(sent), err)
			}
			if len(payload) > MaxPlainPayload {
				t.Fatalf("payload of %d bytes", len(payload))
			}
		}
	})
}
