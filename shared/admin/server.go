package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"

	"github.com/rs/zerolog"

	"sotto/shared/logging"
)

// prefix is that of all paths; it changes when requests do.
const prefix = "/v1/"

// Server answers commands. It is a part of a relay's program.
type Server struct {
	socket   *Socket
	handlers map[string]Handler
	log      zerolog.Logger
	safe     func(error) string
	http     http.Server
	stopped  chan struct{} // closed by Shutdown
	once     sync.Once
}

// failure is the answer to a request that failed.
type failure struct {
	Error    string `json:"error"`
	NotFound bool   `json:"notFound,omitempty"`
}

// New returns a server with these handlers, by the names of their commands. safe tells the cause of an error that is no
// answer, without private data.
func New(socket *Socket, handlers map[string]Handler, safe func(error) string, l zerolog.Logger) *Server {
	s := &Server{socket: socket, handlers: handlers, log: l, safe: safe, stopped: make(chan struct{})}
	s.http = http.Server{
		Handler: http.HandlerFunc(s.handle), ErrorLog: log.New(io.Discard, "", 0),
		MaxHeaderBytes: maxHeader, ReadTimeout: readTime, WriteTimeout: readTime + workTime, IdleTimeout: idleTime,
	}
	return s
}

// Serve serves until Shutdown. A socket that fails is told, but is no reason to stop the relay.
func (s *Server) Serve() error {
	err := s.http.Serve(limited(s.socket))
	if !errors.Is(err, http.ErrServerClosed) {
		s.log.Error().Msg("the socket for admin commands has failed; the relay goes on without it")
	}
	<-s.stopped
	return nil
}

// Shutdown lets commands finish until ctx ends.
func (s *Server) Shutdown(ctx context.Context) error {
	s.once.Do(func() { close(s.stopped) })
	err := s.http.Shutdown(ctx)
	_ = s.http.Close()
	_ = s.socket.Close() // which Shutdown closes only if it was served
	return err
}

// handle answers one request.
func (s *Server) handle(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if p := recover(); p != nil {
			logging.Panic(s.log, p)
			answer(w, http.StatusInternalServerError, failure{Error: "the relay failed; its log tells where"})
		}
	}()
	h, ok := s.handlers[trimmed(r.URL.Path)]
	if !ok {
		answer(w, http.StatusNotFound, failure{Error: "the relay does not know this command: are both of the same version?"})
		return
	}
	in, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		answer(w, http.StatusRequestEntityTooLarge, failure{Error: "the request is too long"})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), workTime)
	defer cancel()
	out, err := h(ctx, in)
	s.reply(w, out, err)
}

func trimmed(path string) string {
	if len(path) < len(prefix) || path[:len(prefix)] != prefix {
		return ""
	}
	return path[len(prefix):]
}

// reply sends what a handler returned.
func (s *Server) reply(w http.ResponseWriter, out any, err error) {
	var told Answer
	switch {
	case err == nil:
		answer(w, http.StatusOK, out)
	case errors.Is(err, ErrNotFound):
		answer(w, http.StatusNotFound, failure{Error: "there is no such thing here", NotFound: true})
	case errors.As(err, &told):
		answer(w, http.StatusBadRequest, failure{Error: told.text})
	default:
		answer(w, http.StatusInternalServerError, failure{Error: "it did not work: " + s.safe(err)})
	}
}

// answer sends JSON. A command that has left does not get it.
func answer(w http.ResponseWriter, status int, out any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(out)
}

// limited lets a listener have so many connections at a time.
func limited(ln net.Listener) net.Listener {
	return &limiter{Listener: ln, places: make(chan struct{}, maxConnections), closed: make(chan struct{})}
}

type limiter struct {
	net.Listener
	places chan struct{}
	closed chan struct{}
	once   sync.Once
}

// Accept waits for a place, then for a connection.
func (l *limiter) Accept() (net.Conn, error) {
	select {
	case l.places <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.places
		return nil, err
	}
	return &placed{Conn: conn, give: sync.OnceFunc(func() { <-l.places })}, nil
}

// Close closes the listener.
func (l *limiter) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// placed is a connection that has a place.
type placed struct {
	net.Conn
	give func()
}

// Close closes the connection and gives its place to another.
func (p *placed) Close() error {
	err := p.Conn.Close()
	p.give()
	return err
}
