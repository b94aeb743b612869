// Package server is the file relay's behaviour: it shakes hands with native clients and browsers, checks who may do
// what, and moves the bodies of chunks between HTTP/2 and the store. It knows the wire and no SQL.
//
// A transfer holds a piece of 64 KB, whatever the size of the chunk, and an upload that is faster than the store 256 KB
// more. An idle connection holds about 75 KB, and 95 KB after transfers, most of it buffers of TLS and HTTP/2.
package server

//lint:file-ignore SA1019 net/http speaks HTTP/2 only where ALPN says h2; here it is spoken whatever ALPN says. Spec: xftp.md 3.3

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/net/http2"

	"sotto/shared/auth"
	"sotto/shared/identity"
	"sotto/shared/key"
	"sotto/shared/limit"
	"sotto/shared/transport"
	"sotto/shared/web"
	"sotto/shared/wire"
	"sotto/shared/xftp"
)

// Config is what an operator decides about the relay's behaviour.
//
// Spec: xftp.md 11.2
type Config struct {
	NewFiles         bool              // FNEW is allowed at all
	CreatePassword   []byte            // empty: none is needed for FNEW
	ChunkSizes       []uint32          // that a chunk may have, in bytes
	UploadTimeout    time.Duration     // for the whole body of a request; 0: none
	StallTimeout     time.Duration     // a client that neither sends nor takes anything of a body for this long is disconnected; 0: never
	ExpiryInterval   time.Duration     // between sweeps, of which the first is at the start; 0: that is the only one
	InactiveTTL      time.Duration     // connections without a request for this long are closed; 0: never
	InactiveInterval time.Duration     // how often that is checked
	TLSTimeout       time.Duration     // from accept to the end of the TLS handshake
	HandshakeTimeout time.Duration     // from accept to the end of the handshake; 0: none
	Versions         wire.VersionRange // offered in the hello
	UploadMemory     int64             // bytes that all uploads together may be ahead of the store; 0: [DefaultUploadMemory]
	NewRate          int               // FNEW of a source per minute; a connection has a quarter; 0: no bound
	MaxTransfers     int               // uploads and downloads at a time; more wait; 0: [DefaultMaxTransfers]
	Pages            http.Handler      // what browsers get with GET; nil: 404
	// Challenge answers a certificate authority that asks who has the port; nil: nobody does.
	Challenge func(*tls.ClientHelloInfo) (*tls.Certificate, error)
}

// Bounds of HTTP/2.
//
// Spec: xftp.md 4.1
const (
	// A stream's window is a whole upload of the largest size that clients use, with its head, and a connection's is
	// nearly four of these, so that the round trip does not bound the speed. What is really read ahead is bounded by the
	// gate.
	streamWindow     = 4<<20 + 64<<10
	connectionWindow = 16 << 20
	// maxStreams is how many requests one connection may have under way: what HTTP/2 recommends at least.
	maxStreams = 100
	// maxFrame is the payload of the largest frame that clients may send: with its header it fills two TLS records.
	maxFrame = 2*(16<<10) - 9
	// maxHeader is what the headers of a request may have. Native clients send about 50 bytes, browsers less than 2 KB.
	maxHeader = 16 << 10
)

// Server serves connections until it is shut down.
type Server struct {
	cfg    Config
	id     *identity.Identity
	tls    *transport.FileTLS
	store  Store
	log    zerolog.Logger
	now    func() time.Time
	http   *http2.Server
	base   *http.Server // settings that http2 takes from here
	http1  *http1       // for browsers that do not speak HTTP/2
	budget *budget
	places places
	rate   *limit.Rate // of FNEW
	count  Counters
	most   int64 // bytes of a request that are read before its connection is closed

	verify func(k key.Public, session *ecdh.PrivateKey, corrID, authorization, message []byte) bool
	random func([]byte) // fills with random bytes

	mu    sync.Mutex // guards what follows
	conns map[*conn]struct{}
	done  bool

	wg    sync.WaitGroup  // connections and background loops
	ctx   context.Context // ends at Shutdown
	stop  context.CancelFunc
	work  context.Context // requests under way; ends when Shutdown runs out of time
	abort context.CancelFunc
}

