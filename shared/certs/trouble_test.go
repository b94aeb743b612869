package certs_test

import (
	"crypto/tls"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/rs/zerolog"

	"sotto/shared/certs"
	"sotto/shared/certs/acmetest"
	"sotto/shared/pg/pgtest"
	"sotto/shared/relay"
)

// TestDNSLeadsElsewhere: the ports are open here, but the names are those of another machine.
func TestDNSLeadsElsewhere(t *testing.T) {
	h := new(host).open(t)
	authority := acmetest.Start(t, acmetest.Options{HTTPPort: h.httpPort, TLSPort: h.tlsPort, Address: "127.0.0.2"})
	var log relay.Output
	m := newManager(t, certs.Options{
		Names: []string{"relay.example"}, ACME: true, Directory: authority.Directory, Roots: authority.RootsFile,
		Storage: storage(t, pgtest.Open(t)), Log: zerolog.New(&log),
	})
	h.answers = m
	m.Start(t.Context())
	eventually(t, "a failure", func() bool { return m.Status()[0].State == certs.Failed })
	for _, says := range []string{"relay.example", "port 443: no", "port 80: no connection", "check that the DNS entries"} {
		if reason := m.Status()[0].Reason; !strings.Contains(reason, says) {
			t.Errorf("the reason does not say %q: %s", says, reason)
		}
	}
	if strings.Contains(log.String(), "127.0.0.") {
		t.Errorf("the log has an address:\n%s", log.String())
	}
}

// TestRenewalMeetsTrouble takes the database away when there is a certificate already.
func TestRenewalMeetsTrouble(t *testing.T) {
	h := (&host{noHTTP: true}).open(t)
	authority := acmetest.Start(t, acmetest.Options{HTTPPort: h.httpPort, TLSPort: h.tlsPort, Validity: 30 * time.Second})
	proxy := pgtest.NewProxy(t, pgtest.Open(t))
	var log relay.Output
	o := certs.Options{
		Names: []string{"trouble.example"}, ACME: true, Directory: authority.Directory, Roots: authority.RootsFile,
		Storage: storage(t, proxy.URL), Log: zerolog.New(&log).Level(zerolog.InfoLevel),
	}
	o.Look(time.Second)
	m := newManager(t, o)
	h.answers = m
	m.Start(t.Context())
	eventually(t, "a certificate", func() bool { return m.Status()[0].State == certs.Valid })
	proxy.Set(pgtest.Refuse)
	eventually(t, "a failure", func() bool { return m.Status()[0].State == certs.Failed })
	if s := m.Status()[0]; !strings.Contains(s.Reason, "database of certificates fails") {
		t.Errorf("the status is %+v", s)
	}
	said(t, &log, "database of certificates fails")
}

// TestDatabaseIsBack: a relay that starts while the database is away gets its certificate from there later.
func TestDatabaseIsBack(t *testing.T) {
	h := (&host{noHTTP: true}).open(t)
	authority := acmetest.Start(t, acmetest.Options{HTTPPort: h.httpPort, TLSPort: h.tlsPort})
	proxy := pgtest.NewProxy(t, pgtest.Open(t))
	proxy.Set(pgtest.Refuse)
	o := certs.Options{
		Names: []string{"back.example"}, ACME: true, Directory: authority.Directory, Roots: authority.RootsFile,
		Storage: storage(t, proxy.URL), Log: zerolog.Nop(),
	}
	o.Look(time.Second)
	m := newManager(t, o)
	h.answers = m
	m.Start(t.Context())
	eventually(t, "a failure", func() bool { return m.Status()[0].State == certs.Failed })
	proxy.Set(pgtest.Pass)
	eventually(t, "a certificate", func() bool { return trusted(t, m, "back.example", authority.Roots(t)) })
	if s := m.Status()[0]; s.State != certs.Valid || s.Reason != "" {
		t.Errorf("the status is %+v", s)
	}
}

