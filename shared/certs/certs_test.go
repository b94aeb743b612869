package certs_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/rs/zerolog"

	"sotto/shared/certs"
	"sotto/shared/certs/acmetest"
	"sotto/shared/certs/pgcerts"
	"sotto/shared/pg/pgtest"
	"sotto/shared/relay"
)

// patience is for things that happen, on a busy machine.
const patience = time.Minute

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// host is a machine with the two ports that an authority looks at.
type host struct {
	httpPort, tlsPort string
	answers           *certs.Manager // who answers challenges; set before certificates are asked for
	noTLS, noHTTP     bool
}

// open opens the ports.
func (h *host) open(t testing.TB) *host {
	t.Helper()
	h.httpPort, h.tlsPort = acmetest.FreePort(t), acmetest.FreePort(t)
	if !h.noTLS {
		ln, err := tls.Listen("tcp", "127.0.0.1:"+h.tlsPort, &tls.Config{
			NextProtos: []string{"acme-tls/1"},
			GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
				return h.answers.Challenge(hello)
			},
		})
		must(t, err)
		t.Cleanup(func() { _ = ln.Close() })
		go func() {
			for {
				conn, err := ln.Accept()
				if err != nil {
					return
				}
				go func() {
					_ = conn.(*tls.Conn).Handshake()
					_ = conn.Close()
				}()
			}
		}()
	}
	if !h.noHTTP {
		ln, err := net.Listen("tcp", "127.0.0.1:"+h.httpPort)
		must(t, err)
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.answers.HTTP(http.NotFoundHandler()).ServeHTTP(w, r)
		})}
		t.Cleanup(func() { _ = server.Close() })
		go func() { _ = server.Serve(ln) }()
	}
	return h
}

func newManager(t testing.TB, o certs.Options) *certs.Manager {
	t.Helper()
	m, err := certs.New(o)
	must(t, err)
	t.Cleanup(m.Close)
	return m
}

func storage(t testing.TB, url string) certmagic.Storage {
	t.Helper()
	s, err := pgcerts.Open(t.Context(), pgcerts.Options{URL: url, Log: zerolog.Nop()})
	must(t, err)
	t.Cleanup(s.Close)
	return s
}

// shown is what a browser is shown.
func shown(t testing.TB, m *certs.Manager, name string) *x509.Certificate {
	t.Helper()
	cert, err := m.Certificate(&tls.ClientHelloInfo{ServerName: name})
	must(t, err)
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	must(t, err)
	return leaf
}

// trusted checks that browsers which trust the authority would trust what they are shown.
func trusted(t testing.TB, m *certs.Manager, name string, roots *x509.CertPool) bool {
	t.Helper()
	cert, err := m.Certificate(&tls.ClientHelloInfo{ServerName: name})
	must(t, err)
	between := x509.NewCertPool()
	for _, der := range cert.Certificate[1:] {
		c, err := x509.ParseCertificate(der)
		must(t, err)
		between.AddCert(c)
	}
	_, err = shown(t, m, name).Verify(x509.VerifyOptions{DNSName: name, Roots: roots, Intermediates: between})
	return err == nil
}

// said waits for a line of the log.
func said(t testing.TB, log *relay.Output, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := log.WaitLine(ctx, 0, text); err != nil {
		t.Fatalf("the log never says %q: %v", text, err)
	}
}

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never happened: " + what)
		}
	}
}

func TestIssue(t *testing.T) {
	for name, h := range map[string]*host{
		"TLS-ALPN-01": {noHTTP: true}, "HTTP-01": {noTLS: true},
	} {
		t.Run(name, func(t *testing.T) {
			h.open(t)
			authority := acmetest.Start(t, acmetest.Options{HTTPPort: h.httpPort, TLSPort: h.tlsPort})
			var log relay.Output
			m := newManager(t, certs.Options{
				Names: []string{"relay.example"}, ACME: true, Directory: authority.Directory, Roots: authority.RootsFile,
				Storage: storage(t, pgtest.Open(t)), Log: zerolog.New(&log),
			})
			h.answers = m
			if trusted(t, m, "relay.example", authority.Roots(t)) {
				t.Fatal("there is a certificate already")
			}
			m.Start(t.Context())
			eventually(t, "a certificate", func() bool { return trusted(t, m, "relay.example", authority.Roots(t)) })
			eventually(t, "the status", func() bool { return m.Status()[0].State == certs.Valid })
			if s := m.Status()[0]; s.NotAfter.Before(time.Now()) || s.Reason != "" {
				t.Errorf("the status is %+v", s)
			}
			for _, secret := range []string{"127.0.0.1", "PRIVATE KEY", "remote"} {
				if strings.Contains(log.String(), secret) {
					t.Errorf("the log has %q:\n%s", secret, log.String())
				}
			}
			if !strings.Contains(log.String(), "has given a certificate") {
				t.Errorf("it is not told:\n%s", log.String())
			}
		})
	}
}

// TestAnotherAnswers shows that an instance answers for another one, and takes its certificate over.
func TestAnotherAnswers(t *testing.T) {
	for name, h := range map[string]*host{
		"TLS-ALPN-01": {noHTTP: true}, "HTTP-01": {noTLS: true},
	} {
		t.Run(name, func(t *testing.T) {
			h.open(t)
			url := pgtest.Open(t)
			authority := acmetest.Start(t, acmetest.Options{HTTPPort: h.httpPort, TLSPort: h.tlsPort})
			o := certs.Options{
				Names: []string{"relay.example"}, ACME: true, Directory: authority.Directory, Roots: authority.RootsFile,
				Log: zerolog.Nop(),
			}
			o.Storage = storage(t, url)
			asks := newManager(t, o)
			o.Storage = storage(t, url)
			answers := newManager(t, o)
			h.answers = answers
			asks.Start(t.Context())
			eventually(t, "a certificate", func() bool { return trusted(t, asks, "relay.example", authority.Roots(t)) })
			answers.Start(t.Context())
			eventually(t, "the same certificate", func() bool {
				return shown(t, answers, "relay.example").Equal(shown(t, asks, "relay.example"))
			})
		})
	}
}

