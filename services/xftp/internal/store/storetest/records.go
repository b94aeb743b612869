package storetest

import (
	"errors"
	"testing"

	"sotto/services/xftp/internal/chunk"
	"sotto/shared/key"
)

var recordCases = []testCase{
	{"create and look up", testCreate},
	{"values", testValues},
	{"what a store returns does not change", testShared},
	{"ids are unique", testExists},
	{"ids are unique over hours", testExistsOverHours},
	{"recipients", testRecipients},
	{"recipients after the upload", testRecipientsLater},
	{"add all or none", testAddAllOrNone},
	{"remove recipient", testRemoveRecipient},
	{"delete", testDelete},
	{"block", testBlock},
	{"refs", testRefs},
	{"nothing there", testNothing},
}

func (f *fixture) wantRecipient(r chunk.Recipient, c *chunk.Chunk) {
	f.t.Helper()
	got, k, err := f.ByRecipient(f.ctx, r.ID)
	if err != nil {
		f.t.Fatalf("by recipient: %v", err)
	}
	if k != r.Key {
		f.t.Fatal("another recipient's key")
	}
	sameRecord(f.t, got, c)
}

func testCreate(t *testing.T, open Open) {
	f := newFixture(t, open, 0)
	rs := NewRecipients(t, 255)
	c := f.create(NewBody(100), rs...)
	other := f.create(NewBody(50), NewRecipients(t, 1)...)
	f.wantRecord(c)
	f.wantRecord(other)
	for _, r := range []chunk.Recipient{rs[0], rs[100], rs[254]} {
		f.wantRecipient(r, c)
	}
	if f.bySender(rs[0].ID) != nil {
		t.Error("a recipient's id finds a chunk as a sender's")
	}
	if _, _, err := f.ByRecipient(f.ctx, c.SenderID); !errors.Is(err, chunk.ErrNotFound) {
		t.Errorf("a sender's id as a recipient's: %v", err)
	}
}

func testValues(t *testing.T, open Open) {
	f := newFixture(t, open, 0)
	for _, a := range []key.Algorithm{key.Ed25519, key.Ed448, key.X25519} {
		for _, digest := range [][]byte{{}, {1}, NewBody(32), NewBody(255)} {
			c := NewChunk(t, nil, start)
			c.SenderKey, c.Digest, c.Size = RandomKey(t, a), digest, 1<<32-1
			r := chunk.Recipient{ID: RandomID(), Key: RandomKey(t, a)}
			if err := f.Create(f.ctx, c, []chunk.Recipient{r}); err != nil {
				t.Fatal(err)
			}
			f.wantRecord(c)
			f.wantRecipient(r, c)
		}
	}
}

func testShared(t *testing.T, open Open) {
	f := newFixture(t, open, 0)
	body := NewBody(10)
	c := NewChunk(t, body, start)
	kept := *c
	digest := append([]byte(nil), c.Digest...)
	if err := f.Create(f.ctx, c, nil); err != nil {
		t.Fatal(err)
	}
	kept.Ref, kept.Digest = c.Ref, digest
	clear(c.Digest) // the caller's own
	before := f.bySender(c.SenderID)
	f.upload(c, body)
	if before.Uploaded {
		t.Error("a record that was returned has changed")
	}
	kept.Uploaded = true
	f.wantRecord(&kept)
}

