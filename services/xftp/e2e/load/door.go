package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/rs/zerolog"

	"sotto/shared/address"
	"sotto/shared/frontdoor"
	"sotto/shared/identity"
	"sotto/shared/load"
	"sotto/shared/transport"
)

// doorCommand makes this program a front door before the relay at an address.
const doorCommand = "front-door"

// doorAim is the part of the direct way that the front door should leave.
const doorAim = 0.95

// serveDoor is a front door as the message relay has it, in a process of its own.
func serveDoor(relay string) error {
	dir, err := os.MkdirTemp("", "sotto-load-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	id, err := identity.Create(dir, "localhost", time.Now())
	if err != nil {
		return err
	}
	ln, err := transport.Listen(context.Background(), "127.0.0.1:0", transport.Limits{})
	if err != nil {
		return err
	}
	door := frontdoor.New(ln, frontdoor.Options{Identity: id, Files: frontdoor.Files{Address: relay}, Log: zerolog.Nop()})
	load.BeChild(ln.Addr().String(), func() { _ = ln.Close() })
	return door.Serve()
}

// measureDoor measures transfers through a front door, in turn with those that go to the relay itself.
func (s *settings) measureDoor(ctx context.Context, t *load.Table) (err error) {
	r, err := s.bench.Start(ctx, "XFTP_STORAGE_QUOTA=0")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.End()) }()
	direct, err := r.Server()
	if err != nil {
		return err
	}
	door, err := load.StartChild(ctx, doorCommand, net.JoinHostPort(string(direct.Hosts[0]), r.Port))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, door.End()) }()
	through := direct
	if _, through.Port, err = net.SplitHostPort(door.Line); err != nil {
		return err
	}
	const width = 4
	t.Heading("Front door: chunks of %d MB, %d at a time", chunkSize>>20, width)
	for _, direction := range []struct {
		name string
		move func(mover, context.Context) error
	}{{"upload", mover.upload}, {"download", mover.download}} {
		rates, err := s.inTurn(ctx, []address.Server{direct, through}, width, direction.move)
		if err != nil {
			return fmt.Errorf("%s: %w", direction.name, err)
		}
		t.Add(direction.name+": direct, through the door", "%.0f, %.0f MB/s", rates[0], rates[1])
		ratio := rates[1] / rates[0]
		t.Aimed("  of the direct way", ratio >= doorAim, fmt.Sprintf("at least %.2f", doorAim), "%.2f", ratio)
	}
	return nil
}

// turns is how often each way is measured: the machine is not the same from one moment to the next.
const turns = 3

// inTurn moves chunks by each way in turn, and returns the mean rates in MB/s.
func (s *settings) inTurn(
	ctx context.Context, ways []address.Server, width int, move func(mover, context.Context) error,
) ([]float64, error) {
	rates := make([]float64, len(ways))
	clients := make([][]mover, len(ways))
	for i, at := range ways {
		var err error
		if clients[i], err = dialAll(ctx, at, width, dialRelay); err != nil {
			return nil, err
		}
		defer closeAll(clients[i])
		if _, _, err := moveAll(ctx, clients[i], 0, mover.upload); err != nil { // there must be something to download
			return nil, err
		}
	}
	for range turns {
		for i := range ways {
			rate, _, err := moveAll(ctx, clients[i], time.Duration(s.seconds)*time.Second/turns, move)
			if err != nil {
				return nil, err
			}
			rates[i] += rate / turns
		}
	}
	return rates, nil
}
