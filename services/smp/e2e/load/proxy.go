package main

import (
	"context"
	"errors"
	"fmt"

	"sotto/services/smp/internal/client"
	"sotto/shared/load"
	"sotto/shared/smp"
)

// measureProxy compares messages that go through another relay with those that are sent to the queue's relay itself,
// and measures what a proxy keeps for each relay that it is connected to.
func measureProxy(ctx context.Context, s *settings, t *load.Table) (err error) {
	to, err := s.bench.Start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.End()) }()
	through, err := startProxy(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, through.End()) }()
	t.Heading("Private routing: %d senders and recipients, directly and through another relay on this machine", s.pairs)
	if err := proxyTraffic(ctx, s, t, through, to); err != nil {
		return err
	}
	return proxySessions(ctx, s, t, to)
}

// startProxy starts a relay that connects to others. All senders are one source here, which asks for more sessions than
// strangers may.
func startProxy(ctx context.Context, s *settings) (*load.Relay, error) {
	return s.bench.Start(ctx, "SMP_PROXY_ALLOW_PRIVATE=true", "SMP_PROXY_RATE=0")
}

// proxyTraffic compares the two ways, in turn.
func proxyTraffic(ctx context.Context, s *settings, t *load.Table, through, to *load.Relay) error {
	proxy, err := through.Server()
	if err != nil {
		return err
	}
	destination, err := to.Server()
	if err != nil {
		return err
	}
	var last [2]*measurement // of each way
	by := func(way int, connect road) func() (float64, error) {
		return func() (rate float64, err error) {
			if last[way], err = traffic(ctx, s, to, connect, turn(s)); err != nil {
				return 0, err
			}
			return last[way].rate, nil
		}
	}
	rates, err := load.InTurn(by(0, directly(destination)), by(1, func(ctx context.Context) (*pair, error) {
		return newRoutedPair(ctx, proxy, destination)
	}))
	if err != nil {
		return err
	}
	t.Add("delivered and acknowledged: directly, through the proxy", "%.0f/s, %.0f/s", rates[0], rates[1])
	t.Add("  of the direct way", "%.2f", rates[1]/rates[0])
	t.Add("messages in a group of the relay's, on average", "%d, %d", last[0].group(s.pairs), last[1].group(s.pairs))
	for i, name := range []string{"median", "99%"} {
		share := []float64{0.50, 0.99}[i]
		t.Add("SEND to OK, "+name, "%s, %s", load.Milliseconds(last[0].accept.Quantile(share)),
			load.Milliseconds(last[1].accept.Quantile(share)))
	}
	return nil
}

// proxySessions has one client ask a new relay, whose memory is that of nothing else, for many sessions. Each is with
// another address, whose second name alone differs; it is the first that counts, so one relay is all destinations.
func proxySessions(ctx context.Context, s *settings, t *load.Table, to *load.Relay) (err error) {
	through, err := startProxy(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, through.End()) }()
	proxy, err := through.Server()
	if err != nil {
		return err
	}
	c, err := connectAt(ctx, proxy)
	if err != nil {
		return err
	}
	defer c.Close()
	before, err := settled(ctx, s, through)
	if err != nil {
		return err
	}
	if err := askForSessions(ctx, c, to, s.routes); err != nil {
		return err
	}
	after, err := settled(ctx, s, through)
	if err != nil {
		return err
	}
	each := float64(after-before) / float64(s.routes)
	t.Add(fmt.Sprintf("resident memory of a session, with %d", s.routes), "%s", load.Kilobytes(each))
	return nil
}

// settled returns the relay's resident memory once it had time to give some back.
func settled(ctx context.Context, s *settings, u *load.Relay) (int64, error) {
	load.Progress("waiting %v for the relay's memory to settle", s.settle)
	if err := sleep(ctx, s.settle); err != nil {
		return 0, err
	}
	usage, err := u.Usage()
	return usage.RSS, err
}

// askForSessions makes n sessions, all different.
func askForSessions(ctx context.Context, c *client.Client, to *load.Relay, n int) error {
	destination, err := to.Server()
	if err != nil {
		return err
	}
	first := destination.Hosts[0]
	seen := make(map[string]bool, n)
	for i := range n {
		destination.Hosts = []smp.Host{first, smp.Host(fmt.Sprintf("relay%d.example", i))}
		route, err := c.Route(ctx, destination)
		if err != nil {
			return fmt.Errorf("session %d: %w", i, err)
		}
		seen[string(route.Inner().SessionID)] = true
	}
	if len(seen) != n {
		return fmt.Errorf("%d sessions instead of %d", len(seen), n)
	}
	return nil
}
