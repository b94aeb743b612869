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
		t.Ratio("  of the direct way", rates[1]/rates[0], load.DoorAim)
	}
	return nil
}

// inTurn moves chunks by each way in turn, and returns the mean rates in MB/s.
func (s *settings) inTurn(
	ctx context.Context, ways []address.Server, width int, move func(mover, context.Context) error,
) ([]float64, error) {
	var measures []func() (float64, error)
	for _, at := range ways {
		clients, err := dialAll(ctx, at, width, dialRelay)
		if err != nil {
			return nil, err
		}
		defer closeAll(clients)
		if _, _, err := moveAll(ctx, clients, 0, mover.upload); err != nil { // there must be something to download
			return nil, err
		}
		measures = append(measures, func() (float64, error) {
			rate, _, err := moveAll(ctx, clients, time.Duration(s.seconds)*time.Second/load.Turns, move)
			return rate, err
		})
	}
	return load.InTurn(measures...)
}
