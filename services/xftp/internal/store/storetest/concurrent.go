package storetest

import (
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sotto/services/xftp/internal/chunk"
)

var concurrentCases = []testCase{
	{"one of many uploads wins", testRaceUpload},
	{"quota is never exceeded", testRaceQuota},
	{"one of many creates wins", testRaceCreate},
	{"delete during transfers", testRaceDelete},
	{"many transfers", testTransfers},
	{"expiry under load", testRaceExpire},
	{"look-ups and changes", testRaceChanges},
}

func testRaceUpload(t *testing.T, open Open) {
	f := newFixture(t, open, 0)
	const callers, size = 6, 300_000
	for range 5 {
		c := f.create(NewBody(size))
		bodies := make([][]byte, callers)
		var won atomic.Int64
		var winner atomic.Int64
		var wait sync.WaitGroup
		for i := range callers {
			bodies[i] = NewBody(size)
			wait.Go(func() {
				u, err := f.Upload(f.ctx, c)
				if err == nil {
					defer u.Abort()
					if _, err = u.Write(bodies[i]); err == nil {
						err = u.Commit(f.ctx)
					}
				}
				switch {
				case err == nil:
					won.Add(1)
					winner.Store(int64(i))
				case !errors.Is(err, chunk.ErrUploaded):
					t.Error(err)
				}
			})
		}
		wait.Wait()
		if won.Load() != 1 {
			t.Fatalf("%d uploads won", won.Load())
		}
		f.wantUsage(1, size, 0)
		f.wantBody(c, bodies[winner.Load()])
		f.wantNoStrays()
		if err := f.Delete(f.ctx, c.Ref); err != nil {
			t.Fatal(err)
		}
	}
	f.wantUsage(0, 0, 0)
}

func testRaceQuota(t *testing.T, open Open) {
	const room = 4
	f := newFixture(t, open, room*unit)
	body := NewBody(unit)
	var accepted, over atomic.Int64
	var wait sync.WaitGroup
	for range 4 * room {
		c := f.create(body)
		wait.Go(func() {
			u, err := f.Upload(f.ctx, c)
			if errors.Is(err, chunk.ErrQuota) {
				return
			}
			if err == nil {
				_, err = u.Write(body)
			}
			if usage := f.Usage(); usage.Bytes+usage.Reserved > usage.Quota {
				over.Add(1)
			}
			if err == nil {
				err = u.Commit(f.ctx)
			}
			if err != nil {
				t.Error(err)
				return
			}
			accepted.Add(1)
		})
	}
	wait.Wait()
	if accepted.Load() != room || over.Load() != 0 {
		t.Errorf("%d accepted with room for %d, %d times over", accepted.Load(), room, over.Load())
	}
	f.wantUsage(room, room*unit, 0)
}

