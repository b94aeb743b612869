package certs_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/certmagic"
	"github.com/rs/zerolog"

	"sotto/shared/certs"
	"sotto/shared/certs/acmetest"
	"sotto/shared/pg/pgtest"
	"sotto/shared/relay"
)

// listener remembers all that is stored.
type listener struct {
	certmagic.Storage
	mu     sync.Mutex
	stored map[string][]byte
}

func (l *listener) Store(ctx context.Context, key string, value []byte) error {
	l.mu.Lock()
	l.stored[key] = append([]byte(nil), value...)
	l.mu.Unlock()
	return l.Storage.Store(ctx, key, value)
}

// secrets lists what may not be told, in the forms that it might be told in.
func (l *listener) secrets(t testing.TB) (secrets []string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	keys := 0
	for key, value := range l.stored {
		if block, _ := pem.Decode(value); block != nil && strings.HasSuffix(key, ".key") {
			keys++
			middle := block.Bytes[40:64]
			secrets = append(secrets, hex.EncodeToString(middle), base64.StdEncoding.EncodeToString(block.Bytes[39:63]))
		}
		var challenge struct{ Token, KeyAuthorization string }
		if json.Unmarshal(value, &challenge) == nil && challenge.Token != "" {
			secrets = append(secrets, challenge.Token, challenge.KeyAuthorization)
		}
	}
	if keys < 2 || len(secrets) < 6 {
		t.Fatalf("an account, a certificate and a challenge have %d keys and %d secrets", keys, len(secrets))
	}
	return secrets
}

// strangers ask the ports for names and tokens that nobody knows.
func (h *host) strangers(t testing.TB) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:"+h.httpPort+"/.well-known/acme-challenge/token7391", nil)
	must(t, err)
	r.Host = "stranger7391.example"
	resp, err := http.DefaultClient.Do(r)
	must(t, err)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("a stranger is answered: %s", resp.Status)
	}
	conn, err := tls.Dial("tcp", "127.0.0.1:"+h.tlsPort, &tls.Config{
		ServerName: "stranger7391.example", NextProtos: []string{"acme-tls/1"}, InsecureSkipVerify: true,
	})
	if err == nil {
		_ = conn.Close()
		t.Error("a stranger is answered")
	}
}

// TestLogTellsNoSecrets searches all that is told at the level debug.
func TestLogTellsNoSecrets(t *testing.T) {
	h := new(host).open(t)
	authority := acmetest.Start(t, acmetest.Options{HTTPPort: h.httpPort, TLSPort: h.tlsPort})
	kept := &listener{Storage: storage(t, pgtest.Open(t)), stored: make(map[string][]byte)}
	var log relay.Output
	m := newManager(t, certs.Options{
		Names: []string{"relay.example"}, ACME: true, Email: "operator@relay.example", Directory: authority.Directory,
		Roots: authority.RootsFile, Storage: kept, Log: zerolog.New(&log),
	})
	h.answers = m
	h.strangers(t)
	m.Start(t.Context())
	eventually(t, "a certificate", func() bool { return trusted(t, m, "relay.example", authority.Roots(t)) })
	h.strangers(t)
	told := log.String()
	for _, secret := range append(kept.secrets(t), "7391", "127.0.0.1", "PRIVATE KEY", "Go-http-client") {
		if strings.Contains(told, secret) {
			t.Errorf("the log has %q:\n%s", secret, told)
		}
	}
	if !strings.Contains(told, "certificates: ") || !strings.Contains(told, `["relay.example"]`) {
		t.Errorf("the log does not tell what certmagic does:\n%s", told)
	}
}
