package server_test

import (
	"net"
	"strconv"
	"testing"

	"github.com/rs/zerolog"

	"sotto/services/smp/internal/client"
	"sotto/services/smp/internal/proxy"
	"sotto/services/smp/internal/server"
	"sotto/services/smp/internal/smptest"
	"sotto/shared/smp"
)

// mute is a relay that accepts connections and says nothing, until it is closed.
type mute struct {
	net.Listener
	accepted chan net.Conn
}

func newMute(t *testing.T) *mute {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &mute{ln, make(chan net.Conn, 1000)}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		defer close(m.accepted)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			m.accepted <- c
		}
	}()
	return m
}

// session asks for a session with the nth relay of many at this place, since relays are told apart by their fingerprints.
func (m *mute) session(n int) *client.Request {
	host, port, _ := net.SplitHostPort(m.Addr().String())
	fingerprint := make([]byte, 32)
	copy(fingerprint, strconv.Itoa(n))
	return &client.Request{Command: smp.PRXY{Server: smp.Server{Fingerprint: fingerprint, Hosts: []smp.Host{smp.Host(host)}, Port: port}}}
}

// hangUp closes all connections, as they come.
func (m *mute) hangUp() {
	go func() {
		for c := range m.accepted {
			_ = c.Close()
		}
	}()
}

func startProxying(t *testing.T, concurrency int) *smptest.Relay {
	t.Helper()
	relays, err := proxy.New(proxy.Options{AllowPrivate: true, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	r := smptest.Start(t, smptest.Options{Config: func(cfg *server.Config) {
		cfg.Proxy, cfg.ProxyConcurrency = relays, concurrency
	}})
	t.Cleanup(relays.Close)
	return r
}

// TestProxiedWait: commands for relays that do not answer wait, no more than their share of them at work, and hold up nothing
// else; all are answered in the end. Spec: smp.md 11.7
func TestProxiedWait(t *testing.T) {
	const share, asked = 3, 12
	r, silent := startProxying(t, share), newMute(t)
	p := dial(t, r, client.Options{})
	for n := range asked {
		p.send(silent.session(n))
	}
	for range share {
		defer (<-silent.accepted).Close()
	}
	p.want("PONG", ping())
	q := p.newPlainQueue(true)
	p.want("OK", q.put([]byte("hello")))
	p.wantMessage(q, "hello")
	select {
	case <-silent.accepted:
		t.Fatal("more than the share are under way")
	default:
	}
	_ = silent.Close()
	r.Restart(t) // what waits ends with the relay
}

// TestProxiedAnswered: what a relay's end brings about is told to all who asked for it.
func TestProxiedAnswered(t *testing.T) {
	const asked = 12
	r, silent := startProxying(t, 3), newMute(t)
	silent.hangUp()
	p := dial(t, r, client.Options{})
	for n := range asked {
		p.send(silent.session(n))
	}
	for range asked {
		tr, err := p.next()
		if err != nil {
			t.Fatal(err)
		}
		if got := string(tr.Command); got != "ERR PROXY BROKER NETWORK" {
			t.Fatalf("answer %s", got)
		}
	}
}

// TestProxiedLeave: a client that leaves takes its commands with it, also those that no longer fit, behind which nothing is
// read.
func TestProxiedLeave(t *testing.T) {
	r, silent := startProxying(t, 1), newMute(t)
	p := dial(t, r, client.Options{})
	for n := range 40 {
		p.send(silent.session(n))
	}
	<-silent.accepted
	r.Restart(t)
}
