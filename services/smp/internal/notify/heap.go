package notify

import stdheap "container/heap"

// unplaced is the place of what is not in the heap.
const unplaced = -1

// heap has all that waits, the one with the oldest notification first.
type heap []*waiting

func (p *heap) push(w *waiting) { stdheap.Push((*heapSlice)(p), w) }

// fix puts w in its place after its oldest notification is gone, or an older one has come.
func (p *heap) fix(w *waiting) {
	if w.place != unplaced {
		stdheap.Fix((*heapSlice)(p), w.place)
	}
}

func (p *heap) remove(w *waiting) {
	if w.place != unplaced {
		stdheap.Remove((*heapSlice)(p), w.place)
	}
}

// heapSlice is what package container/heap wants of a heap.
type heapSlice []*waiting

func (s *heapSlice) Len() int           { return len(*s) }
func (s *heapSlice) Less(i, j int) bool { return (*s)[i].items[0].time < (*s)[j].items[0].time }

func (s *heapSlice) Swap(i, j int) {
	h := *s
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

func (s *heapSlice) Push(x any) {
	w := x.(*waiting)
	w.place = len(*s)
	*s = append(*s, w)
}

func (s *heapSlice) Pop() any {
	h := *s
	w := h[len(h)-1]
	h[len(h)-1] = nil
	*s = h[:len(h)-1]
	w.place = unplaced
	return w
}
