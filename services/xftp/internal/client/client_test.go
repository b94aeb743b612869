package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"sotto/services/xftp/internal/client"
	"sotto/services/xftp/internal/client/clienttest"
	"sotto/shared/address"
	"sotto/shared/auth"
	"sotto/shared/key"
	"sotto/shared/wire"
	"sotto/shared/xftp"
)

// TestChunk is the life of a chunk of each size, with keys of every kind.
func TestChunk(t *testing.T) {
	relay := clienttest.Start(t, clienttest.Options{})
	sender, recipient := dial(t, relay.Address(), client.Options{}), dial(t, relay.Address(), client.Options{})
	for _, n := range []uint32{1, 64 << 10, 256 << 10, 1 << 20, 4 << 20} {
		for name, newKey := range map[string]func() auth.Key{"Ed25519": auth.NewEd25519, "Ed448": auth.NewEd448, "X25519": auth.NewX25519} {
			t.Run(fmt.Sprintf("%d %s", n, name), func(t *testing.T) {
				testChunk(t, sender, recipient, int(n), newKey)
			})
		}
	}
	if relay.Chunks() != 0 || relay.Dialed.Load() != 2 {
		t.Errorf("%d chunks, %d connections", relay.Chunks(), relay.Dialed.Load())
	}
}

func testChunk(t *testing.T, sender, recipient *client.Client, n int, newKey func() auth.Key) {
	ctx := t.Context()
	k := newKey()
	readers := []auth.Key{newKey(), newKey(), newKey()}
	keys := []key.Public{readers[0].Public(), readers[1].Public(), readers[2].Public()}
	body, digest := content(n)
	id, ids, err := sender.Create(ctx, k, uint32(n), digest, keys[:1])
	if err != nil {
		t.Fatal(err)
	}
	more, err := sender.AddRecipients(ctx, id, k, keys[1:])
	if err != nil || len(ids) != 1 || len(more) != 2 {
		t.Fatalf("%d and %d ids: %v", len(ids), len(more), err)
	}
	ids = append(ids, more...)
	if err := sender.Upload(ctx, id, k, bytes.NewReader(body), uint32(n)); err != nil {
		t.Fatal(err)
	}
	for i, reader := range readers {
		var got bytes.Buffer
		if err := recipient.Download(ctx, ids[i], reader, uint32(n), digest, &got); err != nil || !bytes.Equal(got.Bytes(), body) {
			t.Fatalf("recipient %d: %d bytes, %v", i, got.Len(), err)
		}
	}
	if err := recipient.Acknowledge(ctx, ids[0], readers[0]); err != nil {
		t.Error(err)
	}
	checkError(t, recipient, recipient.Acknowledge(ctx, ids[0], readers[0]), xftp.ErrAuth, false)
	checkError(t, recipient, recipient.Download(ctx, ids[1], readers[0], uint32(n), digest, &bytes.Buffer{}), xftp.ErrAuth, false)
	if err := sender.Delete(ctx, id, k); err != nil {
		t.Error(err)
	}
	checkError(t, sender, sender.Delete(ctx, id, k), xftp.ErrAuth, false)
	if err := sender.Ping(ctx); err != nil {
		t.Error(err)
	}
}

func TestManyRecipients(t *testing.T) {
	relay := clienttest.Start(t, clienttest.Options{})
	c := dial(t, relay.Address(), client.Options{})
	keys := make([]key.Public, xftp.MaxRecipients)
	for i := range keys {
		keys[i] = auth.NewEd25519().Public()
	}
	_, digest := content(1)
	_, ids, err := c.Create(t.Context(), auth.NewEd25519(), size, digest, keys)
	if err != nil || len(ids) != len(keys) {
		t.Fatalf("%d ids, %v", len(ids), err)
	}
	for i := range keys {
		keys[i] = auth.NewEd448().Public() // 70 bytes each: more than a block
	}
	_, _, err = c.Create(t.Context(), auth.NewEd25519(), size, digest, keys)
	checkError(t, c, err, client.ErrTooLarge, false)
}

