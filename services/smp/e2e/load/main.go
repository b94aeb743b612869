// Command load measures a relay under load: the real binary as a process of its own, on a Postgres that the
// environment load.Variable SOTTO_TEST_DATABASE_URL names, with clients that speak as apps do, over the loopback interface.
//
// Clients, relay and database share the machine, so what it prints are figures of the whole. It judges none of them:
// the exit code is 0 unless something broke.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"sotto/shared/address"
	"sotto/shared/load"
	"sotto/shared/relay"
)

// settings are how much of everything there is.
type settings struct {
	short   bool
	bench   load.Bench
	chosen  string // phases
	pairs   int
	seconds int
	lone    int
	idle    int
	settle  time.Duration
	stored  int
	resubs  int
	burst   int
	routes  int
}

// phases are the parts of the measurement.
func (s *settings) phases() []load.Phase {
	measure := func(do func(context.Context, *settings, *load.Table) error) func(context.Context, *load.Table) error {
		return func(ctx context.Context, t *load.Table) error { return do(ctx, s, t) }
	}
	return []load.Phase{
		{Name: "traffic", Limit: 10 * time.Minute, Measure: measure(measureTraffic)},
		{Name: "lone", Limit: 5 * time.Minute, Measure: measure(measureLone)},
		{Name: "idle", Limit: 15 * time.Minute, Measure: measure(measureIdle)},
		{Name: "stored", Limit: 20 * time.Minute, Measure: measure(measureStored)},
		{Name: "burst", Limit: 10 * time.Minute, Measure: measure(measureBurst)},
		{Name: "door", Limit: 10 * time.Minute, Measure: measure(measureDoor)},
		{Name: "proxy", Limit: 10 * time.Minute, Measure: measure(measureProxy)},
	}
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == bareCommand {
		if err := serveBareTLS(); err != nil {
			fmt.Fprintf(os.Stderr, "load: %v\n", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	s, err := parseFlags(os.Args[1:])
	if err == nil {
		err = run(ctx, s)
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintf(os.Stderr, "load: %v\n", err)
		stop()
		os.Exit(1)
	}
}

func parseFlags(args []string) (*settings, error) {
	s := &settings{bench: load.Bench{Scheme: address.SMP, Admin: os.Getenv(load.Variable)}}
	f := flag.NewFlagSet("load", flag.ContinueOnError)
	f.BoolVar(&s.short, "short", false, "a tenth of everything, in about a minute")
	f.StringVar(&s.bench.Binary, "relay", "", "the relay's binary; it is compiled if none is given")
	f.StringVar(&s.chosen, "phases", "traffic,lone,idle,stored,burst,door,proxy", "what to measure")
	f.IntVar(&s.pairs, "pairs", 128, "senders, each with a recipient")
	f.IntVar(&s.seconds, "seconds", 20, "of traffic to measure, and of the reference before and after it")
	f.IntVar(&s.lone, "lone", 400, "messages to send one by one")
	f.IntVar(&s.idle, "idle", 10_000, "idle connections")
	f.DurationVar(&s.settle, "settle", 130*time.Second, "time for the relay's memory to settle; Go collects garbage every two minutes at least")
	f.IntVar(&s.stored, "stored", 1_000_000, "queues in the database")
	f.IntVar(&s.resubs, "resubscribe", 50_000, "of these, queues of one client that comes back")
	f.IntVar(&s.burst, "burst", 50_000, "subscriptions that one connection makes at once, of queues and of notifiers")
	f.IntVar(&s.routes, "routes", 500, "sessions with other relays of one proxy, below SMP_PROXY_SESSIONS")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if s.short {
		s.shorten()
	}
	s.resubs = min(s.resubs, s.stored)
	if s.bench.Admin == "" {
		return nil, errors.New(load.Variable + " is not set; it must name a Postgres where databases may be created")
	}
	return s, nil
}

// shorten is for every change to the code.
func (s *settings) shorten() {
	s.seconds = min(s.seconds, 5)
	s.lone = min(s.lone, 100)
	s.idle = min(s.idle, 1000)
	s.settle = min(s.settle, 5*time.Second)
	s.stored = min(s.stored, 100_000)
	s.resubs = min(s.resubs, 5_000)
	s.burst = min(s.burst, 5_000)
	s.routes = min(s.routes, 100)
}

// run measures all phases and prints the table, also if a phase fails.
func run(ctx context.Context, s *settings) error {
	load.RaiseFileLimit()
	dir, err := os.MkdirTemp("", "sotto-load-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s.bench.Directory = dir
	if s.bench.Binary == "" {
		load.Progress("compiling the relay")
		if s.bench.Binary, err = relay.Build(ctx, s.bench.Scheme, dir); err != nil {
			return err
		}
	}
	results := new(load.Table)
	if err := load.DescribeMachine(ctx, s.bench.Admin, results); err != nil {
		return err
	}
	err = load.Run(ctx, s.phases(), s.chosen, results)
	results.Print(os.Stdout)
	return err
}
