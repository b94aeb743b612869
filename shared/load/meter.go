package load

import (
	"context"
	"syscall"
	"time"

	"sotto/shared/relay"
)

// Used is processor time by who took it; negative where it is not known.
type Used struct {
	Took                     time.Duration
	Relay, Postgres, Clients time.Duration
}

// Meter measures processor time from when it was made.
type Meter struct {
	began                    time.Time
	pid, postgres            int
	relay, database, clients time.Duration
}

// NewMeter begins to measure.
func NewMeter(ctx context.Context, r *Relay) *Meter {
	m := &Meter{pid: r.Pid(), postgres: r.Database.Server(ctx)}
	m.began, m.relay, m.database, m.clients = time.Now(), cpu(m.pid), treeCPU(m.postgres), ownCPU()
	return m
}

// Read returns what was used since then.
func (m *Meter) Read() Used {
	return Used{time.Since(m.began), since(m.relay, cpu(m.pid)), since(m.database, treeCPU(m.postgres)), ownCPU() - m.clients}
}

// since is the time between two readings, -1 if one of them failed.
func since(before, after time.Duration) time.Duration {
	if before < 0 || after < 0 {
		return -1
	}
	return after - before
}

func cpu(pid int) time.Duration {
	u, err := relay.UsageOf(pid)
	if err != nil {
		return -1
	}
	return u.CPU
}

func treeCPU(pid int) time.Duration {
	if pid <= 0 {
		return -1
	}
	d, err := relay.TreeCPU(pid)
	if err != nil {
		return -1
	}
	return d
}

func ownCPU() time.Duration {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