func testExists(t *testing.T, open Open) {
	f := newFixture(t, open, 0)
	rs := NewRecipients(t, 2)
	c := f.create(NewBody(1), rs...)
	for name, change := range map[string]func(*chunk.Chunk, []chunk.Recipient){
		"sender as sender":       func(n *chunk.Chunk, _ []chunk.Recipient) { n.SenderID = c.SenderID },
		"recipient as sender":    func(n *chunk.Chunk, _ []chunk.Recipient) { n.SenderID = rs[1].ID },
		"sender as recipient":    func(_ *chunk.Chunk, r []chunk.Recipient) { r[2].ID = c.SenderID },
		"recipient as recipient": func(_ *chunk.Chunk, r []chunk.Recipient) { r[1].ID = rs[0].ID },
		"twice a recipient":      func(_ *chunk.Chunk, r []chunk.Recipient) { r[2].ID = r[0].ID },
		"sender and recipient":   func(n *chunk.Chunk, r []chunk.Recipient) { n.SenderID = r[1].ID },
	} {
		n, more := NewChunk(t, nil, start), NewRecipients(t, 3)
		change(n, more)
		wantErr(t, name, f.Create(f.ctx, n, more), chunk.ErrExists)
		if n.SenderID != c.SenderID && f.bySender(n.SenderID) != nil {
			t.Errorf("%s: the chunk is there", name)
		}
		for _, r := range more {
			if r.ID == rs[0].ID {
				continue
			}
			if _, _, err := f.ByRecipient(f.ctx, r.ID); !errors.Is(err, chunk.ErrNotFound) {
				t.Errorf("%s: a recipient is there: %v", name, err)
			}
		}
	}
	f.wantRecord(c)
	f.wantRecipient(rs[0], c)
	f.wantRecipient(rs[1], c)
}

// Ids are unique although chunks of other hours may be kept elsewhere.
func testExistsOverHours(t *testing.T, open Open) {
	f := newFixture(t, open, 0)
	rs := NewRecipients(t, 1)
	c := f.create(NewBody(1), rs...)
	f.config.Clock.Advance(TTL / 2)
	later := NewChunk(t, nil, f.config.Clock.Unix())
	later.SenderID = c.SenderID
	wantErr(t, "sender", f.Create(f.ctx, later, nil), chunk.ErrExists)
	later.SenderID = RandomID()
	wantErr(t, "recipient", f.Create(f.ctx, later, rs), chunk.ErrExists)
	if err := f.Create(f.ctx, later, nil); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "recipient of another", f.AddRecipients(f.ctx, later.Ref, rs), chunk.ErrExists)
	f.wantRecipient(rs[0], c)
}

func testRecipients(t *testing.T, open Open) {
	f := newFixture(t, open, 0)
	body := NewBody(3000)
	first, second := NewRecipients(t, 1), NewRecipients(t, 3)
	c := f.create(body, first...)
	if err := f.AddRecipients(f.ctx, c.Ref, second); err != nil {
		t.Fatal(err)
	}
	for _, r := range append(first, second...) {
		f.wantRecipient(r, c)
	}
	f.upload(c, body)
	c.Uploaded = true
	for _, r := range append(first, second...) {
		f.wantRecipient(r, c)
	}
}

func testRecipientsLater(t *testing.T, open Open) {
	f := newFixture(t, open, 0)
	body := NewBody(3000)
	c := f.put(body)
	c.Uploaded = true
	rs := NewRecipients(t, 200)
	if err := f.AddRecipients(f.ctx, c.Ref, rs); err != nil {
		t.Fatal(err)
	}
	for _, r := range rs[:5] {
		f.wantRecipient(r, c)
	}
	f.wantBody(c, body)
}

func testAddAllOrNone(t *testing.T, open Open) {
	f := newFixture(t, open, 0)
	old := NewRecipients(t, 1)
	c := f.create(NewBody(1), old...)
	other := f.create(NewBody(1))
	for name, taken := range map[string]chunk.ID{"own recipient": old[0].ID, "own sender": c.SenderID, "other sender": other.SenderID} {
		rs := NewRecipients(t, 3)
		rs[2].ID = taken
		wantErr(t, name, f.AddRecipients(f.ctx, c.Ref, rs), chunk.ErrExists)
		if _, _, err := f.ByRecipient(f.ctx, rs[0].ID); !errors.Is(err, chunk.ErrNotFound) {
			t.Errorf("%s: a recipient is there: %v", name, err)
		}
	}
	twice := NewRecipients(t, 2)
	twice[1].ID = twice[0].ID
	wantErr(t, "twice", f.AddRecipients(f.ctx, c.Ref, twice), chunk.ErrExists)
	if err := f.AddRecipients(f.ctx, c.Ref, twice[:1]); err != nil {
		t.Fatal(err)
	}
	f.wantRecipient(twice[0], c)
}

