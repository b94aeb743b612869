package notify

import (
	"slices"

	"sotto/services/smp/internal/queue"
)

// item is one notification that waits.
type item struct {
	id    queue.MessageID
	time  int64
	saved bool // it is in the database, or about to be
}

// waiting is what waits for one notifier, the oldest first; never nothing.
type waiting struct {
	entry   *entry
	secret  queue.Secret
	service queue.ID // that the notifier is associated with; zero: none
	items   []item
	place   int  // in Hub.oldest
	listed  bool // in Hub.unsaved or Hub.saving
	tried   bool // it was listed before, and is about to be delivered

	box        *mailbox // that it is in; nil: nobody listens
	prev, next *waiting // in box
}

// mailbox is what waits for one subscriber, or for one service.
type mailbox struct {
	reader      *Subscriber // nil: a service without a connection
	service     *service    // nil: that of a subscriber
	first, last *waiting
}

// put appends w to the mailbox.
func (h *Hub) put(b *mailbox, w *waiting) {
	w.box, w.prev, w.next = b, b.last, nil
	if b.last != nil {
		b.last.next = w
	} else {
		b.first = w
		h.full[b] = struct{}{}
	}
	b.last = w
}

// unput takes w out of its mailbox.
func (h *Hub) unput(w *waiting) {
	b := w.box
	if b == nil {
		return
	}
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		b.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		b.last = w.prev
	}
	if b.first == nil {
		delete(h.full, b)
	}
	w.box, w.prev, w.next = nil, nil, nil
}

// route puts what waits for e into the mailbox of whoever listens now.
func (h *Hub) route(e *entry) {
	w := e.waiting
	if w == nil {
		return
	}
	var to *mailbox
	switch {
	case e.sub != nil:
		to = &e.sub.mail
	case !w.service.IsZero():
		to = &h.service(w.service).mail
	}
	if to == w.box {
		return
	}
	from := w.box
	h.unput(w)
	if to != nil {
		h.put(to, w)
	}
	h.tidyBox(from)
}

// Add notes a message, of a time in Unix nanoseconds, for a notifier. It returns how many older notifications it had to
// drop for want of room.
//
// Spec: smp.md 10.4
func (h *Hub) Add(n *queue.Notifier, id queue.MessageID, time int64) (dropped int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	w := h.waitingFor(n)
	if len(w.items) > 0 { // the order is that of the times, also after a restart
		time = max(time, w.items[len(w.items)-1].time+1)
	}
	w.items = append(w.items, item{id: id, time: time})
	h.total++
	h.arrived(w)
	if len(w.items) > perNotifier {
		h.dropFirst(w)
		dropped++
	}
	for h.total > h.most {
		h.dropFirst(h.oldest[0])
		dropped++
	}
	return dropped
}

// waitingFor returns what waits for n, made if there is nothing yet. An item has to follow.
func (h *Hub) waitingFor(n *queue.Notifier) *waiting {
	e := h.entry(n.ID)
	if e.waiting == nil {
		e.waiting = &waiting{entry: e, secret: n.DHSecret, service: n.Service, place: unplaced}
		h.route(e)
	}
	return e.waiting
}

// arrived notes that w has another item at its end.
func (h *Hub) arrived(w *waiting) {
	if w.place == unplaced {
		h.oldest.push(w)
	}
	if w.listed {
		return
	}
	w.listed = true
	if len(h.unsaved) > 2*len(h.oldest)+leaveStep { // most are forgotten, and nothing has been saved for long
		h.unsaved = slices.DeleteFunc(h.unsaved, func(w *waiting) bool { return w.items == nil })
	}
	h.unsaved = append(h.unsaved, w)
}

// dropFirst drops the oldest item of w.
func (h *Hub) dropFirst(w *waiting) { h.take(w, 1) }

// take takes the first n items out of w, and forgets it when that was all.
func (h *Hub) take(w *waiting, n int) {
	for _, i := range w.items[:n] {
		if i.saved {
			h.removed = append(h.removed, queue.Notification{Notifier: queue.Notifier{ID: w.entry.id}, MessageID: i.id})
		}
	}
	h.total -= n
	if n < len(w.items) {
		w.items = slices.Delete(w.items, 0, n)
		h.oldest.fix(w)
		return
	}
	h.forget(w)
}

// drop forgets w with all its items, wherever they are saved.
func (h *Hub) drop(w *waiting) {
	h.total -= len(w.items)
	h.forget(w)
}

func (h *Hub) forget(w *waiting) {
	box := w.box
	h.unput(w)
	h.tidyBox(box)
	h.oldest.remove(w)
	w.items, w.entry.waiting = nil, nil
	h.tidy(w.entry)
}

// Ready returns the subscribers that something waits for.
func (h *Hub) Ready() []*Subscriber {
	h.mu.Lock()
	defer h.mu.Unlock()
	var ready []*Subscriber
	for b := range h.full {
		if b.reader != nil {
			ready = append(ready, b.reader)
		}
	}
	return ready
}

// Take returns at most n notifications that wait for s, and forgets them. Those of one notifier are in their order.
func (h *Hub) Take(s *Subscriber, n int) []queue.Notification {
	h.mu.Lock()
	defer h.mu.Unlock()
	var taken []queue.Notification
	for len(taken) < n {
		w := s.firstWaiting()
		if w == nil {
			break
		}
		few := min(n-len(taken), len(w.items))
		for _, i := range w.items[:few] {
			taken = append(taken, queue.Notification{
				Notifier: queue.Notifier{ID: w.entry.id, DHSecret: w.secret}, MessageID: i.id, Time: i.time,
			})
		}
		h.take(w, few)
	}
	return taken
}

func (s *Subscriber) firstWaiting() *waiting {
	if w := s.mail.first; w != nil || s.service == nil || s.service.current != s {
		return w
	}
	return s.service.mail.first
}

// Expire drops the notifications of messages from before a time, in Unix nanoseconds, and returns how many. Those that
// are saved are the caller's.
func (h *Hub) Expire(before int64) (dropped int) {
	for {
		n := h.expireSome(before)
		if dropped += n; n == 0 {
			return dropped
		}
	}
}

func (h *Hub) expireSome(before int64) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.oldest) > 0 && h.oldest[0].items[0].time < before && n < leaveStep {
		h.oldest[0].items[0].saved = false
		h.dropFirst(h.oldest[0])
		n++
	}
	return n
}
