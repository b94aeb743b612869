package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"sync/atomic"
	"testing"

	"sotto/shared/smp"
)

// neverAsked is a resolver that fails the test.
func neverAsked(t *testing.T) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		t.Error("a name was looked up")
		return nil, errors.New("no")
	}}
}

// TestPrivateAddresses asks for hosts of this machine, which has a relay that must not notice.
func TestPrivateAddresses(t *testing.T) {
	f := new(fake).start(t)
	r := strictRelays(t, Options{})
	for host, want := range map[smp.Host]smp.Error{
		"127.0.0.1": smp.BrokerHost, "::1": smp.BrokerHost, "::ffff:7f00:1": smp.BrokerHost, "localhost": smp.BrokerHost, "0.0.0.0": smp.BrokerHost,
	} {
		server := f.server()
		server.Hosts[0] = host
		if _, err := r.Connect(testContext(t), server); err != want {
			t.Errorf("%s: %v", string(host), err)
		}
	}
	if f.accepted.Load() != 0 {
		t.Error("the relay of this machine was connected to")
	}
}

// TestPrivateResults has a name lead to this machine, which is found out when it is resolved.
func TestPrivateResults(t *testing.T) {
	f := new(fake).start(t)
	d, err := newDialer(Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := net.SplitHostPort(f.ln.Addr().String())
	port, _ := strconv.ParseUint(text, 10, 16)
	if _, err := d.dial(testContext(t), destination{host: "localhost", port: uint16(port)}); !errors.Is(err, errPrivate) {
		t.Errorf("%v", err)
	}
	if f.accepted.Load() != 0 {
		t.Error("the relay of this machine was connected to")
	}
}

// socksServer is a SOCKS5 server that leads every connection to one place.
type socksServer struct {
	ln    net.Listener
	to    string
	asked chan string // host names and ports, as they came
	count atomic.Int32
}

func startSocks(t *testing.T, to string) *socksServer {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &socksServer{ln: ln, to: to, asked: make(chan string, 100)}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.count.Add(1)
			go s.serve(c)
		}
	}()
	return s
}

// serve is one connection, whose destination has to be a name.
//
// Source: RFC 1928 3
func (s *socksServer) serve(c net.Conn) {
	defer c.Close()
	head := make([]byte, 2)
	if _, err := io.ReadFull(c, head); err != nil {
		return
	}
	if _, err := io.ReadFull(c, make([]byte, head[1])); err != nil {
		return
	}
	_, _ = c.Write([]byte{5, 0})
	request := make([]byte, 5)
	if _, err := io.ReadFull(c, request); err != nil || request[3] != 3 {
		s.asked <- "not a name"
		return
	}
	name := make([]byte, int(request[4])+2)
	if _, err := io.ReadFull(c, name); err != nil {
		return
	}
	end := len(name) - 2
	s.asked <- net.JoinHostPort(string(name[:end]), strconv.Itoa(int(name[end])<<8|int(name[end+1])))
	if s.to == "" {
		_, _ = c.Write([]byte{5, 4, 0, 1, 0, 0, 0, 0, 0, 0}) // host unreachable
		return
	}
	up, err := net.Dial("tcp", s.to)
	if err != nil {
		return
	}
	defer up.Close()
	_, _ = c.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	go func() { _, _ = io.Copy(up, c); _ = up.Close() }()
	_, _ = io.Copy(c, up)
}

// TestOnion reaches a relay by its onion name, which is never looked up here.
func TestOnion(t *testing.T) {
	f := new(fake).start(t)
	s := startSocks(t, f.ln.Addr().String())
	r := strictRelays(t, Options{Socks: s.ln.Addr().String(), Resolver: neverAsked(t)})
	server := f.server()
	server.Hosts, server.Port = []smp.Host{onionName}, ""
	session, err := r.Connect(testContext(t), server)
	if err != nil {
		t.Fatal(err)
	}
	forward(t, session)
	if asked := <-s.asked; asked != onionName+":5223" {
		t.Errorf("the SOCKS server was asked for %q", asked)
	}
	without := strictRelays(t, Options{Resolver: neverAsked(t)})
	if _, err := without.Connect(testContext(t), server); err != smp.BrokerHost {
		t.Errorf("without a SOCKS server: %v", err)
	}
}

// TestSocksAll reaches every relay through the SOCKS server, which looks names up.
func TestSocksAll(t *testing.T) {
	f := new(fake).start(t)
	s := startSocks(t, f.ln.Addr().String())
	r := strictRelays(t, Options{Socks: s.ln.Addr().String(), SocksAll: true, Resolver: neverAsked(t)})
	server := f.server()
	server.Hosts, server.Port = []smp.Host{"relay.example.org", onionName}, "5224"
	session, err := r.Connect(testContext(t), server)
	if err != nil {
		t.Fatal(err)
	}
	forward(t, session)
	if asked := <-s.asked; asked != "relay.example.org:5224" {
		t.Errorf("the SOCKS server was asked for %q", asked)
	}
	server.Hosts = []smp.Host{"127.0.0.1"}
	if _, err := r.Connect(testContext(t), server); err != smp.BrokerHost || s.count.Load() != 1 {
		t.Errorf("an address of this machine: %v, %d connections to the SOCKS server", err, s.count.Load())
	}
}

// TestSocksRefuses has the SOCKS server refuse, and be away.
func TestSocksRefuses(t *testing.T) {
	s := startSocks(t, "")
	r := strictRelays(t, Options{Socks: s.ln.Addr().String()})
	if _, err := r.Connect(testContext(t), server("", onionName)); err != smp.BrokerNetwork {
		t.Errorf("%v", err)
	}
	_ = s.ln.Close()
	if _, err := r.Connect(testContext(t), server("443", onionName)); err != smp.BrokerNetwork {
		t.Errorf("%v", err)
	}
}
