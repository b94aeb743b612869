package tls13

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"sotto/shared/key"
)

// pair returns a client and a server after their handshake.
func pair(t testing.TB) (client, server *Conn) {
	t.Helper()
	own := relay(t, key.Ed25519)
	return both(t, &script{own: own}, &Config{VerifyChain: trusts(own)})
}

// TestKeysGetOld has so much sent that keys are changed, of both ends though only one has got old.
func TestKeysGetOld(t *testing.T) {
	client, server := pair(t)
	const limit = 10
	client.out.limit = limit
	first, answers := client.out.secret, server.out.secret
	for range limit {
		transfer(t, client, server, []byte("data"))
	}
	if client.out.secret != first || client.out.seq != limit {
		t.Fatalf("keys changed before %d records, at %d", limit, client.out.seq)
	}
	transfer(t, client, server, []byte("data"))
	if client.out.secret == first || client.out.seq != 1 || server.in.secret != client.out.secret {
		t.Errorf("keys not changed after %d records", limit)
	}
	for range limit {
		transfer(t, server, client, []byte("data"))
	}
	transfer(t, client, server, []byte("asks for new keys"))
	transfer(t, server, client, []byte("has them"))
	if server.out.secret == answers || client.in.secret != server.out.secret || server.out.seq != 1 {
		t.Error("the other end's keys were not changed")
	}
	transfer(t, client, server, []byte("asks no more"))
	if server.out.due.Load() {
		t.Error("the other end was asked twice")
	}
}

// TestManyRequests has a peer ask for new keys often while there is nothing to send: one change answers all.
func TestManyRequests(t *testing.T) {
	client, server := pair(t)
	first := client.out.secret
	server.out.Lock()
	for range maxIdleRecords {
		if err := server.out.send(server.raw, recordHandshake, marshalKeyUpdate(true)); err != nil {
			t.Fatal(err)
		}
		server.out.update()
	}
	server.out.Unlock()
	transfer(t, server, client, []byte("data"))
	if client.out.secret != first || !client.out.due.Load() {
		t.Error("answered before there was something to send")
	}
	transfer(t, client, server, []byte("data"))
	var next half
	next.protect(client.out.suite, first[:client.out.suite.hash.Size()])
	if next.update(); client.out.secret != next.secret {
		t.Error("keys were not changed once")
	}
}

// TestOneWrite counts the calls that it takes to send a block.
func TestOneWrite(t *testing.T) {
	client, server := pair(t)
	raw := &written{Conn: client.raw}
	client.raw = raw
	transfer(t, client, server, make([]byte, maxContent))
	if want := recordHeader + maxContent + 1 + 16; raw.calls != 1 || raw.kept.Len() != want {
		t.Errorf("%d calls with %d bytes, want one with %d", raw.calls, raw.kept.Len(), want)
	}
}

// TestReadTimeout has a record come in two parts, with a deadline missed between them.
func TestReadTimeout(t *testing.T) {
	client, server := pair(t)
	record := server.out.append(nil, recordData, []byte("data"))
	got := make([]byte, 10)
	for _, part := range [][]byte{record[:3], record[3:10], record[10:]} {
		if _, err := server.raw.Write(part); err != nil {
			t.Fatal(err)
		}
		if len(part) == len(record)-10 {
			break
		}
		// The time for the part that has come is not measured: what has not come by then comes later.
		client.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		if n, err := client.Read(got); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("%d, %v", n, err)
		}
	}
	client.SetReadDeadline(time.Time{})
	if n, err := client.Read(got); err != nil || string(got[:n]) != "data" {
		t.Errorf("%q, %v", got[:n], err)
	}
}

// TestWriteTimeout misses a deadline in the middle of a record, after which nothing can be sent.
func TestWriteTimeout(t *testing.T) {
	client, server := pair(t)
	client.SetWriteDeadline(time.Unix(1, 0))
	for range 2 {
		if _, err := client.Write([]byte("data")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%v", err)
		}
		client.SetWriteDeadline(time.Time{})
	}
	transfer(t, server, client, []byte("still read"))
}

// TestSmallReads reads a record in parts, and holds its buffer no longer than that.
func TestSmallReads(t *testing.T) {
	client, server := pair(t)
	if _, err := server.Write([]byte("parts")); err != nil {
		t.Fatal(err)
	}
	var got []byte
	for range 5 {
		b := make([]byte, 1)
		if n, err := client.Read(b); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		got = append(got, b...)
		if n, err := client.Read(nil); n != 0 || err != nil {
			t.Fatal(n, err)
		}
	}
	if string(got) != "parts" || client.in.buf != nil || client.in.rest != nil {
		t.Errorf("%q, buffer held: %t", got, client.in.buf != nil)
	}
}

// TestAtOnce uses both directions of a connection by several goroutines, and closes it under a reader.
func TestAtOnce(t *testing.T) {
	client, server := pair(t)
	const writers, blocks = 4, 20
	block := bytes.Repeat([]byte("b"), maxContent)
	var wg sync.WaitGroup
	for _, end := range []*Conn{client, server} {
		for range writers {
			wg.Go(func() {
				for range blocks {
					if _, err := end.Write(block); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Go(func() {
			if n, err := io.CopyN(io.Discard, end, writers*blocks*maxContent); err != nil {
				t.Error(n, err)
			}
		})
	}
	wg.Wait()
	done := make(chan error)
	go func() {
		_, err := client.Read(make([]byte, 1))
		done <- err
	}()
	client.Close()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("the reader got %v", err)
	}
	if _, err := client.Write(block); !errors.Is(err, net.ErrClosed) {
		t.Errorf("written after Close: %v", err)
	}
	if err := client.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed twice: %v", err)
	}
	if _, err := server.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the end was read as %v", err)
	}
}

// TestReports has a peer send what is refused, and reads what it is told.
func TestReports(t *testing.T) {
	client, server := pair(t)
	server.out.Lock()
	server.out.seq++
	server.out.Unlock()
	if _, err := server.Write([]byte("data")); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Read(make([]byte, 1)); err != ErrDecrypt {
		t.Errorf("%v", err)
	}
	if _, err := client.Write([]byte("data")); err != ErrDecrypt {
		t.Errorf("written after an error: %v", err)
	}
	if _, err := server.Read(make([]byte, 1)); err != alertBadRecordMAC {
		t.Errorf("the peer was told %v", err)
	}
}