// TestEndedWhileAway: a relay that was away for long does not wait for the next look at certificates.
func TestEndedWhileAway(t *testing.T) {
	h := (&host{noHTTP: true}).open(t)
	authority := acmetest.Start(t, acmetest.Options{HTTPPort: h.httpPort, TLSPort: h.tlsPort, Validity: 5 * time.Second})
	url := pgtest.Open(t)
	o := certs.Options{
		Names: []string{"away.example"}, ACME: true, Directory: authority.Directory, Roots: authority.RootsFile,
		Storage: storage(t, url), Log: zerolog.Nop(),
	}
	o.Look(24 * time.Hour)
	first := newManager(t, o)
	h.answers = first
	first.Start(t.Context())
	eventually(t, "a certificate", func() bool { return trusted(t, first, "away.example", authority.Roots(t)) })
	old := shown(t, first, "away.example")
	first.Close()
	eventually(t, "its end", func() bool { return time.Now().After(old.NotAfter) })
	o.Storage = storage(t, url)
	next := newManager(t, o)
	h.answers = next
	next.Start(t.Context())
	eventually(t, "another one", func() bool {
		return trusted(t, next, "away.example", authority.Roots(t)) && !shown(t, next, "away.example").Equal(old)
	})
}

// TestRelaysShareAStorage: two relays have names of their own, one port 80 and one storage, in one process.
func TestRelaysShareAStorage(t *testing.T) {
	h := (&host{noTLS: true}).open(t)
	authority := acmetest.Start(t, acmetest.Options{HTTPPort: h.httpPort, TLSPort: h.tlsPort})
	url := pgtest.Open(t)
	managers := make(map[string]*certs.Manager)
	for _, name := range []string{"smp.example", "xftp.example"} {
		managers[name] = newManager(t, certs.Options{
			Names: []string{name}, ACME: true, Directory: authority.Directory, Roots: authority.RootsFile,
			Storage: storage(t, url), Log: zerolog.Nop(),
		})
	}
	h.answers = managers["smp.example"]
	for name, m := range managers {
		m.Start(t.Context())
		eventually(t, "the certificate of "+name, func() bool { return trusted(t, m, name, authority.Roots(t)) })
	}
	if leaf := shown(t, managers["smp.example"], "xftp.example"); leaf.VerifyHostname("smp.example") != nil {
		t.Error("a relay shows the certificate of another")
	}
}

// TestStorageInFiles: it is certmagic's interface that counts, not Postgres.
func TestStorageInFiles(t *testing.T) {
	h := new(host).open(t)
	authority := acmetest.Start(t, acmetest.Options{HTTPPort: h.httpPort, TLSPort: h.tlsPort})
	m := newManager(t, certs.Options{
		Names: []string{"files.example"}, ACME: true, Directory: authority.Directory, Roots: authority.RootsFile,
		Storage: &certmagic.FileStorage{Path: t.TempDir()}, Log: zerolog.Nop(),
	})
	h.answers = m
	m.Start(t.Context())
	eventually(t, "a certificate", func() bool { return trusted(t, m, "files.example", authority.Roots(t)) })
}

// TestNobodyElseIsAsked: without ACME, and for names that nobody certifies, there are no connections and no answers.
func TestNobodyElseIsAsked(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer ln.Close()
	for _, o := range []certs.Options{
		{Names: []string{"relay.example"}}, {Names: []string{"192.0.2.1", "localhost"}, ACME: true}, {ACME: true},
	} {
		o.Directory, o.Log = "https://"+ln.Addr().String()+"/dir", zerolog.Nop()
		m := newManager(t, o)
		m.Start(t.Context())
		if _, err := m.Challenge(&tls.ClientHelloInfo{ServerName: "relay.example"}); err == nil {
			t.Error("there is an answer to nothing")
		}
		next := http.NotFoundHandler()
		if m.HTTP(next) == nil {
			t.Error("nobody answers requests")
		}
		if cert, err := m.Certificate(&tls.ClientHelloInfo{}); err != nil || cert == nil {
			t.Errorf("there is nothing to show: %v", err)
		}
		m.Close()
		m.Close()
	}
	must(t, ln.(*net.TCPListener).SetDeadline(time.Now()))
	if conn, err := ln.Accept(); err == nil {
		_ = conn.Close()
		t.Error("the authority was asked")
	}
}
