// Package acmetest runs a certificate authority for tests: Pebble, which Let's Encrypt makes for that, with a DNS server of
// its own for which every name is this machine. Both are programs of their own, on the loopback interface.
package acmetest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

// version of Pebble.
const version = "v2.10.1"

// startTime is how long the programs may take to answer.
const startTime = time.Minute

// programs compiles both, or finds them where an earlier test has put them, and returns their directory.
var programs = sync.OnceValues(func() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "sotto-test", "pebble-"+version)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return "", err
	}
	fresh, err := os.MkdirTemp(filepath.Dir(dir), "new-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(fresh)
	for _, name := range []string{"pebble", "pebble-challtestsrv"} {
		cmd := exec.Command("go", "install", "github.com/letsencrypt/pebble/v2/cmd/"+name+"@"+version)
		cmd.Dir = fresh
		cmd.Env = append(os.Environ(), "GOBIN="+fresh, "GOWORK=off", "GOFLAGS=-mod=mod")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("install %s: %w\n%s", name, err, out)
		}
	}
	if err := os.Rename(fresh, dir); err != nil {
		if _, there := os.Stat(dir); there != nil { // another process was faster
			return "", err
		}
	}
	return dir, nil
})

// Options say where the authority looks for answers, and what it gives.
type Options struct {
	// HTTPPort and TLSPort are where it looks in place of 80 and 443.
	HTTPPort, TLSPort string
	// Validity of the certificates; zero: 90 days.
	Validity time.Duration
	// Address of all names; empty: 127.0.0.1.
	Address string
	// Forbidden are names that it gives no certificates for.
	Forbidden []string
}

// Authority is a running certificate authority.
type Authority struct {
	// Directory is its URL.
	Directory string
	// RootsFile has the roots of that URL's own certificate.
	RootsFile string

	management string
	client     *http.Client
}

// Start starts an authority that ends with the test.
func Start(t testing.TB, o Options) *Authority {
	t.Helper()
	dir, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	if o.Address == "" {
		o.Address = "127.0.0.1"
	}
	if o.Validity == 0 {
		o.Validity = 90 * 24 * time.Hour
	}
	for range tries {
		if a := start(t, dir, o); a != nil {
			return a
		}
	}
	t.Fatal("the authority does not start")
	return nil
}

// tries to start the programs: between the choice of a free port and its use somebody else may take it.
const tries = 3

// start starts both programs; nil: one of them has ended at once.
func start(t testing.TB, dir string, o Options) *Authority {
	t.Helper()
	at, management, dns := "127.0.0.1:"+FreePort(t), "127.0.0.1:"+FreePort(t), "127.0.0.1:"+FreePort(t)
	files := t.TempDir()
	a := &Authority{
		Directory: "https://" + at + "/dir", RootsFile: filepath.Join(files, "pebble.crt"), management: management,
	}
	a.client = a.makeCertificate(t, filepath.Join(files, "pebble.key"))
	config := filepath.Join(files, "pebble.json")
	writeConfig(t, config, o, at, management, a.RootsFile, filepath.Join(files, "pebble.key"))
	names := run(t, filepath.Join(dir, "pebble-challtestsrv"), "-dnsserver", dns, "-http01", "", "-https01", "", "-tlsalpn01", "",
		"-doh", "", "-management", "127.0.0.1:"+FreePort(t), "-defaultIPv4", o.Address, "-defaultIPv6", "")
	authority := run(t, filepath.Join(dir, "pebble"), "-config", config, "-dnsserver", dns)
	if !a.wait(t, names, authority) {
		return nil
	}
	return a
}

// FreePort returns a TCP port of the loopback interface that nobody listens on.
func FreePort(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return strconv.Itoa(ln.Addr().(*net.TCPAddr).Port)
}

// makeCertificate makes that of the authority's own HTTPS, and a client that trusts it.
func (a *Authority) makeCertificate(t testing.TB, keyFile string) *http.Client {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for path, text := range map[string][]byte{
		a.RootsFile: cert, keyFile: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(cert)
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
}

// object is one of JSON.
type object map[string]any

func writeConfig(t testing.TB, path string, o Options, at, management, cert, key string) {
	t.Helper()
	httpPort, _ := strconv.Atoi(o.HTTPPort)
	tlsPort, _ := strconv.Atoi(o.TLSPort)
	text, err := json.Marshal(object{"pebble": object{
		"listenAddress": at, "managementListenAddress": management, "certificate": cert, "privateKey": key,
		"httpPort": httpPort, "tlsPort": tlsPort, "domainBlocklist": o.Forbidden,
		"retryAfter": object{"authz": 1, "order": 1},
		"profiles":   object{"default": object{"description": "the only one", "validityPeriod": int(o.Validity.Seconds())}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// run starts a program that ends with the test. What it returns is closed when it has ended.
func run(t testing.TB, path string, args ...string) <-chan struct{} {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0", "PEBBLE_AUTHZREUSE=0")
	log, err := os.CreateTemp(t.TempDir(), "log-")
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
		if text, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("%s:\n%s", filepath.Base(path), text)
		}
		_ = log.Close()
	})
	return ended
}

// wait waits until the authority answers, and its management too; false: a program has ended.
func (a *Authority) wait(t testing.TB, names, authority <-chan struct{}) bool {
	t.Helper()
	var err error
	for end := time.Now().Add(startTime); time.Now().Before(end); {
		if err = errors.Join(a.answers(a.Directory), a.answers("https://"+a.management+"/roots/0")); err == nil {
			return true
		}
		select {
		case <-names:
			return false
		case <-authority:
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
	t.Fatalf("the authority does not answer: %v", err)
	return false
}

func (a *Authority) answers(url string) error {
	resp, err := a.client.Get(url)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// Roots are those that its certificates lead to.
func (a *Authority) Roots(t testing.TB) *x509.CertPool {
	t.Helper()
	resp, err := a.client.Get("https://" + a.management + "/roots/0")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		t.Fatalf("no root: %s", text)
	}
	return pool
}
