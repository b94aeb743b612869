// Package frontdoor shares one port, 443, between a message relay, a file relay and web pages. It reads the ClientHello of
// a connection, and leaves TLS to the one that the connection is for: the relays derive their session ids from it, so
// nobody else may end it.
package frontdoor

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"sotto/shared/address"
	"sotto/shared/clienthello"
	"sotto/shared/identity"
	"sotto/shared/logging"
	"sotto/shared/transport"
	"sotto/shared/web"
	"sotto/shared/xftp"
)

const (
	// helloTime is what a client may take to send its ClientHello, which it has at hand when it connects.
	helloTime = 20 * time.Second
	// tlsTime bounds the handshakes that the door makes itself. Spec: smp.md 3.8
	tlsTime = 60 * time.Second
)

// Options tell the door what is behind it.
type Options struct {
	// Hosts are the names of the message relay, whose pages are here.
	Hosts []string
	// Identity is the message relay's, for clients that do not tell which relay they want before the handshake is over.
	Identity *identity.Identity
	// Certificates tells whether these are asked for certificates, as the message relay asks its clients.
	Certificates bool
	// Files is the file relay.
	Files Files
	// Certificate chooses what browsers are shown, and Challenge what a certificate authority is.
	Certificate, Challenge func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Pages answers browsers.
	Pages http.Handler
	// Log takes what an operator acts on.
	Log zerolog.Logger
}

// Door is the port. All methods may be called from any goroutine.
type Door struct {
	ln        net.Listener
	hosts     hosts
	either    *transport.MessageTLS
	challenge *tls.Config
	files     *files
	messages  *transport.Feed
	pages     *pages
	log       zerolog.Logger

	mu    sync.Mutex // guards what follows
	conns map[net.Conn]struct{}
	done  bool

	wg   sync.WaitGroup  // connections that the door has not given away
	ctx  context.Context // ends at Shutdown
	stop context.CancelFunc
}

// New puts the door in front of ln and takes it over.
func New(ln net.Listener, o Options) *Door {
	d := &Door{
		ln: ln, messages: transport.NewFeed(ln.Addr()), log: o.Log, conns: make(map[net.Conn]struct{}),
		either:    transport.NewMessageTLS(o.Identity, o.Certificates),
		challenge: &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{transport.ALPNACME}, GetCertificate: o.Challenge},
		pages:     newPages(ln.Addr(), o.Certificate, o.Pages),
	}
	for _, name := range o.Hosts {
		d.hosts.own = append(d.hosts.own, address.CanonicalName(name))
	}
	for _, name := range o.Files.Hosts {
		d.hosts.files = append(d.hosts.files, address.CanonicalName(name))
	}
	d.ctx, d.stop = context.WithCancel(context.Background())
	fingerprint := o.Identity.Fingerprint()
	d.files = newFiles(d.ctx, o.Files, fingerprint, o.Log)
	return d
}

// Messages returns the listener that the message relay serves.
func (d *Door) Messages() net.Listener { return d.messages }

// Serve lets clients in until Shutdown, or until accepting fails for good.
func (d *Door) Serve() error {
	d.wg.Go(d.files.watch)
	d.wg.Go(d.pages.serve)
	return transport.Serve(d.ctx, d.ln, func(conn net.Conn) bool {
		if !d.begin(conn) {
			return false
		}
		go d.handle(conn)
		return true
	})
}

// begin counts a connection in; false after Shutdown.
func (d *Door) begin(conn net.Conn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.done {
		return false
	}
	d.wg.Add(1)
	d.conns[conn] = struct{}{}
	return true
}

// end counts it out, when it is closed or given away.
func (d *Door) end(conn net.Conn) {
	d.mu.Lock()
	delete(d.conns, conn)
	d.mu.Unlock()
	d.wg.Done()
}

