// Package server is the message relay's behaviour: it shakes hands with clients, checks who may do what, runs
// commands against the store, and delivers messages to those who listen. It knows the wire and no SQL.
package server

import (
	"context"
	"crypto/ecdh"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"sotto/services/smp/internal/hub"
	"sotto/services/smp/internal/notify"
	"sotto/services/smp/internal/proxy"
	"sotto/shared/auth"
	"sotto/shared/identity"
	"sotto/shared/key"
	"sotto/shared/logging"
	"sotto/shared/transport"
	"sotto/shared/wire"
)

// Config is what an operator decides about the relay's behaviour. Spec: smp.md 12
type Config struct {
	NewQueues            bool              // NEW is allowed at all
	CreatePassword       []byte            // empty: none is needed for NEW
	Versions             wire.VersionRange // offered in the hello
	MessageTTL           time.Duration     // older messages are removed
	ExpireOnSend         bool              // remove old messages of a queue before a SEND to it
	ExpiryInterval       time.Duration     // sweep over all queues
	ExpireOnStart        bool              // sweep once at start
	EndInterval          time.Duration     // END and DELD events are collected this long
	InactiveTTL          time.Duration     // silent connections without subscriptions are closed; 0: never
	InactiveInterval     time.Duration     // how often that is checked
	TLSTimeout           time.Duration     // from accept to the end of the TLS handshake
	HandshakeTimeout     time.Duration     // for the hellos
	StallTimeout         time.Duration     // for one block, either way; a client that takes longer is disconnected; 0: never
	NotificationInterval time.Duration     // between deliveries of notifications
	NotificationTTL      time.Duration     // older notifications are removed
	NewRate              int               // NEW of a source per minute; a connection has a quarter; 0: no bound
	ProxyRate            int               // PRXY, likewise
	MaxQueues            int64             // NEW is refused when there are so many; 0: no bound
	ServiceCertificates  bool              // clients are asked for certificates in TLS, as services have
	Proxy                *proxy.Relays     // private routing; nil: none
	ProxyConcurrency     int               // commands for other relays that are under way for one connection
	ConnectionBacklog    int               // groups of replies waiting for one connection; then its reader waits
}

// Server serves connections until it is shut down.
type Server struct {
	cfg    Config
	id     *identity.Identity
	tls    *transport.MessageTLS
	store  Store
	hub    *hub.Hub
	notify *notify.Hub
	log    zerolog.Logger
	now    func() time.Time

	verify func(k key.Public, session *ecdh.PrivateKey, corrID, authorization, message []byte) bool

	mu         sync.Mutex
	conns      map[*conn]struct{}
	ends       map[*conn][]lost
	done       bool
	handshakes atomic.Uint64 // so far
	swept      chan struct{} // closed after the sweep at the start
	count      Counters
	rates      rates
	room       room
	moderated  atomic.Uint64 // queues that an operator has blocked so far

	wg    sync.WaitGroup  // connections and background loops
	ctx   context.Context // ends at Shutdown
	stop  context.CancelFunc
	work  context.Context // commands at hand; ends when Shutdown runs out of time
	abort context.CancelFunc
}

// New returns a server for this identity and store.
func New(cfg Config, id *identity.Identity, store Store, log zerolog.Logger) *Server {
	s := &Server{
		cfg: cfg, id: id, tls: transport.NewMessageTLS(id, cfg.ServiceCertificates), store: store, hub: hub.New(),
		notify: notify.New(), log: log, now: time.Now, verify: auth.Verify,
		conns: make(map[*conn]struct{}), ends: make(map[*conn][]lost), swept: make(chan struct{}),
		rates: newRates(cfg),
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.work, s.abort = context.WithCancel(context.Background())
	s.wg.Add(5)
	go s.watch()
	go s.sweep()
	go s.trimMemory()
	go s.deliverNotifications()
	go s.keepNotifications()
	return s
}

// errShutdown is the cause of closing that clients never see.
var errShutdown = errors.New("relay is shutting down")

// Serve accepts connections from ln until Shutdown, which closes ln, or until accepting fails for good.
func (s *Server) Serve(ln net.Listener) error {
	s.awaitSweep()
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
	defer s.recoverBug()
	c, err := s.handshake(raw)
	s.handshakes.Add(1)
	if err != nil || !s.add(c) {
		return
	}
	defer s.remove(c)
	c.serve(s.work)
}

// recoverBug keeps a broken invariant in one connection, or in one sweep, from ending the others.
func (s *Server) recoverBug() {
	if p := recover(); p != nil {
		logging.Panic(s.log, p)
	}
}

func (s *Server) add(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done {
		return false
	}
	s.conns[c] = struct{}{}
	if c.service != nil {
		s.notify.Attach(c.notifier, c.service.id)
	}
	return true
}

func (s *Server) remove(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	delete(s.ends, c)
	s.mu.Unlock()
	c.leave()
}

// Connections returns how many clients are connected.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// Subscriptions returns how many queues have a current subscriber.
func (s *Server) Subscriptions() int { return s.hub.Len() }

// Shutdown lets every connection finish the block at hand and flush its replies, then closes it. The caller closes
// the listeners first. It returns when all are gone or ctx ends, whatever comes first.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.done = true
	for c := range s.conns {
		c.interrupt()
	}
	s.mu.Unlock()
	s.stop()
	defer s.abort()
	gone := make(chan struct{})
	go func() { s.wg.Wait(); close(gone) }()
	select {
	case <-gone:
		s.saveNotifications(ctx, true)
		return nil
	case <-ctx.Done():
		s.mu.Lock()
		for c := range s.conns {
			c.abort()
		}
		s.mu.Unlock()
		last, done := context.WithTimeout(context.Background(), lastSave)
		defer done()
		s.saveNotifications(last, true)
		return errShutdown
	}
}
