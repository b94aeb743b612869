package e2e

import (
	"syscall"
	"testing"
	"time"
)

// stopTime is what a relay may take to stop, whatever it is doing.
const stopTime = 10 * time.Second

// TestStopUnderLoad asks the relay to end while many are talking: it does, in time and with success, and nothing is
// lost that it had accepted.
func TestStopUnderLoad(t *testing.T) {
	signals := []struct {
		name   string
		signal syscall.Signal
	}{{"SIGTERM", syscall.SIGTERM}, {"SIGINT", syscall.SIGINT}}
	for _, s := range signals {
		t.Run(s.name, func(t *testing.T) {
			r := startRelay(t)
			disturbed(t, r, pairs(t, r, 16, 40), 3, func(int) {
				began := time.Now()
				must(t, "signal", r.Signal(s.signal))
				code, err := r.Wait(stopTime)
				must(t, "stop", err)
				if code != 0 {
					t.Errorf("exit code %d", code)
				}
				t.Logf("stopped within %v", time.Since(began).Round(time.Millisecond))
				start(t, r)
			})
		})
	}
}

// TestStopWithIdleAndStuckClients stops a relay that has clients which do nothing, and one that takes no answers.
func TestStopWithIdleAndStuckClients(t *testing.T) {
	r := startRelay(t)
	for range 20 {
		dial(t, r, speaking(versions[len(versions)-1]))
	}
	flood := newFlood(t, r)
	eventually(t, answerTime, "the relay reads no more", flood.stuck)
	code, err := r.Stop(stopTime)
	must(t, "stop", err)
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
}