// New returns a server for this identity and store. web is asked at every ClientHello of a browser for the certificate
// to show; nil, or a nil certificate, makes them strangers.
func New(cfg Config, id *identity.Identity, web func(*tls.ClientHelloInfo) *tls.Certificate, store Store, log zerolog.Logger) *Server {
	s := &Server{
		cfg: cfg, id: id, store: store, log: log, now: time.Now, verify: auth.Verify, random: random,
		tls:    transport.NewFileTLS(id, []string{xftp.ALPN, xftp.ALPNHTTP2, xftp.ALPNHTTP1}, web),
		budget: newBudget(cfg.UploadMemory), places: newPlaces(cfg.MaxTransfers), rate: limit.NewRate(cfg.NewRate),
		conns: make(map[*conn]struct{}),
	}
	if len(cfg.ChunkSizes) > 0 {
		s.most = int64(slices.Max(cfg.ChunkSizes))
	}
	s.most += xftp.BlockSize + drainSlack
	if cfg.Challenge != nil {
		s.tls.Challenge(cfg.Challenge)
	}
	s.configureHTTP()
	s.http1 = newHTTP1(cfg.Pages)
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.work, s.abort = context.WithCancel(context.Background())
	s.wg.Add(1)
	go s.watch()
	s.wg.Go(s.http1.serve)
	return s
}

// random is the source of ids, keys and nonces.
func random(p []byte) { _, _ = rand.Read(p) } // never fails

// newKey makes an X25519 key.
func (s *Server) newKey() (*ecdh.PrivateKey, key.Public, error) {
	var secret [key.X25519Size]byte
	s.random(secret[:])
	private, err := ecdh.X25519().NewPrivateKey(secret[:])
	clear(secret[:])
	if err != nil {
		return nil, key.Public{}, err
	}
	public, err := key.FromECDH(private.PublicKey())
	return private, public, err
}

// configureHTTP sets up HTTP/2. Its log, which names addresses and quotes what peers send, goes nowhere.
func (s *Server) configureHTTP() {
	s.base = &http.Server{ErrorLog: log.New(io.Discard, "", 0), MaxHeaderBytes: maxHeader, ConnState: noteStreams}
	s.http = &http2.Server{
		MaxConcurrentStreams: maxStreams, MaxReadFrameSize: maxFrame,
		MaxUploadBufferPerStream: streamWindow, MaxUploadBufferPerConnection: connectionWindow,
		WriteByteTimeout: s.cfg.StallTimeout,
	}
	if err := http2.ConfigureServer(s.base, s.http); err != nil {
		panic("server: HTTP/2 settings: " + err.Error())
	}
}

var errShutdown = errors.New("requests were cut off: there was no time to finish them")

// Serve accepts connections from ln until Shutdown, which closes ln, or until accepting fails for good.
func (s *Server) Serve(ln net.Listener) error {
	defer context.AfterFunc(s.ctx, func() { _ = ln.Close() })()
	return transport.Serve(s.ctx, ln, func(raw net.Conn) bool {
		if !s.begin() {
			return false
		}
		s.count.Accepted.Add(1)
		go s.handle(raw)
		return true
	})
}

// begin counts one more connection; false after Shutdown.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done {
		return false
	}
	s.wg.Add(1)
	return true
}

// handle is the life of one connection.
func (s *Server) handle(raw net.Conn) {
	defer s.wg.Done()
	defer func() { _ = raw.Close() }()
	accepted := time.Now()
	ctx, cancel := context.WithTimeout(s.ctx, s.cfg.TLSTimeout)
	session, web, err := s.tls.Handshake(ctx, raw)
	cancel()
	s.count.handshake(err)
	if err != nil || session.ALPN == transport.ALPNACME || s.servedHTTP1(session, web) {
		return
	}
	c := newConn(s, raw, session, web)
	if s.add(c) {
		c.serve(accepted)
		s.remove(c)
		c.requests.wait()
	}
}

func (s *Server) add(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done {
		return false
	}
	s.conns[c] = struct{}{}
	return true
}

func (s *Server) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// Connections returns how many clients are connected.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// flushTime is what a connection that has just answered its last request gets to send the rest of the answer, before it
// is closed. There is no GOAWAY before that: clients take none in a transfer. Spec: xftp.md 4.1
const flushTime = 100 * time.Millisecond

// Shutdown stops accepting, lets requests under way finish, and closes their connections afterwards. It returns when all
// are gone or ctx ends, whatever comes first; then the rest is cut off.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.done = true
	s.mu.Unlock()
	s.stop()
	defer s.abort()
	_ = web.Shutdown(ctx, s.http1.server) // whose connections are waited for below
	flushed := time.AfterFunc(flushTime, func() { s.closeConns((*conn).answered) })
	defer flushed.Stop()
	gone := make(chan struct{})
	go func() { s.wg.Wait(); close(gone) }()
	select {
	case <-gone:
		return nil
	case <-ctx.Done():
		s.closeConns(func(*conn) bool { return true })
		return errShutdown
	}
}

// closeConns closes the connections for which which says so.
func (s *Server) closeConns(which func(*conn) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if which(c) {
			c.abort()
		}
	}
}
