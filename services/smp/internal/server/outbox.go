package server

import (
	"sync"

	"sotto/services/smp/internal/hub"
	"sotto/services/smp/internal/queue"
	"sotto/shared/smp"
)

// Bounds of what waits for one connection to read. They are looked at before a group is queued; with a group of
// [heldMessages] more, one that is being written and one that waits for room they cap its memory at about 700 KB.
const (
	// outboxMessages: bodies of 16 KB. Beyond it messages stay in the store until there is room.
	outboxMessages = 16
	// outboxReplies: replies in all groups, about 100 bytes each.
	outboxReplies = 512
	// pullBatch is how many waiting messages are read from the store at once.
	pullBatch = 4
)

// reply is one transmission to the client: a response, or the message msg of queue q, which the writer seals.
type reply struct {
	corrID   []byte
	entityID []byte
	resp     smp.Response
	msg      *queue.Message
	q        *queue.Queue
}

// large reports whether a response is about as large as a message, and counts as one.
func large(r smp.Response) bool {
	switch r.(type) {
	case smp.LNK, smp.RRES, smp.PRES:
		return true
	default:
		return false
	}
}

func (r *reply) large() bool { return r.msg != nil || large(r.resp) }

// group is a list of replies that leave in as few blocks as possible, in order. Spec: smp.md 5.3
type group []reply

// outbox is what waits for a connection's writer. The reader waits when it is full, so a client that does not read
// is not read from; senders never wait.
type outbox struct {
	c   *conn
	max int // groups

	mu       sync.Mutex
	room     sync.Cond // more room, or closed, or idle
	groups   []group
	replies  int
	messages int
	ready    []*hub.Subscription // to be pulled when there is room
	notes    bool                // notifications may wait to be taken
	running  bool                // the writer goroutine
	closed   bool
}

func (o *outbox) init(c *conn, maxGroups int) {
	o.c, o.max = c, maxGroups
	o.room.L = &o.mu
}

// full is asked with the lock held.
func (o *outbox) full() bool {
	return len(o.groups) >= o.max || o.replies >= outboxReplies || o.messages >= outboxMessages
}

// put queues a group, after waiting for room. It is the reader's.
func (o *outbox) put(g group) {
	if len(g) == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.full() && !o.closed {
		o.room.Wait()
	}
	o.add(g)
}

// force queues a pulled message whatever the bounds, which were looked at before pulling.
func (o *outbox) force(g group) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.add(g)
}

// forceEnds queues events whatever the bounds; their number is bounded by the connection's subscriptions. Subscriptions
// are looked at with the lock held, so that no event comes after the answer to a SUB that made it void.
func (o *outbox) forceEnds(events []lost) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.add(o.c.endGroup(events))
}

func (o *outbox) add(g group) {
	if o.closed || len(g) == 0 {
		return
	}
	o.groups = append(o.groups, g)
	o.replies += len(g)
	for i := range g {
		if g[i].large() {
			o.messages++
		}
	}
	o.start()
}

func (o *outbox) start() {
	if !o.running {
		o.running = true
		go o.run()
	}
}

// Push takes a message for s unless there is no room. It implements [hub.Listener].
func (c *conn) Push(s *hub.Subscription, m *queue.Message) bool {
	o := &c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.full() || o.closed {
		return false
	}
	o.add(group{{entityID: s.Queue.RecipientID[:], msg: m, q: s.Queue}})
	return true
}

// Ready notes that s may have a message to pull. It implements [hub.Listener].
func (c *conn) Ready(s *hub.Subscription) {
	o := &c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed {
		o.ready = append(o.ready, s)
		o.start()
	}
}

// notify notes that notifications may wait. The writer takes them, a block at a time, when it has time.
func (o *outbox) notify() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed {
		o.notes = true
		o.start()
	}
}

// close drops what waits and releases everybody who does.
func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.groups, o.ready, o.notes = nil, nil, false
	o.room.Broadcast()
}

// drain waits until all replies are written. Messages that were not pulled yet stay in the store.
func (o *outbox) drain() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ready, o.notes = nil, false
	for o.running && !o.closed {
		o.room.Wait()
	}
}

// next returns the writer's next work: a group, or, in turn when there are both, subscriptions to pull or the order to
// take notifications. None of them ends the writer.
func (o *outbox) next(preferPull bool) (g group, pull []*hub.Subscription, notes bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.notes && !o.closed && (preferPull || len(o.groups) == 0) {
		o.notes = false
		return nil, nil, true
	}
	if len(o.ready) > 0 && !o.closed && o.messages+pullBatch <= outboxMessages && (preferPull || len(o.groups) == 0) {
		n := min(pullBatch, len(o.ready))
		pull = append([]*hub.Subscription(nil), o.ready[:n]...)
		o.ready = o.ready[n:]
		if len(o.ready) == 0 {
			o.ready = nil
		}
		return nil, pull, false
	}
	if len(o.groups) == 0 || o.closed {
		o.running, o.groups = false, nil
		o.room.Broadcast()
		return nil, nil, false
	}
	g = o.groups[0]
	o.groups[0] = nil
	o.groups = o.groups[1:]
	o.replies -= len(g)
	for i := range g {
		if g[i].large() {
			o.messages--
		}
	}
	o.room.Broadcast()
	return g, nil, false
}
