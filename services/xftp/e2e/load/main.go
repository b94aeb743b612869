// Command load measures a file relay under load: the real binary as a process of its own, on a Postgres that the
// environment variable SOTTO_TEST_DATABASE_URL names, with clients that speak as apps do, over the loopback interface.
//
// Clients, relay and database share the machine, so what it prints are figures of the whole, beside references that were
// taken in the same run. It judges none of them: the exit code is 0 unless something broke.
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
	bench   load.Bench
	chosen  string // phases
	seconds int
	uploads int
}

func main() {
	switch {
	case len(os.Args) == 2 && os.Args[1] == bareCommand:
		fatal(serveBare())
		return
	case len(os.Args) == 3 && os.Args[1] == doorCommand:
		fatal(serveDoor(os.Args[2]))
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	s, err := parseFlags(os.Args[1:])
	if err == nil {
		err = run(ctx, s)
	}
	if !errors.Is(err, flag.ErrHelp) {
		fatal(err)
	}
}

// fatal ends the program if there is an error.
func fatal(err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "load: %v\n", err)
		os.Exit(1)
	}
}

func parseFlags(args []string) (*settings, error) {
	s := &settings{bench: load.Bench{Scheme: address.XFTP, Admin: os.Getenv(load.Variable)}}
	f := flag.NewFlagSet("load", flag.ContinueOnError)
	short := f.Bool("short", false, "a tenth of everything, in about a minute")
	f.StringVar(&s.bench.Binary, "relay", "", "the relay's binary; it is compiled if none is given")
	f.StringVar(&s.chosen, "phases", "transfer,memory,door", "what to measure")
	f.IntVar(&s.seconds, "seconds", 10, "for each figure of throughput")
	f.IntVar(&s.uploads, "uploads", 64, "at a time, for the measurement of memory")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if *short {
		s.seconds = min(s.seconds, 2)
	}
	if s.bench.Admin == "" {
		return nil, errors.New(load.Variable + " is not set; it must name a Postgres where databases may be created")
	}
	return s, nil
}

// phases are the parts of the measurement.
func (s *settings) phases() []load.Phase {
	return []load.Phase{
		{Name: "transfer", Limit: 15 * time.Minute, Measure: s.measureTransfer},
		{Name: "memory", Limit: 5 * time.Minute, Measure: s.measureMemory},
		{Name: "door", Limit: 5 * time.Minute, Measure: s.measureDoor},
	}
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
