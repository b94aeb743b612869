package metrics

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/rs/zerolog"

	"sotto/shared/settings"
	"sotto/shared/transport"
	"sotto/shared/web"
)

const (
	// connections is how many may be open to the port: a few programs of the operator's.
	connections = 64
	// answerTime bounds the reading of all metrics.
	answerTime = 10 * time.Second
	// closeTime is what those who are reading have at the end.
	closeTime = time.Second
)

// Server is the port for the operator's programs. It is open from the program's start to its end.
type Server struct {
	http *http.Server
	ln   net.Listener
}

// Open opens the port at the address in the setting name, and answers from then on. An empty address opens nothing.
func Open(ctx context.Context, name, address string, r *Registry, ready *Ready, log zerolog.Logger) (*Server, error) {
	if address == "" {
		return &Server{}, nil
	}
	ln, err := transport.Listen(ctx, address, transport.Limits{Connections: connections, Handshakes: connections})
	if err != nil {
		return nil, settings.Bad("%s: cannot listen on %s: %v", name, address, errors.Unwrap(err))
	}
	s := &Server{http: web.NewServer(handler(r, ready)), ln: ln}
	s.http.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		if e, ok := conn.(transport.Established); ok { // there is no handshake
			e.Established()
		}
		return ctx
	}
	go func() {
		if err := s.http.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			log.Error().Str("cause", transport.Safe(err)).Msg("metrics are not served any more")
		}
	}()
	return s, nil
}

// Lines tell the operator where the port is, if there is one.
func (s *Server) Lines() [][2]string {
	if s.ln == nil {
		return nil
	}
	return [][2]string{{"metrics", s.ln.Addr().String()}}
}

// Close closes the port, after those who are reading have had a moment.
func (s *Server) Close() {
	if s.ln == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	_ = web.Shutdown(ctx, s.http) // whoever is cut off asks again
}

// handler answers for the three paths, and for nothing else.
func handler(r *Registry, ready *Ready) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", r.handler())
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { word(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, req *http.Request) {
		if reason := ready.Reason(req.Context()); reason != "" {
			word(w, http.StatusServiceUnavailable, reason)
			return
		}
		word(w, http.StatusOK, "ready")
	})
	return mux
}

// word answers with one word.
func word(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") // whoever has left does not miss it
}
