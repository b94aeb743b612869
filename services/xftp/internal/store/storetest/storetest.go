// Package storetest is the contract of server.Store in code: every store of the file relay runs it.
package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"sotto/services/xftp/internal/chunk"
	"sotto/services/xftp/internal/server"
	"sotto/shared/key"
)

// Clock is the time of a store under test, which tests move.
type Clock struct{ seconds atomic.Int64 }

// Now returns the time.
func (c *Clock) Now() time.Time { return time.Unix(c.seconds.Load(), 0) }

// Unix returns the time in seconds.
func (c *Clock) Unix() int64 { return c.seconds.Load() }

// Advance moves the time.
func (c *Clock) Advance(d time.Duration) { c.seconds.Add(int64(d / time.Second)) }

// Config is what a store under test is opened with.
type Config struct {
	Quota int64         // bytes; 0: unlimited
	TTL   time.Duration // 0: for ever
	Clock *Clock
}

// Subject is a store under test.
type Subject struct {
	Store server.Store
	// Reopen closes the store and opens it again, as a restart of the relay does. Crash opens it again without closing
	// it, as if the process had been killed. Nil: nothing survives, and the tests of what survives are skipped.
	Reopen, Crash func(t *testing.T, c Config) server.Store
	// Strays counts what is stored of bodies and does not belong to a chunk, in whatever unit. Nil: the store cannot tell.
	Strays func(t *testing.T) int64
}

// Open opens an empty store. It arranges for the store to be closed when the test ends.
type Open func(t *testing.T, c Config) Subject

// Patience bounds every test that waits for something to happen.
const Patience = 120 * time.Second

// TTL is that of the stores that these tests open, unless a test says otherwise.
const TTL = 48 * time.Hour

// Run checks that the stores that open returns keep the contract of server.Store.
func Run(t *testing.T, open Open) {
	t.Helper()
	for _, group := range []struct {
		name  string
		cases []testCase
	}{
		{"records", recordCases},
		{"unblock", unblockCases},
		{"bodies", bodyCases},
		{"quota", quotaCases},
		{"expiry", expiryCases},
		{"concurrent", concurrentCases},
		{"reopen", reopenCases},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, c := range group.cases {
				t.Run(c.name, func(t *testing.T) { c.run(t, open) })
			}
		})
	}
}

type testCase struct {
	name string
	run  func(t *testing.T, open Open)
}

// fixture is a store with shorthands that fail the test where the plain methods return errors.
type fixture struct {
	server.Store
	Subject
	t      *testing.T
	ctx    context.Context
	config Config
}

// start is when tests begin: not at the beginning of an hour, and not of a period.
const start = 1_750_003_217

func newFixture(t *testing.T, open Open, quota int64) *fixture {
	t.Helper()
	return newFixtureWith(t, open, Config{Quota: quota, TTL: TTL})
}

func newFixtureWith(t *testing.T, open Open, c Config) *fixture {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	t.Cleanup(cancel)
	c.Clock = new(Clock)
	c.Clock.seconds.Store(start)
	s := open(t, c)
	return &fixture{Store: s.Store, Subject: s, t: t, ctx: ctx, config: c}
}

// reopen restarts the store, or skips the test when nothing survives that.
func (f *fixture) reopen() {
	f.t.Helper()
	if f.Reopen == nil {
		f.t.Skip("the store does not survive a restart")
	}
	f.Store = f.Reopen(f.t, f.config)
}

// crash kills the store and opens it again, or skips the test.
func (f *fixture) crash() {
	f.t.Helper()
	if f.Crash == nil {
		f.t.Skip("the store does not survive a crash")
	}
	f.Store = f.Crash(f.t, f.config)
}

// RandomID returns an id that nobody has.
func RandomID() (id chunk.ID) {
	_, _ = rand.Read(id[:])
	return id
}

