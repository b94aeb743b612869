package client_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/iotest"
	"time"

	"sotto/services/xftp/internal/client"
	"sotto/services/xftp/internal/client/clienttest"
	"sotto/shared/auth"
	"sotto/shared/key"
	"sotto/shared/wire"
	"sotto/shared/xftp"
)

// TestDownloads are answers to FGET that are not what was asked for. Spec: xftp.md 8.8
func TestDownloads(t *testing.T) {
	body, digest := content(size)
	respond := func(change func(file *xftp.FILE, sealed []byte) []byte) func(http.ResponseWriter, *clienttest.Request) {
		return func(w http.ResponseWriter, r *clienttest.Request) {
			file, sealed := clienttest.Seal(r, body)
			sealed = change(&file, sealed)
			clienttest.Answer(w, r, file)
			_, _ = w.Write(sealed)
		}
	}
	response := func(response xftp.Response) func(http.ResponseWriter, *clienttest.Request) {
		return func(w http.ResponseWriter, r *clienttest.Request) { clienttest.Answer(w, r, response) }
	}
	raw := func(b []byte) func(http.ResponseWriter, *clienttest.Request) {
		return func(w http.ResponseWriter, _ *clienttest.Request) { _, _ = w.Write(b) }
	}
	var unexpected *client.ResponseError
	for _, tc := range []struct {
		name   string
		answer func(http.ResponseWriter, *clienttest.Request)
		want   error
		as     any
	}{
		{"right", respond(func(_ *xftp.FILE, b []byte) []byte { return b }), nil, nil},
		{"no body", respond(func(*xftp.FILE, []byte) []byte { return nil }), client.ErrSize, nil},
		{"short", respond(func(_ *xftp.FILE, b []byte) []byte { return b[:size/2] }), client.ErrSize, nil},
		{"without tag", respond(func(_ *xftp.FILE, b []byte) []byte { return b[:size] }), client.ErrSize, nil},
		{"tag cut", respond(func(_ *xftp.FILE, b []byte) []byte { return b[:size+15] }), client.ErrSize, nil},
		{"a byte more", respond(func(_ *xftp.FILE, b []byte) []byte { return append(b, 0) }), client.ErrSize, nil},
		{"changed", respond(func(_ *xftp.FILE, b []byte) []byte { b[9] ^= 1; return b }), client.ErrTag, nil},
		{"changed tag", respond(func(_ *xftp.FILE, b []byte) []byte { b[size+9] ^= 1; return b }), client.ErrTag, nil},
		{"another nonce", respond(func(f *xftp.FILE, b []byte) []byte { f.Nonce[3] ^= 1; return b }), client.ErrTag, nil},
		{"no point", respond(func(f *xftp.FILE, b []byte) []byte {
			f.Key, _ = key.New(key.X25519, make([]byte, 32))
			return b
		}), client.ErrTag, nil},
		{"another body", func(w http.ResponseWriter, r *clienttest.Request) {
			other, _ := content(size)
			file, sealed := clienttest.Seal(r, other)
			clienttest.Answer(w, r, file)
			_, _ = w.Write(sealed)
		}, client.ErrDigest, nil},
		{"without end", func(w http.ResponseWriter, r *clienttest.Request) {
			file, sealed := clienttest.Seal(r, body)
			clienttest.Answer(w, r, file)
			for r.Request.Context().Err() == nil {
				_, _ = w.Write(sealed)
			}
		}, client.ErrSize, nil},
		{"cut off", func(w http.ResponseWriter, r *clienttest.Request) {
			file, sealed := clienttest.Seal(r, body)
			clienttest.Answer(w, r, file)
			_, _ = w.Write(sealed[:size/2])
			panic(http.ErrAbortHandler)
		}, nil, new(*client.ConnError)},
		{"connection cut", func(w http.ResponseWriter, r *clienttest.Request) {
			_, _ = w.Write(make([]byte, 100))
			w.(http.Flusher).Flush()
			_ = r.Session.Conn.Close()
		}, nil, new(*client.ConnError)},
		{"another response", response(xftp.OK{}), nil, &unexpected},
		{"ids", response(xftp.RIDS{RecipientIDs: []wire.EntityID{{1}}}), nil, &unexpected},
		{"refused", response(xftp.ERR{Err: xftp.ErrNoFile}), xftp.ErrNoFile, nil},
		{"blocked", response(xftp.ERR{Err: xftp.BlockedError{Reason: "spam"}}), xftp.BlockedError{Reason: "spam"}, nil},
		{"garbage", raw(bytes.Repeat([]byte{0xff}, 2*xftp.BlockSize)), client.ErrMalformed, &unexpected},
		{"padding", raw(make([]byte, xftp.BlockSize)), client.ErrMalformed, &unexpected},
		{"nothing", raw(nil), client.ErrMalformed, &unexpected},
		{"short head", raw(make([]byte, xftp.BlockSize-1)), client.ErrMalformed, &unexpected},
		{"word", raw(word(xftp.ErrHandshake)), client.ErrMalformed, &unexpected},
		{"another entity", func(w http.ResponseWriter, r *clienttest.Request) {
			r.Transmission.EntityID = []byte("another")
			respond(func(_ *xftp.FILE, b []byte) []byte { return b })(w, r)
		}, nil, &unexpected},
		{"another session", func(w http.ResponseWriter, r *clienttest.Request) {
			other := *r.Session
			other.ID = make([]byte, 32)
			r.Session = &other
			respond(func(_ *xftp.FILE, b []byte) []byte { return b })(w, r)
		}, client.ErrMalformed, &unexpected},
		{"status", func(w http.ResponseWriter, r *clienttest.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			respond(func(_ *xftp.FILE, b []byte) []byte { return b })(w, r)
		}, client.ErrMalformed, &unexpected},
	} {
		t.Run(tc.name, func(t *testing.T) {
			relay := clienttest.Start(t, on("FGET", tc.answer))
			c := dial(t, relay.Address(), client.Options{})
			var got bytes.Buffer
			err := c.Download(t.Context(), wire.EntityID("id"), auth.NewEd25519(), size, digest, &got)
			var refusal xftp.Error
			if tc.as != nil && tc.want == nil {
				tc.want = err
			}
			checkError(t, c, err, tc.want, err != nil && !errors.As(err, &refusal))
			if tc.as != nil && !errors.As(err, tc.as) {
				t.Errorf("%v is a %T", err, err)
			}
			if err == nil && !bytes.Equal(got.Bytes(), body) {
				t.Error("wrong bytes")
			}
			if got.Len() > size {
				t.Errorf("%d bytes were written", got.Len())
			}
		})
	}
}