func testRemoveRecipient(t *testing.T, open Open) {
	f := newFixture(t, open, 0)
	rs := NewRecipients(t, 2)
	body := NewBody(1000)
	c := f.put(body, rs...)
	c.Uploaded = true
	if err := f.RemoveRecipient(f.ctx, rs[0].ID); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.ByRecipient(f.ctx, rs[0].ID); !errors.Is(err, chunk.ErrNotFound) {
		t.Errorf("by recipient: %v", err)
	}
	wantErr(t, "a second time", f.RemoveRecipient(f.ctx, rs[0].ID), chunk.ErrNotFound)
	wantErr(t, "a sender", f.RemoveRecipient(f.ctx, c.SenderID), chunk.ErrNotFound)
	f.wantRecipient(rs[1], c)
	f.wantBody(c, body)
	f.wantUsage(1, 1000, 0)
}

func testDelete(t *testing.T, open Open) {
	f := newFixture(t, open, 0)
	rs := NewRecipients(t, 2)
	body := NewBody(100_000)
	kept, c, registered := f.put(body), f.put(body, rs...), f.create(body)
	for _, ref := range []chunk.Ref{c.Ref, registered.Ref} {
		if err := f.Delete(f.ctx, ref); err != nil {
			t.Fatal(err)
		}
	}
	f.wantGone(c, rs...)
	f.wantGone(registered)
	f.wantUsage(1, 100_000, 0)
	f.wantBody(kept, body)
	f.wantNoStrays()
	c.Ref = 0
	if err := f.Create(f.ctx, c, rs); err != nil {
		t.Fatalf("the ids are free again: %v", err)
	}
}

// Spec: xftp.md 10.2, a chunk that is blocked twice or deleted after it was blocked is released once.
func testBlock(t *testing.T, open Open) {
	f := newFixture(t, open, 0)
	rs := NewRecipients(t, 1)
	body := NewBody(100_000)
	kept, c, registered := f.put(body), f.put(body, rs...), f.create(body)
	for _, b := range []chunk.Blocking{{Reason: "spam"}, {Reason: "content", HasNotice: true, NoticeTTL: 1 << 40}, {Reason: "content", HasNotice: true}} {
		for _, one := range []*chunk.Chunk{c, registered} {
			if err := f.Block(f.ctx, one.Ref, b); err != nil {
				t.Fatal(err)
			}
			one.Blocked, one.Blocking = true, b
			f.wantRecord(one)
		}
		f.wantRecipient(rs[0], c)
		f.wantUsage(1, 100_000, 0)
	}
	_, err := f.Download(f.ctx, c)
	wantErr(t, "download", err, chunk.ErrNotFound)
	_, err = f.Upload(f.ctx, c)
	wantErr(t, "upload", err, chunk.ErrNotFound)
	wantErr(t, "add recipients", f.AddRecipients(f.ctx, c.Ref, NewRecipients(t, 1)), chunk.ErrNotFound)
	if err := f.Delete(f.ctx, c.Ref); err != nil {
		t.Fatalf("delete a blocked chunk: %v", err)
	}
	f.wantGone(c, rs...)
	f.wantUsage(1, 100_000, 0)
	f.wantBody(kept, body)
	f.wantNoStrays()
}

func testRefs(t *testing.T, open Open) {
	f := newFixture(t, open, 0)
	seen := make(map[chunk.Ref]bool)
	for range 50 {
		c := f.create(NewBody(1))
		if seen[c.Ref] || c.Ref == 0 {
			t.Fatal("a ref was given twice, or none")
		}
		seen[c.Ref] = true
		if err := f.Delete(f.ctx, c.Ref); err != nil {
			t.Fatal(err)
		}
	}
}

func testNothing(t *testing.T, open Open) {
	f := newFixture(t, open, 0)
	c := NewChunk(t, NewBody(1), start)
	f.wantGone(c, NewRecipients(t, 1)...)
	there := f.create(NewBody(1))
	for _, ref := range []chunk.Ref{there.Ref + 1, there.Ref - 1, there.Ref << 1, -there.Ref, 1 << 62, -1} {
		c.Ref = ref
		f.wantGone(c)
	}
	f.wantRecord(there)
	f.wantUsage(0, 0, 0)
	if n, err := f.Expire(f.ctx, start); n != 0 || err != nil {
		t.Fatalf("expired %d, %v", n, err)
	}
}
