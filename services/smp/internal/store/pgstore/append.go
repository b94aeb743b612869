package pgstore

import (
	"context"
	"time"

	"sotto/services/smp/internal/queue"
)

const (
	// appenders is the number of goroutines that store messages, each with a connection. A queue has its
	// messages stored by one of them.
	appenders = 1
	// groupMessages and groupBytes bound what one transaction stores.
	groupMessages = 128
	groupBytes    = 4 << 20
	// waitingBytes bounds the messages waiting for an appender; then callers wait before they queue up.
	waitingBytes = 32 << 20
)

// appending is a message on its way into the database. Guarded by Store.mu.
type appending struct {
	state    *state
	entry    entry
	call     *call // nil: has its result
	discard  bool  // nobody waits for it, but it is in the database: to be removed again
	result   *queue.Appended
	deadline time.Time
}

// appender stores messages in groups: what came while one group was being committed is the next. A message that
// comes alone is stored at once.
type appender struct {
	store   *Store
	session session
	copier  copier
	wake    chan struct{}

	// Guarded by Store.mu.
	waiting []*appending
	bytes   int64         // of waiting
	room    chan struct{} // not nil: closed when waiting shrinks

	group []*appending // being stored; changed by the appender's goroutine only

	// Owned by the appender's goroutine.
	sent   bool // the group may have been committed
	stored bool // the group has been committed
}

func newAppender(s *Store, i int) *appender {
	return &appender{store: s, wake: make(chan struct{}, 1), session: session{store: s, key: appendKey + int32(i)}}
}

// Append adds each message at the tail of its queue. A message that could not be stored within Options.Wait, or
// whose fate was unknown by then, is not in the queue afterwards.
//
// Spec: smp.md 8.4
func (s *Store) Append(ctx context.Context, in []queue.NewMessage, results []queue.Appended) {
	var (
		oneRef   [1]queue.Ref
		oneState [1]*state
		qs, sts  = oneRef[:0], oneState[:]
	)
	if len(in) != 1 {
		qs, sts = make([]queue.Ref, 0, len(in)), make([]*state, len(in))
	}
	for i := range in {
		qs = append(qs, in[i].Queue)
	}
	if err := s.lockWithRoom(ctx, qs, sts); err != nil {
		for i := range in {
			results[i] = queue.Appended{Err: err}
		}
		return
	}
	c := calls.Get().(*call)
	all := make([]appending, len(in))
	deadline := time.Now().Add(s.options.Wait)
	for i, st := range sts {
		p := &all[i]
		p.state, p.call, p.result, p.deadline = st, c, &results[i], deadline
		if err := s.reserve(p, in[i].Message); err != nil {
			results[i] = queue.Appended{Err: err}
			continue
		}
		c.left++
	}
	waiting := c.left > 0
	s.mu.Unlock()
	if waiting {
		s.await(ctx, c)
	}
	calls.Put(c)
}

// lockWithRoom is lockStates, after there is room in the appenders' lists.
func (s *Store) lockWithRoom(ctx context.Context, qs []queue.Ref, sts []*state) error {
	for {
		if err := s.lockStates(ctx, qs, sts, 0); err != nil {
			return err
		}
		var room chan struct{}
		for _, a := range s.appender {
			if a.bytes >= waitingBytes {
				if a.room == nil {
					a.room = make(chan struct{})
				}
				room = a.room
			}
		}
		if room == nil {
			return nil
		}
		s.mu.Unlock()
		bounded, cancel := context.WithTimeout(ctx, s.options.Wait)
		err := wait(bounded, room)
		cancel()
		if err != nil {
			return bound("append message", err)
		}
	}
}

// reserve gives m or its quota marker to an appender, or returns why neither is stored. It is the function write of
// the specification.
//
// Spec: smp.md 8.4
func (s *Store) reserve(p *appending, m *queue.Message) error {
	st := p.state
	if st.gone {
		return queue.ErrNotFound
	}
	if !st.canWrite && st.size > 0 {
		return queue.ErrQuota
	}
	st.canWrite = st.size < s.options.Quota
	if !st.canWrite {
		m = &queue.Message{ID: m.ID, Time: m.Time, Quota: true}
	}
	p.entry = entry{seq: st.nextSeq, m: m}
	st.nextSeq++
	st.size++
	st.pins++
	a := s.appenderOf(st)
	a.waiting = append(a.waiting, p)
	a.bytes += cost(m)
	wake(a.wake)
	return nil
}

func (s *Store) appenderOf(st *state) *appender { return s.appender[uint64(st.ref)%appenders] }

// rollBack undoes reserve for a message that is not stored.
func (p *appending) rollBack(s *Store) {
	p.state.size--
	if p.entry.m.Quota {
		p.state.canWrite = true
	}
	s.unpin(p.state, 1)
}

// finish gives a message its result, unless it has one already.
func (p *appending) finish(r queue.Appended) {
	if p.call != nil {
		*p.result = r
		c := p.call
		p.call, p.result = nil, nil
		c.finish()
	}
}

// withdraw ends the waiting of those messages that match. Called with Store.mu locked.
func (a *appender) withdraw(match func(*appending) bool, err error) {
	kept := a.waiting[:0]
	for _, p := range a.waiting {
		if !match(p) {
			kept = append(kept, p)
			continue
		}
		a.bytes -= cost(p.entry.m)
		p.rollBack(a.store)
		p.finish(queue.Appended{Err: err})
	}
	clear(a.waiting[len(kept):])
	a.waiting = kept
	a.makeRoom()
}

func (a *appender) makeRoom() {
	if a.room != nil && a.bytes < waitingBytes {
		close(a.room)
		a.room = nil
	}
}

// giveUp gives messages that have waited too long their result. Those of the group stay in it: what becomes of them
// is for run to find out. Called with Store.mu locked.
func (a *appender) giveUp(now time.Time) {
	if len(a.waiting) > 0 && a.waiting[0].deadline.Before(now) {
		a.withdraw(func(p *appending) bool { return p.deadline.Before(now) }, errWaited("append message"))
	}
	for _, p := range a.group {
		if p.deadline.Before(now) {
			p.finish(queue.Appended{Err: errWaited("append message")})
		}
	}
}
