package metrics_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/rs/zerolog"

	"sotto/shared/metrics"
	"sotto/shared/settings"
)

// open opens a port for a registry, and returns its URL.
func open(t *testing.T, r *metrics.Registry, ready *metrics.Ready) string {
	t.Helper()
	s, err := metrics.Open(t.Context(), "TEST_METRICS_LISTEN", "127.0.0.1:0", r, ready, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return "http://" + s.Lines()[0][1]
}

func get(t *testing.T, method, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(body))
}

func TestPortHasThreePathsAndNoMore(t *testing.T) {
	url := open(t, metrics.New("test", "v"), new(metrics.Ready))
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/metrics", 200},
		{"HEAD", "/metrics", 200},
		{"GET", "/healthz", 200},
		{"GET", "/readyz", 503},
		{"POST", "/metrics", 405},
		{"GET", "/", 404},
		{"GET", "/debug/pprof/", 404},
		{"GET", "/metrics/", 404},
	} {
		if status, _ := get(t, c.method, url+c.path); status != c.status {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, status, c.status)
		}
	}
}

func TestMetricsCanBeParsed(t *testing.T) {
	url := open(t, metrics.New("test", "v"), new(metrics.Ready))
	_, body := get(t, "GET", url+"/metrics")
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(body + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"sotto_build_info", "go_goroutines", "process_open_fds"} {
		if families[name] == nil {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestReadyTellsWhyNot(t *testing.T) {
	ready := new(metrics.Ready)
	url := open(t, metrics.New("test", "v"), ready) + "/readyz"
	expect := func(status int, word string) {
		t.Helper()
		if gotStatus, got := get(t, "GET", url); gotStatus != status || got != word {
			t.Errorf("%d %s, want %d %s", gotStatus, got, status, word)
		}
	}
	expect(503, metrics.ReasonStarting)
	ready.Database(func(context.Context) error { return nil })
	expect(503, metrics.ReasonStarting)
	ready.Serving()
	expect(200, "ready")
	ready.Draining()
	expect(503, metrics.ReasonDraining)
}

func TestReadyAsksTheDatabase(t *testing.T) {
	ready := new(metrics.Ready)
	url := open(t, metrics.New("test", "v"), ready)
	ready.Database(func(context.Context) error { return errors.New("away") })
	ready.Serving()
	if status, word := get(t, "GET", url+"/readyz"); status != 503 || word != metrics.ReasonDatabase {
		t.Errorf("%d %s, want 503 %s", status, word, metrics.ReasonDatabase)
	}
	if status, _ := get(t, "GET", url+"/healthz"); status != 200 {
		t.Errorf("the process is said not to live: %d", status)
	}
}

func TestDatabaseHasABound(t *testing.T) {
	ready := new(metrics.Ready)
	ready.Database(func(ctx context.Context) error {
		if _, bounded := ctx.Deadline(); !bounded {
			t.Error("the database is waited for without a bound")
		}
		return nil
	})
	ready.Serving()
	if reason := ready.Reason(t.Context()); reason != "" {
		t.Errorf("not ready: %s", reason)
	}
}

func TestManyAskTheDatabaseOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		ready := new(metrics.Ready)
		ready.Database(func(context.Context) error {
			asked.Add(1)
			return nil
		})
		ready.Serving()
		for round := range int32(2) {
			var all sync.WaitGroup
			for range 10 {
				all.Go(func() {
					if reason := ready.Reason(t.Context()); reason != "" {
						t.Errorf("not ready: %s", reason)
					}
				})
			}
			all.Wait()
			if n := asked.Load(); n != round+1 {
				t.Errorf("the database was asked %d times in round %d", n, round)
			}
			time.Sleep(time.Minute)
		}
	})
}

func TestPortThatIsInUse(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, err = metrics.Open(t.Context(), "TEST_METRICS_LISTEN", ln.Addr().String(), metrics.New("test", "v"), nil, zerolog.Nop())
	var mistake settings.Error
	if !errors.As(err, &mistake) || !strings.Contains(err.Error(), "TEST_METRICS_LISTEN") {
		t.Errorf("got %v, want a mistake that names the setting", err)
	}
}

func TestNoPort(t *testing.T) {
	s, err := metrics.Open(t.Context(), "TEST_METRICS_LISTEN", "", metrics.New("test", "v"), nil, zerolog.Nop())
	if err != nil || s.Lines() != nil {
		t.Errorf("%v, %v, want neither a port nor an error", s.Lines(), err)
	}
	s.Close()
}