// Shutdown lets nobody in any more, and waits until the connections to the file relay and the pages have ended, or ctx
// has; then the rest is cut off. What the message relay got is its own.
func (d *Door) Shutdown(ctx context.Context) error {
	d.mu.Lock()
	d.done = true
	d.mu.Unlock()
	d.stop()
	_ = d.ln.Close()
	_ = d.messages.Close()
	_ = web.Shutdown(ctx, d.pages.server) // whose connections are told of below
	gone := make(chan struct{})
	go func() { d.wg.Wait(); close(gone) }()
	select {
	case <-gone:
		return nil
	case <-ctx.Done():
		d.closeAll()
		<-gone
		return errShutdown
	}
}

var errShutdown = errors.New("frontdoor: connections were cut off: there was no time to finish them")

func (d *Door) closeAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for conn := range d.conns {
		_ = conn.Close()
	}
}

// handle is the life of a connection at the door.
func (d *Door) handle(conn net.Conn) {
	defer d.end(conn)
	defer func() {
		if p := recover(); p != nil {
			logging.Panic(d.log, p)
			_ = conn.Close()
		}
	}()
	h, replayed, err := read(conn)
	if err != nil {
		refuse(conn, answerTo(err, replayed.Rest()))
		return
	}
	d.lead(conn, replayed, h)
}

// read reads the hello of a connection. It is replayed to the one that the connection is for.
func read(conn net.Conn) (*clienthello.Hello, *transport.Replay, error) {
	if err := conn.SetReadDeadline(time.Now().Add(helloTime)); err != nil {
		return nil, transport.NewReplay(conn, nil), err
	}
	h, raw, err := clienthello.Read(conn)
	replayed := transport.NewReplay(conn, raw)
	if err != nil {
		return nil, replayed, err
	}
	return h, replayed, conn.SetReadDeadline(time.Time{})
}

// lead takes a connection to where it goes. In the end it is closed, or somebody else's.
func (d *Door) lead(conn net.Conn, replayed *transport.Replay, h *clienthello.Hello) {
	switch d.hosts.route(h) {
	case toMessages:
		d.give(replayed)
	case toFiles:
		d.toFiles(conn, replayed, h)
	case toPages:
		d.toPages(replayed)
	case toChallenge:
		d.toChallenge(replayed)
	case toEither:
		d.toEither(replayed)
	}
}

// give gives a connection to the message relay.
func (d *Door) give(conn net.Conn) {
	if !d.messages.Give(conn) {
		_ = conn.Close()
	}
}

// toFiles takes a connection to the file relay, as it came. Where both relays have one name, browsers get at least the
// pages while it is away.
func (d *Door) toFiles(conn net.Conn, replayed *transport.Replay, h *clienthello.Hello) {
	if !d.files.known() {
		refuse(conn, alert(alertNoProtocol))
		return
	}
	relay, err := d.files.dial(d.ctx)
	switch {
	case err == nil:
	case d.hosts.isOwn(h.Name) && !h.Offers(xftp.ALPN):
		d.toPages(replayed)
		return
	default:
		refuse(conn, alert(alertInternal))
		return
	}
	replayed.Established()
	if _, err := relay.Write(replayed.Rest()); err != nil {
		_ = relay.Close()
		_ = conn.Close()
		return
	}
	splice(conn, relay)
}

// toPages makes the handshake with a browser.
func (d *Door) toPages(conn *transport.Replay) {
	if secured := d.shake(conn, d.pages.tls); secured != nil {
		d.pages.give(secured)
	}
}

// toChallenge makes the handshake with a certificate authority, which is all it wants.
//
// Source: RFC 8737 3
func (d *Door) toChallenge(conn *transport.Replay) {
	if secured := d.shake(conn, d.challenge); secured != nil {
		_ = secured.Close()
	}
}

// shake makes an ordinary handshake. It returns nil, and conn is closed, if that fails.
func (d *Door) shake(conn *transport.Replay, config *tls.Config) *tls.Conn {
	ctx, cancel := context.WithTimeout(d.ctx, tlsTime)
	defer cancel()
	secured := tls.Server(conn, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil
	}
	conn.Established()
	return secured
}
