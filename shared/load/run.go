package load

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

// Phase is one part of a measurement.
type Phase struct {
	Name    string
	Limit   time.Duration // beyond which something is broken
	Measure func(context.Context, *Table) error
}

// Run measures those of the phases whose names are in the comma-separated list chosen, one after the other, up to the
// first that fails.
func Run(ctx context.Context, phases []Phase, chosen string, results *Table) error {
	for _, p := range phases {
		if !strings.Contains(","+chosen+",", ","+p.Name+",") {
			continue
		}
		Progress("phase %s", p.Name)
		if err := p.run(ctx, results); err != nil {
			return fmt.Errorf("phase %s: %w", p.Name, err)
		}
	}
	return nil
}

func (p Phase) run(ctx context.Context, results *Table) error {
	ctx, cancel := context.WithTimeout(ctx, p.Limit)
	defer cancel()
	return p.Measure(ctx, results)
}

// Progress tells who waits what is going on.
func Progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "load: "+format+"\n", args...)
}

// RaiseFileLimit allows as many open files as the system does. Relays that are started inherit it.
func RaiseFileLimit() {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) == nil {
		limit.Cur = limit.Max
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit) // a phase that needs more will say so
	}
}
