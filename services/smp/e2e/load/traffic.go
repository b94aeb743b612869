package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"sotto/shared/load"
	"sotto/shared/smp"
)

// warmUp is traffic before what is measured.
const warmUp = 3 * time.Second

// measureTraffic lets many pairs send and receive as fast as they can, and compares with what Postgres alone does.
func measureTraffic(ctx context.Context, s *settings, t *load.Table) (err error) {
	u, err := s.bench.Start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, u.End()) }()
	d := time.Duration(s.seconds) * time.Second
	largest, err := referenceOf(ctx, u, s.pairs, d)
	if err != nil {
		return err
	}
	at, err := u.Server()
	if err != nil {
		return err
	}
	measured, err := traffic(ctx, s, u, directly(at), d)
	if err != nil {
		return err
	}
	group := measured.group(s.pairs)
	same, err := referenceOf(ctx, u, group, d)
	if err != nil {
		return err
	}
	t.Heading("%d senders, %d recipients, one message of %d bytes in flight each, for %v", s.pairs, s.pairs, bodySize, d)
	t.Add("reference: bare COPY and DELETE", "%.0f/s in groups of %d, %.0f/s in groups of %d", same, group, largest, s.pairs)
	t.Add("messages in a group of the relay's, on average", "%d", group)
	t.Add("delivered and acknowledged", "%.0f/s", measured.rate)
	t.Ratio("  of the reference with the same groups", measured.rate/same, 0.5)
	t.Add(fmt.Sprintf("  of the reference with groups of %d", s.pairs), "%.2f", measured.rate/largest)
	t.Add("SEND to OK, median", "%s", load.Milliseconds(measured.accept.Quantile(0.50)))
	t.Add("SEND to OK, 99%", "%s", load.Milliseconds(measured.accept.Quantile(0.99)))
	t.Add("SEND to MSG, median", "%s", load.Milliseconds(measured.arrive.Quantile(0.50)))
	t.Add("SEND to MSG, 99%", "%s", load.Milliseconds(measured.arrive.Quantile(0.99)))
	report(t, measured.used, measured.messages)
	return nil
}

// referenceOf measures what Postgres alone does with groups of this size.
func referenceOf(ctx context.Context, u *load.Relay, group int, d time.Duration) (float64, error) {
	u.Database.Calm(ctx)
	rate, err := reference(ctx, u.Database.URL, group, d)
	if err != nil {
		return 0, fmt.Errorf("reference: %w", err)
	}
	u.Database.Calm(ctx)
	return rate, nil
}

// group is how many messages a transaction of the relay's stored or deleted on average, at most as many as there are
// senders.
func (m *measurement) group(pairs int) int {
	return int(min(max(2*m.messages/max(m.commits, 1), 1), int64(pairs)))
}

// measurement is what a time of traffic came to.
type measurement struct {
	messages       int64
	commits        int64 // of the database
	rate           float64
	accept, arrive load.Durations
	used           load.Used
}

// road is how pairs are connected.
type road func(context.Context) (*pair, error)

// directly is the road on which both connect to this address.
func directly(at smp.Server) road {
	return func(ctx context.Context) (*pair, error) { return newPair(ctx, at) }
}

// traffic runs the pairs, connected by this road to the relay u.
func traffic(ctx context.Context, s *settings, u *load.Relay, connect road, d time.Duration) (*measurement, error) {
	pairs := make([]*pair, s.pairs)
	defer func() {
		for _, p := range pairs {
			if p != nil {
				p.close()
			}
		}
	}()
	for i := range pairs {
		var err error
		if pairs[i], err = connect(ctx); err != nil {
			return nil, fmt.Errorf("connect a pair: %w", err)
		}
	}
	stop, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, 2*len(pairs))
	var senders, recipients sync.WaitGroup
	for _, p := range pairs {
		senders.Go(func() { failed <- p.send(ctx, stop) })
		recipients.Go(func() { failed <- p.receive(ctx) })
	}
	m, err := observe(ctx, pairs, u, d, failed)
	cancel()
	if err != nil {
		for _, p := range pairs {
			p.close()
		}
	}
	senders.Wait()
	for _, p := range pairs {
		p.close()
	}
	recipients.Wait()
	return collect(m, pairs, failed, err)
}

// observe counts what is acknowledged in the time after the warm-up.
func observe(ctx context.Context, pairs []*pair, u *load.Relay, d time.Duration, failed <-chan error) (*measurement, error) {
	count := func() (n int64) {
		for _, p := range pairs {
			n += p.acked.Load()
		}
		return n
	}
	if err := wait(ctx, warmUp, failed); err != nil {
		return nil, err
	}
	commits, err := u.Database.Commits(ctx)
	if err != nil {
		return nil, err
	}
	began, first, meter := time.Now(), count(), load.NewMeter(ctx, u)
	if err := wait(ctx, d, failed); err != nil {
		return nil, err
	}
	m := &measurement{messages: count() - first, used: meter.Read()}
	m.rate = float64(m.messages) / time.Since(began).Seconds()
	after, err := u.Database.Commits(ctx)
	m.commits = after - commits
	return m, err
}

// wait waits, unless something fails before.
func wait(ctx context.Context, d time.Duration, failed <-chan error) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case err := <-failed:
		return errors.Join(errors.New("a client has ended early"), err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// collect puts the pairs' times together, after all have ended.
func collect(m *measurement, pairs []*pair, failed chan error, err error) (*measurement, error) {
	close(failed)
	for f := range failed {
		err = errors.Join(err, f)
	}
	if err != nil {
		return nil, err
	}
	for _, p := range pairs {
		m.accept = append(m.accept, p.accept...)
		m.arrive = append(m.arrive, p.arrive...)
	}
	return m, nil
}

// report adds the processor time for each of n messages.
func report(t *load.Table, u load.Used, n int64) {
	for _, one := range []struct {
		name string
		d    time.Duration
	}{{"relay", u.Relay}, {"Postgres", u.Postgres}, {"clients", u.Clients}} {
		if one.d < 0 || n == 0 {
			t.Add("processor time of "+one.name, "not known")
			continue
		}
		t.Add("processor time of "+one.name, "%d us a message, %.0f%% of one processor",
			(one.d / time.Duration(n)).Microseconds(), 100*one.d.Seconds()/u.Took.Seconds())
	}
	if u.Relay >= 0 && u.Postgres >= 0 && n > 0 {
		served := (u.Relay + u.Postgres).Seconds() / float64(n)
		t.Add("  relay and Postgres alone would allow", "%.0f/s on one processor", 1/served)
	}
}
