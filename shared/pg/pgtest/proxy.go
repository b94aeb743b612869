package pgtest

import (
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Mode is what a Proxy does with connections.
type Mode int

// What a Proxy does.
const (
	Pass   Mode = iota
	Refuse      // cut all connections, accept no others
	Silent      // accept, but pass nothing on
	Mute        // pass on what the store says, but no answers
)

// Proxy stands between a store and its database and can take that away.
type Proxy struct {
	URL     string // of the database, through the proxy
	dial    func() (net.Conn, error)
	mu      sync.Mutex
	changed *sync.Cond
	mode    Mode
	conns   map[net.Conn]bool
}

// NewProxy returns a proxy for the database at a URL. It ends when the test ends.
func NewProxy(t testing.TB, database string) *Proxy {
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
	p := &Proxy{URL: u.String(), conns: make(map[net.Conn]bool)}
	p.changed = sync.NewCond(&p.mu)
	p.dial = func() (net.Conn, error) { return net.Dial(network, address) }
	go p.accept(ln)
	t.Cleanup(func() { _ = ln.Close(); p.Set(Refuse) })
	return p
}

// Set changes the mode; all connections are cut by Refuse.
func (p *Proxy) Set(m Mode) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mode = m
	if m == Refuse {
		for c := range p.conns {
			_ = c.Close()
		}
		clear(p.conns)
	}
	p.changed.Broadcast()
}

func (p *Proxy) accept(ln net.Listener) {
	for {
		client, err := ln.Accept()
		if err != nil {
			return
		}
		server, err := p.dial()
		p.mu.Lock()
		if err != nil || p.mode == Refuse {
			p.mu.Unlock()
			_ = client.Close()
			if server != nil {
				_ = server.Close()
			}
			continue
		}
		p.conns[client], p.conns[server] = true, true
		p.mu.Unlock()
		go p.pipe(server, client, func(m Mode) bool { return m == Pass || m == Mute })
		go p.pipe(client, server, func(m Mode) bool { return m == Pass })
	}
}

// pipe copies while the mode allows it, and waits otherwise.
func (p *Proxy) pipe(to, from net.Conn, allowed func(Mode) bool) {
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
