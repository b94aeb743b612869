package run

import (
	"context"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// What systemd is told is told only where it asks, with NOTIFY_SOCKET in the environment. Elsewhere these do nothing.

// Ready tells systemd that the program serves, so that a unit of Type=notify is up.
func Ready() error { return notify(daemon.SdNotifyReady) }

// Stopping tells systemd that the program has begun to end.
func Stopping() error { return notify(daemon.SdNotifyStopping) }

// Watch tells systemd that the program is alive, twice within each WatchdogSec of its unit, until ctx ends. Before each
// time it calls alive, which returns unless the program hangs: then systemd hears nothing and starts it anew. Without a
// WatchdogSec it returns at once.
func Watch(ctx context.Context, alive func()) error {
	limit, err := daemon.SdWatchdogEnabled(false)
	if err != nil || limit == 0 {
		return err
	}
	tick := time.NewTicker(max(limit/2, 1))
	defer tick.Stop()
	for ctx.Err() == nil {
		alive()
		if err := notify(daemon.SdNotifyWatchdog); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	return nil
}

func notify(state string) error {
	_, err := daemon.SdNotify(false, state)
	return err
}
