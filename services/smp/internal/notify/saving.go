package notify

import (
	"cmp"
	"slices"

	"sotto/services/smp/internal/queue"
)

// Round begins to save: it chooses what [Hub.Unsaved] returns until the next one. That is everything that is not saved,
// but for what came since the last round and is for somebody who listens: most of it is delivered by the next. With all
// set it is that, too.
func (h *Hub) Round(all bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	later := h.unsaved[:0]
	for _, w := range h.unsaved {
		switch {
		case w.items == nil:
		case !all && !w.tried && w.box != nil && w.box.reader != nil:
			w.tried = true
			later = append(later, w)
		default:
			h.saving = append(h.saving, w)
		}
	}
	clear(h.unsaved[len(later):])
	h.unsaved = later
}

// Unsaved returns at most n notifications of the round that are not saved yet, and takes them for saved. The caller
// saves them and calls Saved, or NotSaved.
func (h *Hub) Unsaved(n int) []queue.Notification {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []queue.Notification
	for len(h.saving) > 0 {
		w := h.saving[0]
		for i := range w.items {
			if len(out) == n {
				return out
			}
			if it := &w.items[i]; !it.saved {
				it.saved = true
				out = append(out, queue.Notification{Notifier: queue.Notifier{ID: w.entry.id}, MessageID: it.id, Time: it.time})
			}
		}
		w.listed, w.tried = false, false
		h.saving[0] = nil
		h.saving = h.saving[1:]
	}
	h.saving = nil
	return out
}

// Saved notes what the store said of notifications that it was given: those of notifiers that are gone are dropped, and
// the others know the service of their notifier.
func (h *Hub) Saved(list []queue.Notification, saved []queue.Saved) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, n := range list {
		e := h.entries[n.Notifier.ID]
		switch {
		case e == nil || e.waiting == nil:
		case saved[i].Gone:
			h.drop(e.waiting)
		case e.waiting.service != saved[i].Service:
			e.waiting.service = saved[i].Service
			h.route(e)
		}
	}
}

// NotSaved notes that notifications could not be saved. It is tried again.
func (h *Hub) NotSaved(list []queue.Notification) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, n := range list {
		e := h.entries[n.Notifier.ID]
		if e == nil || e.waiting == nil {
			continue
		}
		for i := range e.waiting.items {
			if it := &e.waiting.items[i]; it.id == n.MessageID {
				it.saved = false
				h.arrived(e.waiting)
			}
		}
	}
}

// Removed returns at most n notifications that are saved and wait no more. The caller removes them, or calls
// NotRemoved.
func (h *Hub) Removed(n int) []queue.Notification {
	h.mu.Lock()
	defer h.mu.Unlock()
	n = min(n, len(h.removed))
	out := slices.Clone(h.removed[:n])
	if h.removed = h.removed[n:]; len(h.removed) == 0 {
		h.removed = nil
	}
	return out
}

// NotRemoved takes back what Removed returned.
func (h *Hub) NotRemoved(list []queue.Notification) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.removed = append(h.removed, list...)
}

// Restore adds notifications that were saved before the relay started. False means that there is no room for more.
func (h *Hub) Restore(list []queue.Notification) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range list {
		if h.total >= h.most {
			return false
		}
		n := &list[i]
		w := h.waitingFor(&n.Notifier)
		if len(w.items) >= perNotifier {
			continue
		}
		one := item{id: n.MessageID, time: n.Time, saved: true}
		at, _ := slices.BinarySearchFunc(w.items, one, func(a, b item) int { return cmp.Compare(a.time, b.time) })
		w.items = slices.Insert(w.items, at, one)
		h.total++
		if w.place == unplaced {
			h.oldest.push(w)
		}
		h.oldest.fix(w)
	}
	return true
}
