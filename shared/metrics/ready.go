package metrics

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Reasons why a program is not ready, each in one word.
const (
	ReasonStarting = "starting" // settings, migrations, listeners
	ReasonDraining = "draining" // it stops
	ReasonDatabase = "database" // which does not answer within pingTime
)

const (
	// pingTime is what the database may take to answer whoever asks whether the relay is ready.
	pingTime = 2 * time.Second
	// pingRest is how long its last answer holds: the database is asked this often at most, whoever asks.
	pingRest = time.Second
)

// Ready knows whether a program is ready for clients.
type Ready struct {
	ping     atomic.Pointer[func(context.Context) error]
	serves   atomic.Bool
	draining atomic.Bool

	mu     sync.Mutex // held while the database is asked, so that it is asked once
	asked  time.Time
	answer error
}

// Database says how the database is asked for an answer, once it has been opened.
func (r *Ready) Database(ping func(context.Context) error) { r.ping.Store(&ping) }

// Serving tells that all is open and served.
func (r *Ready) Serving() { r.serves.Store(true) }

// Ready adds whether the service with this name is ready.
func (r *Registry) Ready(service string, ready *Ready) {
	r.Gauge(service+"_ready", "1 if the relay is ready for clients, as /readyz says it.", func() float64 {
		return Bool(ready.Reason(context.Background()) == "")
	})
}

// Draining tells that the program stops, before it closes anything.
func (r *Ready) Draining() { r.draining.Store(true) }

// Reason tells why the program is not ready; "" if it is.
func (r *Ready) Reason(ctx context.Context) string {
	ping := r.ping.Load()
	switch {
	case r.draining.Load():
		return ReasonDraining
	case ping == nil || !r.serves.Load():
		return ReasonStarting
	case r.asks(ctx, *ping) != nil:
		return ReasonDatabase
	case r.draining.Load():
		return ReasonDraining
	}
	return ""
}

func (r *Ready) asks(ctx context.Context, ping func(context.Context) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.asked) < pingRest {
		return r.answer
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pingTime) // the answer is for others, too
	defer cancel()
	r.answer = ping(ctx)
	r.asked = time.Now()
	return r.answer
}
