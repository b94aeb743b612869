package main

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"sotto/shared/certs"
	"sotto/shared/load"
	"sotto/shared/relay"
	"sotto/shared/smp"
)

const (
	// bareCommand makes this program a server that does nothing but TLS handshakes.
	bareCommand = "bare-tls"
	// handshakeAim is the part of a bare listener's handshakes that the front door should make.
	handshakeAim = 0.9
	// shakers is how many clients make handshakes at a time.
	shakers = 16
	// webName is what clients ask for that want pages.
	webName = "relay.example"
)

// serveBareTLS accepts, makes handshakes, and closes.
func serveBareTLS() error {
	cert, err := certs.SelfSigned([]string{webName})
	if err != nil {
		return err
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{*cert}, NextProtos: []string{"h2", "http/1.1"},
	})
	if err != nil {
		return err
	}
	load.BeChild(ln.Addr().String(), func() { _ = ln.Close() })
	for {
		conn, err := ln.Accept()
		if err != nil {
			return nil
		}
		go func() {
			_ = conn.(*tls.Conn).Handshake()
			_, _ = conn.Read(make([]byte, 1)) // until the client goes
			_ = conn.Close()
		}()
	}
}

// measureDoor measures what the front door costs messages and handshakes.
func measureDoor(ctx context.Context, s *settings, t *load.Table) (err error) {
	port, err := relay.FreePort()
	if err != nil {
		return err
	}
	u, err := s.bench.Start(ctx, "SMP_FRONT_LISTEN=127.0.0.1:"+port, "SMP_ACME=false")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, u.End()) }()
	direct, err := u.Server()
	if err != nil {
		return err
	}
	through := direct
	through.Port = port
	t.Heading("Front door: %d senders and recipients, then %d clients that make handshakes", s.pairs, shakers)
	if err := doorTraffic(ctx, s, t, u, direct, through); err != nil {
		return err
	}
	bare, err := load.StartChild(ctx, bareCommand)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bare.End()) }()
	return doorHandshakes(ctx, s, t, bare.Line, "127.0.0.1:"+port)
}

// turn is how long one turn of a measurement is.
func turn(s *settings) time.Duration {
	return max(time.Duration(s.seconds)*time.Second/load.Turns, time.Second)
}

// doorTraffic compares messages through the door with those that go to the relay's own port.
func doorTraffic(ctx context.Context, s *settings, t *load.Table, u *load.Relay, direct, through smp.Server) error {
	by := func(at smp.Server) func() (float64, error) {
		return func() (float64, error) {
			m, err := traffic(ctx, s, u, directly(at), turn(s))
			if err != nil {
				return 0, err
			}
			return m.rate, nil
		}
	}
	rates, err := load.InTurn(by(direct), by(through))
	if err != nil {
		return err
	}
	t.Add("delivered and acknowledged: direct, through the door", "%.0f/s, %.0f/s", rates[0], rates[1])
	t.Ratio("  of the direct way", rates[1]/rates[0], load.DoorAim)
	return nil
}

// doorHandshakes compares handshakes with those of a listener that does nothing else.
func doorHandshakes(ctx context.Context, s *settings, t *load.Table, bare, door string) error {
	at := func(address string) func() (float64, error) {
		return func() (float64, error) { return handshakes(ctx, address, turn(s)) }
	}
	rates, err := load.InTurn(at(bare), at(door))
	if err != nil {
		return err
	}
	t.Add("handshakes: bare Go TLS listener, front door", "%.0f/s, %.0f/s", rates[0], rates[1])
	t.Ratio("  of the bare listener", rates[1]/rates[0], handshakeAim)
	return nil
}

// handshakes makes handshakes as browsers do, one after the other in each of many clients, and returns how many in a second.
func handshakes(ctx context.Context, at string, d time.Duration) (float64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var n atomic.Int64
	var all sync.WaitGroup
	began := time.Now()
	for range shakers {
		all.Go(func() {
			for time.Since(began) < d && ctx.Err() == nil {
				if err := shakeOnce(ctx, at); err != nil {
					cancel(err)
					return
				}
				n.Add(1)
			}
		})
	}
	all.Wait()
	return float64(n.Load()) / time.Since(began).Seconds(), context.Cause(ctx)
}

// shakeOnce makes one handshake.
func shakeOnce(ctx context.Context, at string) error {
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", at)
	if err != nil {
		return err
	}
	if tcp, ok := raw.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // thousands of closed connections would use up the ports
	}
	defer raw.Close()
	return tls.Client(raw, &tls.Config{ServerName: webName, InsecureSkipVerify: true}).HandshakeContext(ctx)
}
