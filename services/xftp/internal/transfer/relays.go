package transfer

import (
	"math/rand/v2"
	"slices"
	"sync"

	"sotto/shared/address"
)

// choice are the relays that get the chunks of a file, in turn. One that cannot be reached gets no more of them.
//
// Spec: xftp.md 12.3
type choice struct {
	tell func(address.Server, error)

	mu   sync.Mutex // guards what follows, and serialises tell
	left []*address.Server
	last error // why the last of them was left out
}

// newChoice begins with any of the relays, so that files of one chunk are spread too.
func newChoice(relays []address.Server, tell func(address.Server, error)) *choice {
	c := &choice{tell: tell}
	first := rand.N(len(relays))
	for i := range relays {
		c.left = append(c.left, &relays[(first+i)%len(relays)])
	}
	return c
}

// pick returns the relay for a chunk, and whether there are others. The error says why there is none.
func (c *choice) pick(chunk int) (relay *address.Server, others bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.left) == 0 {
		return nil, false, c.last
	}
	return c.left[chunk%len(c.left)], len(c.left) > 1, nil
}

// leaveOut ends the use of a relay.
func (c *choice) leaveOut(relay *address.Server, reason error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.Index(c.left, relay)
	if i < 0 {
		return
	}
	c.left = slices.Delete(c.left, i, i+1)
	c.last = reason
	if len(c.left) > 0 {
		c.tell(public(relay), reason)
	}
}
