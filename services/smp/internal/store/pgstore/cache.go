package pgstore

import (
	"container/list"
	"sync"

	"sotto/services/smp/internal/queue"
)

// changeStripes is the number of locks that serialise the changes of records, and of counters that tell which
// records changed lately.
const changeStripes = 256

// index is one of the ways to find a record.
type index int

const (
	byRecipient index = iota
	bySender
	byNotifier
	byLink
	indexes
)

// id returns the id of q in the index; false when it has none.
func (i index) id(q *queue.Queue) (queue.ID, bool) {
	switch {
	case i == byRecipient:
		return q.RecipientID, true
	case i == bySender:
		return q.SenderID, true
	case i == byNotifier && q.Notifier != nil:
		return q.Notifier.ID, true
	case i == byLink:
		return q.LinkID, q.HasLink
	default:
		return queue.ID{}, false
	}
}

// records is a bounded cache of queue records, the least recently used leaving first. What is not in it is not
// known; unknown ids are not remembered.
//
// A record is put in after it was read, and may have been changed between the two. So a reader takes the time
// (counted in changes) before it reads, and put refuses a record that was changed after that.
type records struct {
	max int

	mu      sync.Mutex // guards everything below
	order   list.List  // of *queue.Queue, the most recently used first
	byRef   map[queue.Ref]*list.Element
	byID    [indexes]map[queue.ID]*list.Element
	clock   uint64
	changed [changeStripes]uint64 // when a record with this Ref % changeStripes changed last
}

func newRecords(most int) *records {
	r := &records{max: most, byRef: make(map[queue.Ref]*list.Element)}
	for by := range r.byID {
		r.byID[by] = make(map[queue.ID]*list.Element)
	}
	return r
}

// find fills in the records it has and returns the positions of the others.
func (r *records) find(by index, ids []queue.ID, into *queue.Lookup) (missing []int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, id := range ids {
		e := r.byID[by][id]
		if e == nil {
			missing = append(missing, i)
			continue
		}
		r.order.MoveToFront(e)
		into.Queues[i], into.Cached[i] = e.Value.(*queue.Queue), true
	}
	return missing
}

// now returns the time for put.
func (r *records) now() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.clock
}

// put caches q, unless it changed after readAt.
func (r *records) put(q *queue.Queue, readAt uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.changed[stripe(q.Ref)] > readAt {
		return
	}
	if e := r.byRef[q.Ref]; e != nil {
		r.replace(e, q)
		r.order.MoveToFront(e)
		return
	}
	e := r.order.PushFront(q)
	r.byRef[q.Ref] = e
	r.enter(e)
	for len(r.byRef) > r.max {
		r.remove(r.order.Back())
	}
}

// change notes that the record of q was changed in the database, and replaces the cached one by an edited copy.
// The caller holds the stripe of q in Store.changes.
func (r *records) change(q queue.Ref, edit func(*queue.Queue)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clock++
	r.changed[stripe(q)] = r.clock
	if e := r.byRef[q]; e != nil {
		copied := *e.Value.(*queue.Queue)
		edit(&copied)
		r.replace(e, &copied)
	}
}

// forget notes that the record of q is gone, or that nobody knows what it is now.
func (r *records) forget(q queue.Ref) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clock++
	r.changed[stripe(q)] = r.clock
	if e := r.byRef[q]; e != nil {
		r.remove(e)
	}
}

func (r *records) remove(e *list.Element) {
	r.leave(e)
	delete(r.byRef, r.order.Remove(e).(*queue.Queue).Ref)
}

// replace puts another version of the same record in place.
func (r *records) replace(e *list.Element, q *queue.Queue) {
	r.leave(e)
	e.Value = q
	r.enter(e)
}

// enter makes e found by all ids of its record.
func (r *records) enter(e *list.Element) {
	for by := range r.byID {
		if id, ok := index(by).id(e.Value.(*queue.Queue)); ok {
			r.byID[by][id] = e
		}
	}
}

// leave undoes enter. An id that another record has by now stays with that.
func (r *records) leave(e *list.Element) {
	for by := range r.byID {
		if id, ok := index(by).id(e.Value.(*queue.Queue)); ok && r.byID[by][id] == e {
			delete(r.byID[by], id)
		}
	}
}

func (r *records) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.order.Len()
}

func stripe(q queue.Ref) int { return int(uint64(q) % changeStripes) }