func TestPassword(t *testing.T) {
	relay := clienttest.Start(t, clienttest.Options{Password: "a-good-one"})
	server := relay.Address()
	_, digest := content(1)
	create := func(o client.Options) error {
		c := dial(t, server, o)
		_, _, err := c.Create(t.Context(), auth.NewEd25519(), size, digest, []key.Public{auth.NewEd25519().Public()})
		return err
	}
	if err := create(client.Options{}); !errors.Is(err, xftp.ErrAuth) {
		t.Errorf("none: %v", err)
	}
	if err := create(client.Options{Password: address.Password("a-good-one")}); err != nil {
		t.Errorf("in the options: %v", err)
	}
	server.Password = address.Password("a-good-one")
	if err := create(client.Options{}); err != nil {
		t.Errorf("in the address: %v", err)
	}
	if err := create(client.Options{Password: address.Password("another")}); !errors.Is(err, xftp.ErrAuth) {
		t.Errorf("options before address: %v", err)
	}
}

// TestOneAtATime checks that requests wait for each other.
func TestOneAtATime(t *testing.T) {
	var now, most atomic.Int32
	relay := clienttest.Start(t, clienttest.Options{Hook: func(_ http.ResponseWriter, r *clienttest.Request) bool {
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		context.AfterFunc(r.Request.Context(), func() { now.Add(-1) })
		return false
	}})
	// What counts is the overlap of bodies: a request ends for HTTP/2 when its handler has returned.
	c := dial(t, relay.Address(), client.Options{})
	k := upload(t, c, 1<<20)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if got, err := k.get(t.Context(), c); err != nil || !bytes.Equal(got, k.body) {
				t.Errorf("download: %v", err)
			}
		})
	}
	wg.Wait()
	// The end of one request is noticed a little after the beginning of the next.
	if most.Load() > 2 {
		t.Errorf("%d requests at once", most.Load())
	}
}

func TestCanceledWhileWaiting(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	relay := clienttest.Start(t, on("PING", func(w http.ResponseWriter, r *clienttest.Request) {
		close(entered)
		<-release
		clienttest.Answer(w, r, xftp.PONG{})
	}))
	c := dial(t, relay.Address(), client.Options{})
	done := make(chan error)
	go func() { done <- c.Ping(t.Context()) }()
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Ping(ctx); !errors.Is(err, context.Canceled) || c.Err() != nil {
		t.Errorf("got %v, connection %v", err, c.Err())
	}
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestClose checks that requests end with their connection, and that no later one is begun.
func TestClose(t *testing.T) {
	entered := make(chan struct{})
	relay := clienttest.Start(t, on("PING", func(_ http.ResponseWriter, r *clienttest.Request) {
		close(entered)
		<-r.Request.Context().Done()
	}))
	c := dial(t, relay.Address(), client.Options{})
	done := make(chan error)
	go func() { done <- c.Ping(t.Context()) }()
	<-entered
	_ = c.Close()
	_ = c.Close()
	checkError(t, c, <-done, client.ErrClosed, true)
	checkError(t, c, c.Ping(t.Context()), client.ErrClosed, true)
	if relay.Commands.Load() != 0 {
		t.Error("a request was made")
	}
}

// TestDisconnected checks that the loss of a connection between requests is noticed, at the latest by the next one.
func TestDisconnected(t *testing.T) {
	relay := clienttest.Start(t, clienttest.Options{})
	c := dial(t, relay.Address(), client.Options{})
	relay.Disconnect()
	err := c.Ping(t.Context())
	var lost *client.ConnError
	if !errors.As(err, &lost) || c.Err() == nil {
		t.Errorf("got %v", err)
	}
	checkText(t, err)
}

func TestPrintsNothing(t *testing.T) {
	relay := clienttest.Start(t, clienttest.Options{})
	c := dial(t, relay.Address(), client.Options{})
	for _, v := range []any{c, *c, c.Conn(), c.Relay()} {
		for _, format := range []string{"%v", "%+v", "%#v", "%x"} {
			if text := fmt.Sprintf(format, v); len(text) > 12 || text[0] != '[' {
				t.Errorf("%T %s: %q", v, format, text)
			}
		}
	}
}

func TestVersions(t *testing.T) {
	for _, tc := range []struct{ relay, own, want wire.Version }{{3, 3, 3}, {3, 2, 2}, {2, 3, 2}, {1, 3, 1}} {
		relay := clienttest.Start(t, clienttest.Options{Versions: wire.VersionRange{Min: 1, Max: tc.relay}})
		c := dial(t, relay.Address(), client.Options{Versions: wire.VersionRange{Min: 1, Max: tc.own}})
		if c.Version() != tc.want {
			t.Errorf("relay %d, client %d: version %d", tc.relay, tc.own, c.Version())
		}
		if err := c.Ping(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
