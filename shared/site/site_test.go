package site_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"sotto/shared/address"
	"sotto/shared/settings"
	"sotto/shared/site"
	"sotto/shared/web"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// server is the address of a relay with these hosts.
func server(scheme address.Scheme, hosts ...address.Host) address.Server {
	return address.Server{Scheme: scheme, Fingerprint: make([]byte, 32), Hosts: hosts, Password: address.Password("s3cret")}
}

func options(hosts ...address.Host) site.Options {
	return site.Options{
		Prefix: "SMP", Server: server(address.SMP, hosts...), Log: zerolog.Nop(), DatabaseURL: "postgres://a@127.0.0.1:1/b",
		Facts: web.Site{Kind: web.Messages, Version: "v1", Open: true, Password: true, Quota: 128},
	}
}

func open(t testing.TB, o site.Options) *site.Site {
	t.Helper()
	s, err := site.Open(t.Context(), o)
	must(t, err)
	t.Cleanup(s.Close)
	return s
}

func get(t testing.TB, h http.Handler, path string, header http.Header) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header = header
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestPages(t *testing.T) {
	o := options("relay.example")
	o.Information.Operator = "Somebody"
	s := open(t, o)
	page := get(t, s.Pages, "/", nil).Body.String()
	for _, want := range []string{"smp://", "@relay.example", "Somebody"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(page, "s3cret") {
		t.Error("the page has the password")
	}
	if got := s.State(); !strings.Contains(got, "relay.example: none that browsers trust") {
		t.Errorf("the state is %q", got)
	}
}

func TestMistakesNameTheSetting(t *testing.T) {
	for name, change := range map[string]func(*site.Options){
		"SMP_SERVER_COUNTRY": func(o *site.Options) { o.Information.ServerCountry = "Utopia" },
		"SMP_WEB_CERT":       func(o *site.Options) { o.Web.WebCert, o.Web.WebKey = "/nowhere/a", "/nowhere/b" },
		"SMP_ACME_DIRECTORY": func(o *site.Options) { o.Web.ACMEDirectory = "ftp://ca.example" },
		"SMP_ACME_EMAIL":     func(o *site.Options) { o.Web.ACMEEmail = "nobody" },
		"SMP_HTTP_LISTEN":    func(o *site.Options) { o.Web.HTTPListen = []string{"192.0.2.1:80"} },
		"SMP_DATABASE_URL": func(o *site.Options) {
			o.Web.ACME, o.Public, o.DatabaseURL = true, true, "postgres://user:secret@:x"
		},
	} {
		o := options("relay.example")
		change(&o)
		_, err := site.Open(t.Context(), o)
		var mistake settings.Error
		if !errors.As(err, &mistake) || !strings.HasPrefix(err.Error(), name) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPlainPorts(t *testing.T) {
	o := options("relay.example")
	o.Web.HTTPListen, o.Web.PagesListen = []string{"127.0.0.1:0"}, []string{"127.0.0.1:0"}
	s := open(t, o)
	if len(s.Parts()) != 2 {
		t.Fatalf("%d ports", len(s.Parts()))
	}
	ended := make(chan error, 2)
	for _, part := range s.Parts() {
		go func() { ended <- part.Serve() }()
	}
	for _, part := range s.Parts() {
		must(t, part.Shutdown(t.Context()))
	}
	for range s.Parts() {
		must(t, <-ended)
	}
}

// TestShare shows two relays with one name: each answers for its own pages, and nothing about the client goes from one to
// the other.
func TestShare(t *testing.T) {
	files := options("relay.example")
	files.Prefix, files.Server = "XFTP", server(address.XFTP, "relay.example")
	files.Facts = web.Site{Kind: web.Files, Version: "v1", Open: true, Shared: true, Other: "/"}
	own := open(t, files).Pages
	var asked []*http.Request
	messages := open(t, options("relay.example")).Pages
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r)
		messages.ServeHTTP(w, r)
	}))
	shared := site.Share(own, other.URL)
	header := http.Header{"Cookie": {"a=b"}, "User-Agent": {"Browser"}, "Accept-Encoding": {"identity"}, "X-Forwarded-For": {"192.0.2.1"}}
	for path, want := range map[string]string{"/": "smp://", web.FilesPath: "xftp://", "/a": "", "/robots.txt": ""} {
		if w := get(t, shared, path, header); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d, without %q", path, w.Code, want)
		}
	}
	if len(asked) != 3 {
		t.Errorf("the other relay was asked %d times", len(asked))
	}
	for _, r := range asked {
		for name := range r.Header {
			if name != "Accept-Encoding" && name != "User-Agent" || strings.Contains(r.Header.Get(name), "Browser") {
				t.Errorf("the other relay is told %s: %s", name, r.Header.Get(name))
			}
		}
	}
	other.Close()
	if w := get(t, shared, "/", nil); w.Code != http.StatusBadGateway || !strings.Contains(w.Body.String(), web.FilesPath) {
		t.Errorf("without the other relay: %d %s", w.Code, w.Body)
	}
	if w := get(t, shared, web.FilesPath, nil); w.Code != http.StatusOK {
		t.Errorf("without the other relay the own page is gone: %d", w.Code)
	}
}

func TestTrouble(t *testing.T) {
	s := open(t, options("relay.example"))
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{GetCertificate: s.Certificate})
	must(t, err)
	defer ln.Close()
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, conn)
			_ = conn.Close()
		}
	}()
	dial := new(net.Dialer).DialContext
	trouble := func(ctx context.Context, hosts ...address.Host) string {
		return site.Trouble(ctx, dial, ln.Addr().String(), server(address.SMP, hosts...))
	}
	if got := trouble(t.Context(), "relay.example"); !strings.Contains(got, "browsers do not trust the certificate of relay.example") {
		t.Errorf("%q", got)
	}
	if got := trouble(t.Context(), "localhost") + trouble(t.Context(), "192.0.2.1"); got != "" {
		t.Errorf("%q, of a relay that nobody could certify", got)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if got := trouble(ended, "relay.example"); got == "" || strings.Contains(got, "127.0.0.1") {
		t.Errorf("%q, of a port that does not answer", got)
	}
}