// TestDownloadWriter checks that the writer's failure is told from the relay's.
func TestDownloadWriter(t *testing.T) {
	relay := clienttest.Start(t, clienttest.Options{})
	c := dial(t, relay.Address(), client.Options{})
	k := upload(t, c, 1<<20)
	full := errors.New("disk full")
	err := c.Download(t.Context(), k.id, k.recipient, 1<<20, k.digest, writer(func([]byte) (int, error) { return 0, full }))
	checkError(t, c, err, full, true)
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

// TestUploads are uploads that fail, each on a connection that is closed after it. Spec: xftp.md 16.6
func TestUploads(t *testing.T) {
	const n = 4 << 20
	broken := errors.New("cannot read")
	var source []byte
	for _, tc := range []struct {
		name   string
		hook   func(http.ResponseWriter, *clienttest.Request)
		reader func([]byte) io.Reader
		want   error
	}{
		{"quota, without reading", func(w http.ResponseWriter, r *clienttest.Request) {
			clienttest.Answer(w, r, xftp.ERR{Err: xftp.ErrQuota})
		}, nil, xftp.ErrQuota},
		{"good, without reading", func(w http.ResponseWriter, r *clienttest.Request) {
			clienttest.Answer(w, r, xftp.OK{})
		}, nil, client.ErrMalformed},
		{"more than an answer", func(w http.ResponseWriter, r *clienttest.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			clienttest.Answer(w, r, xftp.OK{})
			_, _ = w.Write([]byte{1})
		}, nil, client.ErrMalformed},
		{"cut off", func(_ http.ResponseWriter, r *clienttest.Request) {
			_, _ = io.CopyN(io.Discard, r.Body, n/2)
			panic(http.ErrAbortHandler)
		}, nil, nil},
		{"cut after the answer", func(w http.ResponseWriter, r *clienttest.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			clienttest.Answer(w, r, xftp.OK{})
			w.(http.Flusher).Flush()
			_ = r.Session.Conn.Close()
		}, nil, nil},
		{"never read", func(_ http.ResponseWriter, r *clienttest.Request) {
			<-r.Request.Context().Done()
		}, nil, client.ErrTimeout},
		{"never answered", func(_ http.ResponseWriter, r *clienttest.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Request.Context().Done()
		}, nil, client.ErrTimeout},
		{"reader fails", nil, func(b []byte) io.Reader {
			return io.MultiReader(bytes.NewReader(b[:n/2]), iotest.ErrReader(broken))
		}, client.ErrSource},
		{"reader ends", nil, func(b []byte) io.Reader { return bytes.NewReader(b[:n-1]) }, client.ErrSource},
		{"another body", nil, func(b []byte) io.Reader { return io.MultiReader(bytes.NewReader(b[1:]), bytes.NewReader(b[:1])) }, xftp.ErrDigest},
	} {
		t.Run(tc.name, func(t *testing.T) {
			options := clienttest.Options{}
			if tc.hook != nil {
				options = on("FPUT", tc.hook)
			}
			relay := clienttest.Start(t, options)
			var o client.Options
			if tc.want == client.ErrTimeout {
				o.StallTimeout = 300 * time.Millisecond
			}
			c := dial(t, relay.Address(), o)
			k := register(t, c, n)
			source = k.body
			reader := io.Reader(bytes.NewReader(source))
			if tc.reader != nil {
				reader = tc.reader(source)
			}
			err := c.Upload(t.Context(), k.senderID, k.sender, reader, n)
			if tc.want == nil {
				var lost *client.ConnError
				if !errors.As(err, &lost) {
					t.Errorf("got %v", err)
				}
				tc.want = err
			}
			checkError(t, c, err, tc.want, true)
			if tc.hook == nil { // it works on another connection
				c = dial(t, relay.Address(), client.Options{})
				if err := c.Upload(t.Context(), k.senderID, k.sender, bytes.NewReader(k.body), n); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestUploadEnds checks that the reader is the caller's again when Upload returns.
func TestUploadEnds(t *testing.T) {
	relay := clienttest.Start(t, on("FPUT", func(w http.ResponseWriter, r *clienttest.Request) {
		clienttest.Answer(w, r, xftp.ERR{Err: xftp.ErrAuth})
	}))
	for range 20 {
		c := dial(t, relay.Address(), client.Options{})
		k := register(t, c, 1<<20)
		reader := bytes.NewReader(k.body)
		if err := c.Upload(t.Context(), k.senderID, k.sender, reader, 1<<20); !errors.Is(err, xftp.ErrAuth) {
			t.Fatal(err)
		}
		_, _ = reader.Seek(0, io.SeekStart) // the race detector sees a reader that is still in use
	}
}

func TestNoAnswer(t *testing.T) {
	relay := clienttest.Start(t, on("PING", func(_ http.ResponseWriter, r *clienttest.Request) { <-r.Request.Context().Done() }))
	c := dial(t, relay.Address(), client.Options{RequestTimeout: 200 * time.Millisecond})
	err := c.Ping(t.Context())
	checkError(t, c, err, client.ErrTimeout, true)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error("it is no timeout")
	}
	c = dial(t, relay.Address(), client.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	checkError(t, c, c.Ping(ctx), context.DeadlineExceeded, true)
}

// TestDrip checks that a transfer that moves without end in sight ends all the same.
func TestDrip(t *testing.T) {
	relay := clienttest.Start(t, on("FGET", func(w http.ResponseWriter, r *clienttest.Request) {
		file, sealed := clienttest.Seal(r, make([]byte, size))
		clienttest.Answer(w, r, file)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for i := 0; r.Request.Context().Err() == nil; i++ {
			_, _ = w.Write(sealed[i : i+1])
			_ = http.NewResponseController(w).Flush()
			<-tick.C
		}
	}))
	c := dial(t, relay.Address(), client.Options{TransferTimeout: 200 * time.Millisecond})
	err := c.Download(t.Context(), wire.EntityID("id"), auth.NewEd25519(), size, nil, io.Discard)
	checkError(t, c, err, client.ErrTimeout, true)
}

// TestAnswers are answers to commands without a body.
func TestAnswers(t *testing.T) {
	k := auth.NewEd25519()
	create := func(ctx context.Context, c *client.Client) error {
		_, _, err := c.Create(ctx, k, size, nil, []key.Public{k.Public(), k.Public()})
		return err
	}
	add := func(ctx context.Context, c *client.Client) error {
		_, err := c.AddRecipients(ctx, wire.EntityID("id"), k, []key.Public{k.Public()})
		return err
	}
	remove := func(ctx context.Context, c *client.Client) error { return c.Delete(ctx, wire.EntityID("id"), k) }
	ping := func(ctx context.Context, c *client.Client) error { return c.Ping(ctx) }
	one, two := []wire.EntityID{{1}}, []wire.EntityID{{1}, {2}}
	for _, tc := range []struct {
		name, step string
		call       func(context.Context, *client.Client) error
		answer     xftp.Response
		more       string
		good       bool
	}{
		{"right", "FNEW", create, xftp.SIDS{SenderID: one[0], RecipientIDs: two}, "", true},
		{"too few ids", "FNEW", create, xftp.SIDS{SenderID: one[0], RecipientIDs: one}, "", false},
		{"pong", "FNEW", create, xftp.PONG{}, "", false},
		{"right", "FADD", add, xftp.RIDS{RecipientIDs: one}, "", true},
		{"too many ids", "FADD", add, xftp.RIDS{RecipientIDs: two}, "", false},
		{"ok", "FADD", add, xftp.OK{}, "", false},
		{"right", "FDEL", remove, xftp.OK{}, "", true},
		{"more", "FDEL", remove, xftp.OK{}, "x", false},
		{"ids", "FDEL", remove, xftp.RIDS{RecipientIDs: one}, "", false},
		{"with an entity", "FDEL", remove, xftp.PONG{}, "", false},
		{"right", "PING", ping, xftp.PONG{}, "", true},
		{"ok", "PING", ping, xftp.OK{}, "", false},
	} {
		t.Run(tc.step+" "+tc.name, func(t *testing.T) {
			relay := clienttest.Start(t, on(tc.step, func(w http.ResponseWriter, r *clienttest.Request) {
				clienttest.Answer(w, r, tc.answer)
				_, _ = io.WriteString(w, tc.more)
			}))
			c := dial(t, relay.Address(), client.Options{})
			err := tc.call(t.Context(), c)
			var unexpected *client.ResponseError
			if tc.good != (err == nil) || !tc.good && !errors.As(err, &unexpected) || tc.good != (c.Err() == nil) {
				t.Errorf("got %v, connection %v", err, c.Err())
			}
			checkText(t, err)
		})
	}
}
