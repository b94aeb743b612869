package client_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"sotto/services/xftp/internal/client"
	"sotto/services/xftp/internal/client/clienttest"
	"sotto/shared/address"
	"sotto/shared/auth"
	"sotto/shared/key"
	"sotto/shared/wire"
	"sotto/shared/xftp"
)

const size = 64 << 10

// dial connects a client that the test closes.
func dial(t *testing.T, server address.Server, o client.Options) *client.Client {
	t.Helper()
	c, err := client.Dial(t.Context(), server, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// content returns random bytes with their SHA-256.
func content(n int) (body, digest []byte) {
	body = make([]byte, n)
	_, _ = rand.Read(body)
	sum := sha256.Sum256(body)
	return body, sum[:]
}

// chunk is one that a test has registered.
type chunk struct {
	sender    auth.Key
	senderID  wire.EntityID
	recipient auth.Key
	id        wire.EntityID
	body      []byte
	digest    []byte
}

// register creates a chunk of n bytes with one recipient, without uploading it.
func register(t *testing.T, c *client.Client, n int) chunk {
	t.Helper()
	k := chunk{sender: auth.NewEd25519(), recipient: auth.NewEd25519()}
	k.body, k.digest = content(n)
	id, ids, err := c.Create(t.Context(), k.sender, uint32(n), k.digest, []key.Public{k.recipient.Public()})
	if err != nil {
		t.Fatal(err)
	}
	k.senderID, k.id = id, ids[0]
	return k
}

// upload creates a chunk of n bytes and uploads it.
func upload(t *testing.T, c *client.Client, n int) chunk {
	t.Helper()
	k := register(t, c, n)
	if err := c.Upload(t.Context(), k.senderID, k.sender, bytes.NewReader(k.body), uint32(n)); err != nil {
		t.Fatal(err)
	}
	return k
}

// get downloads the chunk with a check of its digest.
func (k chunk) get(ctx context.Context, c *client.Client) ([]byte, error) {
	var got bytes.Buffer
	err := c.Download(ctx, k.id, k.recipient, uint32(len(k.body)), k.digest, &got)
	return got.Bytes(), err
}

// on returns a hook for one step.
func on(step string, do func(w http.ResponseWriter, r *clienttest.Request)) clienttest.Options {
	return clienttest.Options{Hook: func(w http.ResponseWriter, r *clienttest.Request) bool {
		if r.Step == step {
			do(w, r)
		}
		return r.Step == step
	}}
}

// checkError fails the test unless err is want, is closing or not as said, and names nobody.
func checkError(t *testing.T, c *client.Client, err, want error, closed bool) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
	if (c.Err() != nil) != closed {
		t.Errorf("after %v the connection's error is %v", err, c.Err())
	}
	checkText(t, err)
}

// checkText fails the test if err's text has an address.
func checkText(t *testing.T, err error) {
	t.Helper()
	if text := fmt.Sprint(err); strings.Contains(text, "127.0.0.1") || strings.Contains(text, "error of type") {
		t.Errorf("text %q", text)
	}
}

func word(e xftp.ErrorCode) []byte {
	var head [xftp.BlockSize]byte
	xftp.PutWord(&head, e)
	return head[:]
}
