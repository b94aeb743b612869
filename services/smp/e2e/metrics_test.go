package e2e

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"sotto/services/smp/internal/client"
	"sotto/shared/auth"
	"sotto/shared/metrics"
	"sotto/shared/pg/pgtest"
)

// page asks the relay's port for metrics.
func page(t *testing.T, url string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	must(t, "make a request", err)
	resp, err := http.DefaultClient.Do(req)
	must(t, "ask "+url, err)
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	must(t, "read the answer", err)
	return resp.StatusCode, string(content)
}

// waitReady waits until the relay says this of itself.
func waitReady(ctx context.Context, t *testing.T, url, want string) {
	t.Helper()
	for {
		_, got := page(t, url+"/readyz")
		if strings.TrimSpace(got) == want {
			return
		}
		select {
		case <-time.After(pollTime):
		case <-ctx.Done():
			t.Fatalf("the relay says %q of itself, not %q", got, want)
		}
	}
}

// TestReadyFollowsTheDatabase stops Postgres and starts it again: the relay lives on, and says that it is not ready.
func TestReadyFollowsTheDatabase(t *testing.T) {
	relayBinary(t)
	pg := pgtest.NewCluster(t)
	at := "127.0.0.1:" + freePort(t)
	r := newRelay(t, pg.Start(t), "SMP_METRICS_LISTEN="+at)
	start(t, r)
	ctx, cancel := context.WithTimeout(t.Context(), testTime)
	defer cancel()
	waitReady(ctx, t, "http://"+at, "ready")
	pg.Stop(t)
	waitReady(ctx, t, "http://"+at, metrics.ReasonDatabase)
	if status, _ := page(t, "http://"+at+"/healthz"); status != http.StatusOK {
		t.Errorf("the relay is said not to live: %d", status)
	}
	pg.Start(t)
	waitReady(ctx, t, "http://"+at, "ready")
}

// TestMetricsTellNothingOfClients searches what the relay shows for what it must keep to itself.
func TestMetricsTellNothingOfClients(t *testing.T) {
	at := "127.0.0.1:" + freePort(t)
	r := startRelay(t, "SMP_METRICS_LISTEN="+at, "SMP_METRICS_NAMES=simplex")
	ctx, cancel := context.WithTimeout(t.Context(), testTime)
	defer cancel()
	c := dial(t, r, client.Options{})
	q, err := c.NewQueue(ctx, client.QueueOptions{Subscribe: true})
	must(t, "create", err)
	must(t, "send", c.Send(ctx, q.SenderID, auth.Key{}, true, []byte("private")))
	_, shown := page(t, "http://"+at+"/metrics")
	if !strings.Contains(shown, "sotto_smp_messages_received_total 1\n") {
		t.Error("the message is not counted")
	}
	for _, secret := range []string{"127.0.0.1", "localhost", "private", r.Port} {
		for line := range strings.Lines(shown) {
			if strings.Contains(line, `"`+secret) || strings.Contains(line, secret+`"`) {
				t.Errorf("the metrics say %s", line)
			}
		}
	}
}
