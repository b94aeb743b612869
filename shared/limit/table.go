package limit

import "time"

// The table holds the buckets of at most tableSets*setSize prefixes, in 1 MB that is taken when the first comes. A bucket
// that is full needs no place, so this many sources have to be busy within the same moments before any is forgotten.
const (
	tableSets = 8192
	setSize   = 8
)

// slot is the bucket of one prefix. Its zero value is free.
type slot struct {
	hash uint64
	full time.Duration // when the bucket is full again
}

// table is a set of buckets with a bound: a prefix has its place in one of setSize slots. A new one takes the place of the
// bucket that is nearest to being full, which loses least. So who sends from many prefixes to be forgotten for one has to be
// as busy from each of them, and no work grows with their number.
type table struct {
	slots []slot
}

// find returns the slot of a prefix; its own, or else the one to take.
func (t *table) find(hash uint64) *slot {
	if t.slots == nil {
		t.slots = make([]slot, tableSets*setSize)
	}
	at := hash % tableSets * setSize
	set := t.slots[at : at+setSize]
	least := &set[0]
	for i := range set {
		s := &set[i]
		if s.hash == hash {
			return s
		}
		if s.full < least.full {
			least = s
		}
	}
	return least
}

// full tells when the bucket of a prefix is full again: at once, if it has none.
func (t *table) full(hash uint64) time.Duration {
	if s := t.find(hash); s.hash == hash {
		return s.full
	}
	return 0
}

// set notes when the bucket of a prefix is full again.
func (t *table) set(hash uint64, full time.Duration) {
	*t.find(hash) = slot{hash: hash, full: full}
}
