package storetest

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"sotto/services/xftp/internal/chunk"
)

var expiryCases = []testCase{
	{"the moment", testExpiryMoment},
	{"counts and room", testExpiryCounts},
	{"many hours", testExpiryHours},
	{"blocked chunks expire", testExpiryBlocked},
	{"never", testExpiryNever},
	{"during upload", testExpiryUpload},
	{"during download", testExpiryDownload},
	{"another ttl", testExpiryOtherTTL},
}

// grace is how long after its expiry a chunk is removed for certain, if Expire runs then.
const grace = TTL

// expire runs Expire now.
func (f *fixture) expire() int64 {
	f.t.Helper()
	n, err := f.Expire(f.ctx, f.config.Clock.Unix())
	if err != nil {
		f.t.Fatalf("expire: %v", err)
	}
	return n
}

// Spec: xftp.md 10.3. Chunks are not found from the moment they expire, whether or not Expire has run.
func testExpiryMoment(t *testing.T, open Open) {
	for _, run := range []bool{false, true} {
		f := newFixture(t, open, 0)
		rs := NewRecipients(t, 2)
		body := NewBody(1000)
		c, registered := f.put(body, rs...), f.create(body)
		c.Uploaded = true
		last := c.Created + chunk.Hour + int64(TTL/time.Second)
		f.config.Clock.seconds.Store(last)
		if run {
			if n := f.expire(); n != 0 {
				t.Fatalf("%d chunks expired too soon", n)
			}
		}
		f.wantRecord(c)
		f.wantRecipient(rs[0], c)
		f.wantBody(c, body)
		f.wantNoBody(registered)
		f.wantUsage(1, 1000, 0)
		f.config.Clock.Advance(time.Second)
		if run {
			f.expire()
		}
		f.wantGone(c, rs...)
		f.wantGone(registered)
	}
}

func testExpiryCounts(t *testing.T, open Open) {
	f := newFixture(t, open, 10*unit)
	body := NewBody(unit)
	for range 3 {
		f.put(body, NewRecipients(t, 2)...)
		f.create(body)
	}
	deleted := f.put(body)
	if err := f.Delete(f.ctx, deleted.Ref); err != nil {
		t.Fatal(err)
	}
	f.config.Clock.Advance(TTL + grace)
	kept := f.put(body)
	if n := f.expire(); n != 6 {
		t.Errorf("%d chunks expired", n)
	}
	f.wantUsage(1, unit, 0)
	if n := f.expire(); n != 0 {
		t.Errorf("%d chunks expired twice", n)
	}
	f.wantUsage(1, unit, 0)
	f.wantBody(kept, body)
	f.wantNoStrays()
}

// testExpiryHours lets chunks of many hours expire one after the other.
func testExpiryHours(t *testing.T, open Open) {
	f := newFixture(t, open, 0)
	const hours = 60
	ttl := int64(TTL / time.Second)
	body := NewBody(100)
	all := make([]*chunk.Chunk, 0, hours)
	var expired int64
	for range hours {
		all = append(all, f.put(body))
		f.config.Clock.Advance(time.Hour)
		expired += f.expire()
	}
	for range int64((TTL+grace)/time.Hour) + 2 {
		now := f.config.Clock.Unix()
		for _, c := range all {
			if found := f.bySender(c.SenderID) != nil; found == chunk.Expired(c.Created, now, ttl) {
				t.Fatalf("%d seconds after its hour: found %t", now-c.Created, found)
			}
		}
		f.config.Clock.Advance(time.Hour)
		expired += f.expire()
	}
	if expired != hours {
		t.Errorf("%d of %d expired", expired, hours)
	}
	f.wantUsage(0, 0, 0)
}

func testExpiryBlocked(t *testing.T, open Open) {
	f := newFixture(t, open, 0)
	c := f.put(NewBody(100))
	if err := f.Block(f.ctx, c.Ref, chunk.Blocking{Reason: "spam"}); err != nil {
		t.Fatal(err)
	}
	f.config.Clock.Advance(TTL + grace)
	f.wantGone(c)
	if n := f.expire(); n != 1 {
		t.Errorf("%d chunks expired", n)
	}
	f.wantUsage(0, 0, 0)
}

func testExpiryNever(t *testing.T, open Open) {
	f := newFixtureWith(t, open, Config{})
	body := NewBody(100)
	c := f.put(body)
	f.config.Clock.Advance(20 * 365 * 24 * time.Hour)
	later := f.put(body)
	if n := f.expire(); n != 0 {
		t.Errorf("%d chunks expired", n)
	}
	f.wantBody(c, body)
	f.wantBody(later, body)
	f.wantUsage(2, 200, 0)
}

func testExpiryUpload(t *testing.T, open Open) {
	for _, wait := range []time.Duration{TTL + 2*time.Hour, TTL + grace} {
		f := newFixture(t, open, 0)
		body := NewBody(600_000)
		c := f.create(body)
		u := f.begin(c)
		f.write(u, body[:400_000])
		f.config.Clock.Advance(wait)
		f.expire()
		f.wantUsage(0, 0, 600_000)
		f.gone(u, body[400_000:])
		f.wantUsage(0, 0, 0)
		f.wantGone(c)
	}
}

func testExpiryDownload(t *testing.T, open Open) {
	f := newFixture(t, open, 0)
	body := NewBody(600_000)
	c := f.put(body)
	r, err := f.Download(f.ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	head := make([]byte, 10)
	if _, err := io.ReadFull(r, head); err != nil {
		t.Fatal(err)
	}
	f.config.Clock.Advance(TTL + grace)
	f.expire()
	rest, err := io.ReadAll(r)
	got := append(head, rest...)
	if err != nil && !errors.Is(err, chunk.ErrNotFound) || err == nil && len(got) != len(body) {
		t.Errorf("read %d bytes: %v", len(got), err)
	}
	if !bytes.HasPrefix(body, got) {
		t.Error("other bytes than the chunk's")
	}
}

// testExpiryOtherTTL changes the TTL between two starts, to a longer, a shorter, and none at all.
func testExpiryOtherTTL(t *testing.T, open Open) {
	f := newFixture(t, open, 0)
	body := NewBody(100)
	var all []*chunk.Chunk
	for _, ttl := range []time.Duration{TTL, 10 * TTL, time.Hour, 0, TTL, 5 * time.Hour} {
		f.config.TTL = ttl
		f.reopen()
		all = append(all, f.put(body))
		f.config.Clock.Advance(time.Hour)
		all = append(all, f.put(body))
		f.wantUsage(int64(len(all)), int64(100*len(all)), 0)
	}
	f.config.TTL = 20 * TTL
	f.reopen()
	for _, c := range all {
		f.wantBody(c, body)
	}
	f.wantUsage(int64(len(all)), int64(100*len(all)), 0)
	f.config.TTL = time.Hour
	f.reopen()
	f.config.Clock.Advance(100 * 24 * time.Hour) // also those of the time without a TTL
	for _, c := range all {
		f.wantGone(c)
	}
	if n := f.expire(); n != int64(len(all)) {
		t.Errorf("%d of %d expired", n, len(all))
	}
	f.wantUsage(0, 0, 0)
}
