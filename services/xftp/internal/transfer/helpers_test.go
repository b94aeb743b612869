package transfer

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sotto/services/xftp/internal/client/clienttest"
	"sotto/shared/address"
	"sotto/shared/description"
)

// content returns n bytes that look random and are the same each time.
func content(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// impatient does not wait between attempts.
func impatient() Options {
	return Options{Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }}
}

// relays starts relays with these options and returns their addresses too.
func relays(t testing.TB, options ...clienttest.Options) (all []*clienttest.Relay, addresses []address.Server) {
	t.Helper()
	for _, o := range options {
		r := clienttest.Start(t, o)
		server := r.Address()
		if o.Password != "" {
			server.Password = address.Password(o.Password)
		}
		all, addresses = append(all, r), append(addresses, server)
	}
	return all, addresses
}

// honest starts n honest relays.
func honest(t testing.TB, n int) ([]*clienttest.Relay, []address.Server) {
	return relays(t, make([]clienttest.Options, n)...)
}

// send sends a body under a name to the relays.
func send(t testing.TB, name string, body []byte, to []address.Server, recipients int) *Sent {
	t.Helper()
	src := Source{Name: name, Size: int64(len(body)), Reader: bytes.NewReader(body)}
	sent, err := Send(t.Context(), src, to, recipients, impatient())
	if err != nil {
		t.Fatalf("send: %v", err)
	}
	return sent
}

// receive receives a file into a directory and compares it.
func receive(t testing.TB, d *description.Description, dir string, want []byte) string {
	t.Helper()
	received, err := Receive(t.Context(), d, dir, impatient())
	if err != nil {
		t.Fatalf("receive: %v", err)
	}
	got, err := os.ReadFile(received.Path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) || received.Size != int64(len(want)) {
		t.Fatalf("received %d bytes that are not the %d sent", len(got), len(want))
	}
	return received.Path
}

// entries lists a directory.
func entries(t testing.TB, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

// checkEmpty fails the test if there is anything in a directory.
func checkEmpty(t testing.TB, dir string) {
	t.Helper()
	if names := entries(t, dir); len(names) > 0 {
		t.Errorf("%q are left", names)
	}
}

// checkText fails the test if the text of an error has an address, a path or an id.
func checkText(t testing.TB, err error) {
	t.Helper()
	for _, text := range []string{fmt.Sprint(err), fmt.Sprintf("%+v", err)} {
		if strings.Contains(text, "127.0.0.1") || strings.Contains(text, string(filepath.Separator)) ||
			strings.Contains(text, "error of type") {
			t.Errorf("text %q", text)
		}
	}
}
