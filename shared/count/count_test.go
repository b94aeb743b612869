package count_test

import (
	"sync/atomic"
	"testing"

	"sotto/shared/count"
)

type counts[N any] struct {
	One   N
	Table [2][3]N
	Inner struct{ Two N }
}

func TestLoadCopiesEveryCounter(t *testing.T) {
	var live counts[atomic.Uint64]
	live.One.Add(1)
	live.Table[1][2].Add(12)
	live.Inner.Two.Add(2)
	var got counts[uint64]
	count.Load(&got, &live)
	want := counts[uint64]{One: 1, Table: [2][3]uint64{1: {2: 12}}}
	want.Inner.Two = 2
	if got != want {
		t.Errorf("loaded %v, want %v", got, want)
	}
}

func TestLoadRefusesWhatIsNoCounter(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a string was taken for a counter")
		}
	}()
	count.Load(&struct{ Name string }{}, &struct{ Name string }{"a"})
}
