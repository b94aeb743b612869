package transfer

import "sync"

// Progress is told how many bytes of encrypted chunks have been transferred, of how many in all. Calls do not overlap,
// and done only grows.
type Progress func(done, total int64)

// meter adds up what all connections transfer.
type meter struct {
	report Progress
	total  int64

	mu   sync.Mutex // guards done and told, and serialises reports
	done int64
	told int64
}

func newMeter(report Progress, total int64) *meter {
	return &meter{report: report, total: total, told: -1}
}

// add counts n bytes; a negative n takes back what has to be transferred once more.
func (m *meter) add(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done += n
	if m.report != nil && m.done > m.told {
		m.told = m.done
		m.report(m.done, m.total)
	}
}

// attempt counts one chunk, as long as it may have to be transferred once more. One goroutine at a time uses it.
type attempt struct {
	m *meter
	n int64
}

// Write counts what was received.
func (a *attempt) Write(p []byte) (int, error) {
	a.n += int64(len(p))
	a.m.add(int64(len(p)))
	return len(p), nil
}

// undo takes back all that was counted.
func (a *attempt) undo() {
	a.m.add(-a.n)
	a.n = 0
}