func testRaceCreate(t *testing.T, open Open) {
	f := newFixture(t, open, 0)
	for range 10 {
		id := RandomID()
		var won atomic.Int64
		var wait sync.WaitGroup
		for i := range 6 {
			c, rs := NewChunk(t, nil, start-int64(i)*12*chunk.Hour), NewRecipients(t, 2)
			if i%2 == 0 {
				c.SenderID = id
			} else {
				rs[1].ID = id
			}
			wait.Go(func() {
				err := f.Create(f.ctx, c, rs)
				if err == nil {
					won.Add(1)
				} else if !errors.Is(err, chunk.ErrExists) {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		if won.Load() != 1 {
			t.Fatalf("%d chunks have one id", won.Load())
		}
	}
}

func testRaceDelete(t *testing.T, open Open) {
	f := newFixture(t, open, 0)
	const size = 300_000
	body := NewBody(size)
	for round := range 10 {
		c := f.create(body)
		if round%2 == 0 {
			f.upload(c, body)
		}
		var deleted atomic.Int64
		var wait sync.WaitGroup
		for range 2 {
			wait.Go(func() {
				u, err := f.Upload(f.ctx, c)
				if err == nil {
					if _, err = u.Write(body); err == nil {
						err = u.Commit(f.ctx)
					}
					u.Abort()
				}
				if err != nil && !errors.Is(err, chunk.ErrUploaded) && !errors.Is(err, chunk.ErrNotFound) {
					t.Error(err)
				}
			})
			wait.Go(func() {
				r, err := f.Download(f.ctx, c)
				if err == nil {
					var n int64
					n, err = io.Copy(io.Discard, r)
					_ = r.Close()
					if err == nil && n != size {
						t.Errorf("%d bytes", n)
					}
				}
				if err != nil && !errors.Is(err, chunk.ErrNoBody) && !errors.Is(err, chunk.ErrNotFound) {
					t.Error(err)
				}
			})
			wait.Go(func() {
				err := f.Delete(f.ctx, c.Ref)
				if err == nil {
					deleted.Add(1)
				} else if !errors.Is(err, chunk.ErrNotFound) {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		if deleted.Load() != 1 {
			t.Fatalf("deleted %d times", deleted.Load())
		}
		f.wantGone(c)
		f.wantUsage(0, 0, 0)
		f.wantNoStrays()
	}
}

func testTransfers(t *testing.T, open Open) {
	f := newFixture(t, open, 0)
	const callers, each, size = 16, 4, 300_000
	var wait sync.WaitGroup
	for range callers {
		wait.Go(func() {
			for range each {
				body := NewBody(size)
				c := NewChunk(t, body, start)
				rs := NewRecipients(t, 1)
				if err := f.Create(f.ctx, c, rs); err != nil {
					t.Error(err)
					return
				}
				u, err := f.Upload(f.ctx, c)
				if err == nil {
					if _, err = u.Write(body); err == nil {
						err = u.Commit(f.ctx)
					}
				}
				if err != nil {
					t.Error(err)
					return
				}
				f.downloaded(rs[0].ID, body)
			}
		})
	}
	wait.Wait()
	f.wantUsage(callers*each, callers*each*size, 0)
	f.wantNoStrays()
}

// downloaded is wantBody for any goroutine.
func (f *fixture) downloaded(recipient chunk.ID, body []byte) {
	c, _, err := f.ByRecipient(f.ctx, recipient)
	if err != nil {
		f.t.Error(err)
		return
	}
	r, err := f.Download(f.ctx, c)
	if err != nil {
		f.t.Error(err)
		return
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil || string(got) != string(body) {
		f.t.Errorf("%d bytes, %v", len(got), err)
	}
}

// testRaceExpire runs transfers of new chunks while old ones are expired, also such that are being transferred.
func testRaceExpire(t *testing.T, open Open) {
	f := newFixture(t, open, 0)
	const rounds, old = 6, 8
	body := NewBody(300_000)
	for range rounds {
		var dying []*chunk.Chunk
		for i := range old {
			c := f.create(body)
			if i%2 == 0 {
				f.upload(c, body)
			}
			dying = append(dying, c)
		}
		f.config.Clock.Advance(TTL + grace)
		var wait sync.WaitGroup
		for i, c := range dying {
			wait.Go(func() {
				if i%2 == 0 {
					_, err := f.Download(f.ctx, c)
					wantErr(t, "download", err, chunk.ErrNotFound)
					return
				}
				_, err := f.Upload(f.ctx, c)
				wantErr(t, "upload", err, chunk.ErrNotFound)
			})
		}
		for range 4 {
			wait.Go(func() {
				c, rs := NewChunk(t, body, f.config.Clock.Unix()), NewRecipients(t, 1)
				err := f.Create(f.ctx, c, rs)
				if err != nil {
					t.Error(err)
					return
				}
				u, err := f.Upload(f.ctx, c)
				if err == nil {
					if _, err = u.Write(body); err == nil {
						err = u.Commit(f.ctx)
					}
				}
				if err != nil {
					t.Error(err)
					return
				}
				f.downloaded(rs[0].ID, body)
			})
		}
		var expired atomic.Int64
		for range 2 {
			wait.Go(func() {
				n, err := f.Expire(f.ctx, f.config.Clock.Unix())
				if err != nil {
					t.Error(err)
				}
				expired.Add(n)
			})
		}
		wait.Wait()
		if n := expired.Load(); n < old || n > old+4 {
			t.Errorf("%d expired of %d", n, old)
		}
		f.wantUsage(4, 4*int64(len(body)), 0)
		f.config.Clock.Advance(TTL + grace)
		f.expire()
		f.wantUsage(0, 0, 0)
	}
}

// testRaceChanges does everything to a few chunks at once. In the end nothing is left, and nothing is counted.
func testRaceChanges(t *testing.T, open Open) {
	f := newFixture(t, open, 0)
	const size, pool, callers, each = 20_000, 4, 8, 40
	body := NewBody(size)
	var mu sync.Mutex
	var chunks []*chunk.Chunk
	pick := func() *chunk.Chunk {
		mu.Lock()
		defer mu.Unlock()
		if len(chunks) < pool {
			c := NewChunk(t, body, start)
			if err := f.Create(f.ctx, c, nil); err != nil {
				t.Error(err)
			}
			chunks = append(chunks, c)
			return c
		}
		i := rand.IntN(pool)
		return chunks[i]
	}
	forget := func(c *chunk.Chunk) {
		mu.Lock()
		defer mu.Unlock()
		for i := range chunks {
			if chunks[i] == c {
				chunks = append(chunks[:i:i], chunks[i+1:]...)
				return
			}
		}
	}
	var wait sync.WaitGroup
	for range callers {
		wait.Go(func() {
			for range each {
				c := pick()
				var err error
				switch rand.IntN(8) {
				case 0:
					err = f.Delete(f.ctx, c.Ref)
					forget(c)
				case 1:
					err = f.Block(f.ctx, c.Ref, chunk.Blocking{Reason: "spam"})
				case 2:
					err = f.AddRecipients(f.ctx, c.Ref, NewRecipients(t, 2))
				case 3:
					_, err = f.BySender(f.ctx, c.SenderID)
				default:
					u, failed := f.Upload(f.ctx, c)
					if err = failed; err == nil {
						_, err = u.Write(body)
						if err == nil && rand.IntN(3) > 0 {
							err = u.Commit(f.ctx)
						}
						u.Abort()
					}
				}
				if err != nil && !errors.Is(err, chunk.ErrNotFound) && !errors.Is(err, chunk.ErrUploaded) {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	var stored int64
	for _, c := range chunks {
		if r := f.bySender(c.SenderID); r != nil && r.Uploaded {
			stored++
			f.wantBody(c, body)
		}
	}
	f.wantUsage(stored, stored*size, 0)
	f.wantNoStrays()
	f.config.Clock.Advance(TTL + grace + time.Hour)
	f.expire()
	f.wantUsage(0, 0, 0)
}