func TestRenewal(t *testing.T) {
	h := (&host{noHTTP: true}).open(t)
	authority := acmetest.Start(t, acmetest.Options{HTTPPort: h.httpPort, TLSPort: h.tlsPort, Validity: 20 * time.Second})
	m := newManager(t, certs.Options{
		Names: []string{"relay.example"}, ACME: true, Directory: authority.Directory, Roots: authority.RootsFile,
		Storage: storage(t, pgtest.Open(t)), Log: zerolog.Nop(),
	})
	h.answers = m
	m.Start(t.Context())
	eventually(t, "a certificate", func() bool { return trusted(t, m, "relay.example", authority.Roots(t)) })
	first := shown(t, m, "relay.example")
	eventually(t, "another one", func() bool {
		return trusted(t, m, "relay.example", authority.Roots(t)) && !shown(t, m, "relay.example").Equal(first)
	})
}

func TestFailures(t *testing.T) {
	h := (&host{noTLS: true, noHTTP: true}).open(t)
	authority := acmetest.Start(t, acmetest.Options{
		HTTPPort: h.httpPort, TLSPort: h.tlsPort, Forbidden: []string{"forbidden.example"},
	})
	dead := "https://127.0.0.1:" + acmetest.FreePort(t) + "/dir"
	url := pgtest.Open(t)
	for name, tc := range map[string]struct {
		host, directory, database, says string
	}{
		"the ports are closed":    {"relay.example", authority.Directory, url, "let ports 80 and 443"},
		"the name is refused":     {"forbidden.example", authority.Directory, url, "use another name"},
		"the authority is away":   {"relay.example", dead, url, "cannot be reached"},
		"the database is away":    {"relay.example", authority.Directory, "postgres://a@127.0.0.1:1/b", "database of certificates"},
		"another's directory URL": {"relay.example", "https://127.0.0.1:" + h.httpPort + "/nothing", url, "cannot be reached"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log relay.Output
			m := newManager(t, certs.Options{
				Names: []string{tc.host}, ACME: true, Directory: tc.directory, Roots: authority.RootsFile,
				Storage: storage(t, tc.database), Log: zerolog.New(&log).Level(zerolog.InfoLevel),
			})
			m.Start(t.Context())
			eventually(t, "a failure", func() bool { return m.Status()[0].State == certs.Failed })
			if reason := m.Status()[0].Reason; !strings.Contains(reason, tc.says) {
				t.Errorf("the reason is %q", reason)
			}
			said(t, &log, tc.says)
			if strings.Contains(log.String(), "127.0.0.1") {
				t.Errorf("the log has an address: %s", log.String())
			}
			cert := shown(t, m, tc.host)
			if cert.VerifyHostname(tc.host) != nil {
				t.Error("there is nothing to show to browsers")
			}
		})
	}
}

func TestNamesThatNobodyCertifies(t *testing.T) {
	for _, name := range []string{
		"localhost", "192.0.2.1", "2001:db8::1", "relay", "relay.local", "relay.internal", "relay.lan", "relay.test",
		strings.Repeat("a", 56) + ".onion",
	} {
		m := newManager(t, certs.Options{Names: []string{name}, ACME: true, Log: zerolog.Nop()}) // needs no storage
		if s := m.Status()[0]; s.State != certs.NotAsked || s.Reason == "" {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func TestMistakes(t *testing.T) {
	for name, tc := range map[string]struct {
		o    certs.Options
		want string
	}{
		"directory":   {certs.Options{Directory: "http://ca.example/dir"}, "ACME_DIRECTORY"},
		"e-mail":      {certs.Options{Email: "nobody"}, "ACME_EMAIL"},
		"roots":       {certs.Options{Roots: "/nowhere/roots.pem"}, "ACME_ROOTS"},
		"certificate": {certs.Options{CertFile: "/nowhere/web.crt", KeyFile: "/nowhere/web.key"}, "WEB_CERT"},
	} {
		_, err := certs.New(tc.o)
		var mistake certs.OptionError
		if !errors.As(err, &mistake) || mistake.Option != tc.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRedirect(t *testing.T) {
	names := []string{"relay.example", "other.example"}
	for _, tc := range []struct{ method, host, path, port, want string }{
		{"GET", "relay.example", "/a?b=c", "", "https://relay.example/a?b=c"},
		{"GET", "Other.Example:80", "/", "", "https://other.example/"},
		{"HEAD", "relay.example", "/", "8443", "https://relay.example:8443/"},
		{"GET", "evil.example", "//evil.example/x", "", "https://relay.example//evil.example/x"},
		{"POST", "relay.example", "/", "", ""},
	} {
		r := httptest.NewRequest(tc.method, "/", nil)
		r.Host, r.URL.Path = tc.host, tc.path
		if path, query, ok := strings.Cut(tc.path, "?"); ok {
			r.URL.Path, r.URL.RawQuery = path, query
		}
		w := httptest.NewRecorder()
		certs.Redirect(names, tc.port).ServeHTTP(w, r)
		if got := w.Header().Get("Location"); got != tc.want || (tc.want == "") != (w.Code == http.StatusNotFound) {
			t.Errorf("%s %s%s: %d to %q, want %q", tc.method, tc.host, tc.path, w.Code, got, tc.want)
		}
	}
}