// RandomKey returns a well formed public key of algorithm a that nobody has the private key of.
func RandomKey(t testing.TB, a key.Algorithm) key.Public {
	t.Helper()
	raw := make([]byte, 32)
	if a == key.Ed448 {
		raw = make([]byte, 57)
	}
	_, _ = rand.Read(raw)
	k, err := key.New(a, raw)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// NewRecipients returns n recipients with random ids and keys.
func NewRecipients(t testing.TB, n int) []chunk.Recipient {
	t.Helper()
	all := make([]chunk.Recipient, n)
	for i := range all {
		all[i] = chunk.Recipient{ID: RandomID(), Key: RandomKey(t, key.Ed25519)}
	}
	return all
}

// NewBody returns random bytes.
func NewBody(size int) []byte {
	body := make([]byte, size)
	_, _ = rand.Read(body)
	return body
}

// NewChunk returns a record for body with a random id and key, not stored yet, created at now.
func NewChunk(t testing.TB, body []byte, now int64) *chunk.Chunk {
	t.Helper()
	digest := sha256.Sum256(body)
	return &chunk.Chunk{
		SenderID: RandomID(), SenderKey: RandomKey(t, key.Ed25519), Size: uint32(len(body)), Digest: digest[:],
		Created: now - now%chunk.Hour,
	}
}

// create stores a new chunk for body, with recipients.
func (f *fixture) create(body []byte, recipients ...chunk.Recipient) *chunk.Chunk {
	f.t.Helper()
	c := NewChunk(f.t, body, f.config.Clock.Unix())
	if err := f.Create(f.ctx, c, recipients); err != nil {
		f.t.Fatalf("create: %v", err)
	}
	return c
}

// begin begins an upload.
func (f *fixture) begin(c *chunk.Chunk) server.Upload {
	f.t.Helper()
	u, err := f.Upload(f.ctx, c)
	if err != nil {
		f.t.Fatalf("upload: %v", err)
	}
	return u
}

// write writes b in pieces of odd sizes.
func (f *fixture) write(u server.Upload, b []byte) {
	f.t.Helper()
	for size := 1; len(b) > 0; size = min(size*3+1, 50_000) {
		n := min(size, len(b))
		if got, err := u.Write(b[:n]); err != nil || got != n {
			f.t.Fatalf("write: %d of %d, %v", got, n, err)
		}
		b = b[n:]
	}
}

// upload gives c its body.
func (f *fixture) upload(c *chunk.Chunk, body []byte) {
	f.t.Helper()
	u := f.begin(c)
	f.write(u, body)
	if err := u.Commit(f.ctx); err != nil {
		f.t.Fatalf("commit: %v", err)
	}
	u.Abort() // harmless, whatever came before
}

// put is create and upload.
func (f *fixture) put(body []byte, recipients ...chunk.Recipient) *chunk.Chunk {
	f.t.Helper()
	c := f.create(body, recipients...)
	f.upload(c, body)
	return c
}

// bySender returns the record with this id, or nil.
func (f *fixture) bySender(id chunk.ID) *chunk.Chunk {
	f.t.Helper()
	c, err := f.BySender(f.ctx, id)
	if err != nil && !errors.Is(err, chunk.ErrNotFound) {
		f.t.Fatalf("by sender: %v", err)
	}
	return c
}

// wantRecord fails the test unless the record of c is as c.
func (f *fixture) wantRecord(want *chunk.Chunk) {
	f.t.Helper()
	got := f.bySender(want.SenderID)
	if got == nil {
		f.t.Fatal("the record is not found")
	}
	sameRecord(f.t, got, want)
}

func sameRecord(t *testing.T, got, want *chunk.Chunk) {
	t.Helper()
	a, b := *got, *want
	if !bytes.Equal(a.Digest, b.Digest) {
		t.Fatal("another digest than was stored")
	}
	a.Digest, b.Digest = nil, nil
	switch {
	case a.SenderID != b.SenderID || a.SenderKey != b.SenderKey:
		t.Fatal("another sender than was stored")
	case a.Ref != b.Ref:
		t.Fatal("another ref than was given")
	case a.Size != b.Size || a.Created != b.Created:
		t.Fatalf("size %d created %d, want %d and %d", a.Size, a.Created, b.Size, b.Created)
	case a.Uploaded != b.Uploaded || a.Blocked != b.Blocked || a.Blocking != b.Blocking:
		t.Fatalf("uploaded %t, blocked %t, want %t and %t", a.Uploaded, a.Blocked, b.Uploaded, b.Blocked)
	}
}

// wantGone fails the test unless nothing finds c.
func (f *fixture) wantGone(c *chunk.Chunk, recipients ...chunk.Recipient) {
	f.t.Helper()
	if f.bySender(c.SenderID) != nil {
		f.t.Error("the sender's id is found")
	}
	for _, r := range recipients {
		if _, _, err := f.ByRecipient(f.ctx, r.ID); !errors.Is(err, chunk.ErrNotFound) {
			f.t.Errorf("by recipient: %v", err)
		}
		wantErr(f.t, "remove recipient", f.RemoveRecipient(f.ctx, r.ID), chunk.ErrNotFound)
	}
	_, err := f.Download(f.ctx, c)
	wantErr(f.t, "download", err, chunk.ErrNotFound)
	_, err = f.Upload(f.ctx, c)
	wantErr(f.t, "upload", err, chunk.ErrNotFound)
	wantErr(f.t, "add recipients", f.AddRecipients(f.ctx, c.Ref, NewRecipients(f.t, 1)), chunk.ErrNotFound)
	wantErr(f.t, "block", f.Block(f.ctx, c.Ref, chunk.Blocking{Reason: "spam"}), chunk.ErrNotFound)
	wantErr(f.t, "delete", f.Delete(f.ctx, c.Ref), chunk.ErrNotFound)
}

// wantBody fails the test unless body is what c downloads as.
func (f *fixture) wantBody(c *chunk.Chunk, body []byte) {
	f.t.Helper()
	r, err := f.Download(f.ctx, c)
	if err != nil {
		f.t.Fatalf("download: %v", err)
	}
	defer func() {
		if err := r.Close(); err != nil {
			f.t.Errorf("close: %v", err)
		}
	}()
	got, err := io.ReadAll(r)
	if err != nil {
		f.t.Fatalf("read after %d bytes: %v", len(got), err)
	}
	if !bytes.Equal(got, body) {
		f.t.Fatalf("another body than was stored: %d bytes, want %d", len(got), len(body))
	}
}

// wantNoBody fails the test unless c can be uploaded and not downloaded.
func (f *fixture) wantNoBody(c *chunk.Chunk) {
	f.t.Helper()
	if r := f.bySender(c.SenderID); r == nil || r.Uploaded {
		f.t.Fatal("the record says that there is a body, or is gone")
	}
	_, err := f.Download(f.ctx, c)
	wantErr(f.t, "download", err, chunk.ErrNoBody)
}

// wantUsage fails the test unless so much is stored and reserved.
func (f *fixture) wantUsage(chunks, bytes, reserved int64) {
	f.t.Helper()
	want := server.Usage{Chunks: chunks, Bytes: bytes, Reserved: reserved, Quota: f.config.Quota}
	if got := f.Usage(); got != want {
		f.t.Fatalf("usage %+v, want %+v", got, want)
	}
}

// wantNoStrays fails the test if anything is stored that belongs to no chunk.
func (f *fixture) wantNoStrays() {
	f.t.Helper()
	if f.Strays == nil {
		return
	}
	if n := f.Strays(f.t); n != 0 {
		f.t.Errorf("%d pages or journal rows belong to no chunk", n)
	}
}

func wantErr(t *testing.T, op string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: %v, want %v", op, got, want)
	}
}
