package pgstore

import (
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// mode is what a proxy does with connections.
type mode int

const (
	pass   mode = iota
	refuse      // cut all connections, accept no others
	silent      // accept, but pass nothing on
	mute        // pass on what the store says, but no answers
)

// proxy stands between a store and its database and can take that away.
type proxy struct {
	url     string
	dial    func() (net.Conn, error)
	mu      sync.Mutex
	changed *sync.Cond
	mode    mode
	conns   map[net.Conn]bool
}

func newProxy(t *testing.T, database string) *proxy {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	network, address := "tcp", u.Host
	query := u.Query()
	if dir := query.Get("host"); strings.HasPrefix(dir, "/") {
		port := query.Get("port")
		if port == "" {
			port = "5432"
		}
		network, address = "unix", filepath.Join(dir, ".s.PGSQL."+port)
	}
	dir, err := os.MkdirTemp("", "sotto") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	ln, err := net.Listen("unix", filepath.Join(dir, ".s.PGSQL.5432"))
	if err != nil {
		t.Fatal(err)
	}
	query.Set("host", dir)
	query.Set("port", "5432")
	query.Set("connect_timeout", "1")
	u.Host, u.RawQuery = "", query.Encode()
	p := &proxy{url: u.String(), conns: make(map[net.Conn]bool)}
	p.changed = sync.NewCond(&p.mu)
	p.dial = func() (net.Conn, error) { return net.Dial(network, address) }
	go p.accept(ln)
	t.Cleanup(func() { _ = ln.Close(); p.set(refuse) })
	return p
}

// set changes the mode; all connections are cut by refuse.
func (p *proxy) set(m mode) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mode = m
	if m == refuse {
		for c := range p.conns {
			_ = c.Close()
		}
		clear(p.conns)
	}
	p.changed.Broadcast()
}

func (p *proxy) accept(ln net.Listener) {
	for {
		client, err := ln.Accept()
		if err != nil {
			return
		}
		server, err := p.dial()
		p.mu.Lock()
		if err != nil || p.mode == refuse {
			p.mu.Unlock()
			_ = client.Close()
			if server != nil {
				_ = server.Close()
			}
			continue
		}
		p.conns[client], p.conns[server] = true, true
		p.mu.Unlock()
		go p.pipe(server, client, func(m mode) bool { return m == pass || m == mute })
		go p.pipe(client, server, func(m mode) bool { return m == pass })
	}
}

// pipe copies while the mode allows it, and waits otherwise.
func (p *proxy) pipe(to, from net.Conn, allowed func(mode) bool) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		p.mu.Lock()
		for !allowed(p.mode) && p.conns[to] {
			p.changed.Wait()
		}
		open := p.conns[to]
		p.mu.Unlock()
		if !open {
			return
		}
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
