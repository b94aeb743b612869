// Command load measures a relay under load: the real binary as a process of its own, on a Postgres that the
// environment variable SOTTO_TEST_DATABASE_URL names, with clients that speak as apps do, over the loopback interface.
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
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"sotto/shared/address"
	"sotto/shared/relay"
)

// settings are how much of everything there is.
type settings struct {
	short     bool
	binary    string
	phases    string
	pairs     int
	seconds   int
	lone      int
	idle      int
	settle    time.Duration
	stored    int
	resubs    int
	admin     string
	directory string
}

// phase is one part of the measurement.
type phase struct {
	name    string
	limit   time.Duration // beyond which something is broken
	measure func(context.Context, *settings, *table) error
}

var phases = []phase{
	{"traffic", 10 * time.Minute, measureTraffic},
	{"lone", 5 * time.Minute, measureLone},
	{"idle", 15 * time.Minute, measureIdle},
	{"stored", 20 * time.Minute, measureStored},
}

func main() {
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
	s := &settings{admin: os.Getenv(variable)}
	f := flag.NewFlagSet("load", flag.ContinueOnError)
	f.BoolVar(&s.short, "short", false, "a tenth of everything, in about a minute")
	f.StringVar(&s.binary, "relay", "", "the relay's binary; it is compiled if none is given")
	f.StringVar(&s.phases, "phases", "traffic,lone,idle,stored", "what to measure")
	f.IntVar(&s.pairs, "pairs", 128, "senders, each with a recipient")
	f.IntVar(&s.seconds, "seconds", 20, "of traffic to measure, and of the reference before and after it")
	f.IntVar(&s.lone, "lone", 400, "messages to send one by one")
	f.IntVar(&s.idle, "idle", 10_000, "idle connections")
	f.DurationVar(&s.settle, "settle", 130*time.Second, "time for the relay's memory to settle; Go collects garbage every two minutes at least")
	f.IntVar(&s.stored, "stored", 1_000_000, "queues in the database")
	f.IntVar(&s.resubs, "resubscribe", 50_000, "of these, queues of one client that comes back")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if s.short {
		s.shorten()
	}
	s.resubs = min(s.resubs, s.stored)
	if s.admin == "" {
		return nil, errors.New(variable + " is not set; it must name a Postgres where databases may be created")
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
}

// run measures all phases and prints the table, also if a phase fails.
func run(ctx context.Context, s *settings) error {
	raiseFileLimit()
	dir, err := os.MkdirTemp("", "sotto-load-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s.directory = dir
	if s.binary == "" {
		progress("compiling the relay")
		if s.binary, err = relay.Build(ctx, address.SMP, dir); err != nil {
			return err
		}
	}
	results := new(table)
	if err := describeMachine(ctx, s, results); err != nil {
		return err
	}
	for _, p := range phases {
		if !strings.Contains(","+s.phases+",", ","+p.name+",") {
			continue
		}
		progress("phase %s", p.name)
		if err = p.run(ctx, s, results); err != nil {
			err = fmt.Errorf("phase %s: %w", p.name, err)
			break
		}
	}
	results.print(os.Stdout)
	return err
}

func (p phase) run(ctx context.Context, s *settings, results *table) error {
	ctx, cancel := context.WithTimeout(ctx, p.limit)
	defer cancel()
	return p.measure(ctx, s, results)
}

// progress tells who waits what is going on.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "load: "+format+"\n", args...)
}

// raiseFileLimit allows as many open files as the system does. The relay inherits it.
func raiseFileLimit() {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) == nil {
		limit.Cur = limit.Max
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit) // a phase that needs more will say so
	}
}

// under is a relay under measurement.
type under struct {
	*relay.Relay
	database *database
}

// startRelay starts a relay on an empty database of its own.
func startRelay(ctx context.Context, s *settings, more ...string) (*under, error) {
	d, err := createDatabase(ctx, s.admin)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(s.directory, "relay-")
	if err != nil {
		return nil, errors.Join(err, d.drop())
	}
	r, err := relay.New(address.SMP, s.binary, filepath.Join(dir, "data"), d.url, append([]string{"SMP_LOG_LEVEL=info"}, more...)...)
	if err == nil {
		err = r.Start(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, d.drop())
	}
	return &under{r, d}, nil
}

// end ends the relay and removes its database. It is an error if the relay has ended before, or says that it failed.
func (u *under) end() error {
	var err error
	switch {
	case !u.Running():
		err = errors.New("the relay has ended")
	case strings.Contains(u.Stderr.String(), "panic"), strings.Contains(u.Stderr.String(), "connection handler failed"):
		err = errors.New("the relay has panicked")
	}
	if err != nil {
		err = fmt.Errorf("%w:\n%s", err, u.Stderr.String())
	}
	return errors.Join(err, u.Kill(), u.database.drop())
}
