package box

import (
	"sync"

	"sotto/shared/wire"
)

// scratch holds a padded message between padding and sealing, so that connections need no storage of their own for it.
type scratch struct{ buf []byte }

// scratchPool holds *scratch, which is what keeps Put from allocating.
var scratchPool = sync.Pool{New: func() any { return &scratch{buf: make([]byte, wire.BlockSize)} }}

func takeScratch() *scratch { return scratchPool.Get().(*scratch) }

func (s *scratch) release() { scratchPool.Put(s) }

// bytes returns n bytes of undefined content. Nothing in the protocols is padded to more than a block; if a caller does,
// the larger buffer stays in the pool.
func (s *scratch) bytes(n int) []byte {
	if n > len(s.buf) {
		s.buf = make([]byte, n)
	}
	return s.buf[:max(n, 0)]
}
