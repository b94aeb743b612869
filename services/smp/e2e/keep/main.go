// Command keep shows that a message relay keeps what it has acknowledged, whatever happens to it in between: one run
// sends messages and leaves them in a queue, and a later run receives them. What happens in between is for its caller,
// docker/smoke.sh.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// timeout bounds a run: a few dozen commands, to a relay that may have just started.
const timeout = 60 * time.Second

const usage = `keep send ADDRESS FILE   creates a queue, sends messages to it, and writes what is needed to receive them to FILE
keep receive FILE        receives them, checks them, and deletes the queue
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(ctx, timeout)
	err := run(ctx, os.Args[1:])
	cancel()
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "keep: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 3 && args[0] == "send":
		return send(ctx, args[1], args[2])
	case len(args) == 2 && args[0] == "receive":
		return receive(ctx, args[1])
	}
	return errors.New("usage:\n" + strings.TrimSpace(usage))
}
