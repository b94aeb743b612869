package memstore

import (
	"testing"

	"sotto/services/smp/internal/server"
	"sotto/services/smp/internal/store/storetest"
)

var _ server.Store = (*Store)(nil)

func TestStore(t *testing.T) {
	storetest.Run(t, func(_ *testing.T, quota int) storetest.Subject {
		s := New(quota)
		return storetest.Subject{Store: s, Rows: func(*testing.T) int {
			n := 0
			for _, e := range s.queues {
				n += len(e.messages)
			}
			return n
		}}
	})
}
