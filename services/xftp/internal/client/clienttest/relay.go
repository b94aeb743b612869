// Package clienttest runs a file relay inside a test process that can be told to misbehave. It keeps everything in
// memory and checks what an honest relay checks of honest clients, no more.
package clienttest

//lint:file-ignore SA1019 net/http speaks HTTP/2 only where ALPN says h2; here it is spoken whatever ALPN says. Spec: xftp.md 3.3

import (
	"context"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"sotto/shared/address"
	"sotto/shared/identity"
	"sotto/shared/key"
	"sotto/shared/transport"
	"sotto/shared/wire"
	"sotto/shared/xftp"
)

// Request is what a hook sees of a request.
type Request struct {
	*http.Request
	// Session is the TLS session of the connection.
	Session *transport.Session
	// Step is "hello", "handshake" or the tag of a command.
	Step string
	// Head is the first block of the request, Transmission and Command what is in it, if it is a command.
	Head         []byte
	Transmission xftp.Transmission
	Command      xftp.Command
	// Key is the relay's private session key.
	Key *ecdh.PrivateKey
}

// Options say what is unusual about a relay.
type Options struct {
	// Hook sees every request after its head was read. If it returns true it has answered.
	Hook func(w http.ResponseWriter, r *Request) bool
	// Versions that the relay offers; zero: all.
	Versions wire.VersionRange
	// Password for new chunks; empty: none.
	Password string
	// Quota in bytes; 0: unlimited.
	Quota int64
	// Web gives the relay a web certificate for [WebName] too, shown to clients with SNI.
	Web bool
	// Hello changes what the relay says first.
	Hello func(*xftp.ServerHello)
}

// WebName is the host in the web certificate.
const WebName = "relay.example"

// Relay is a relay in this process.
type Relay struct {
	// Identity is who the relay is.
	Identity *identity.Identity
	// Roots vouch for the web certificate.
	Roots *x509.CertPool
	// Dialed counts connections, Commands executed commands.
	Dialed, Commands atomic.Int64

	options  Options
	listener net.Listener
	config   *tls.Config
	running  sync.WaitGroup

	mu     sync.Mutex // guards what follows
	conns  map[net.Conn]bool
	chunks map[string]*chunk // by sender id
	used   int64
}

// chunk is what the relay keeps of one.
type chunk struct {
	info       xftp.FileInfo
	recipients map[string]key.Public
	body       []byte
}

// Start starts a relay that stops when the test ends.
func Start(t testing.TB, o Options) *Relay {
	t.Helper()
	id, err := identity.Create(t.TempDir(), "localhost", time.Now())
	if err != nil {
		t.Fatalf("create identity: %v", err)
	}
	if o.Versions == (wire.VersionRange{}) {
		o.Versions = xftp.Versions
	}
	r := &Relay{Identity: id, options: o, chunks: make(map[string]*chunk), conns: make(map[net.Conn]bool)}
	r.config = transport.ServerConfig(id)
	r.config.NextProtos = []string{xftp.ALPN, xftp.ALPNHTTP2, xftp.ALPNHTTP1}
	if o.Web {
		web := r.config.Clone()
		web.Certificates = []tls.Certificate{r.webCertificate(t)}
		r.config = transport.WithWeb(r.config, web)
	}
	if r.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatalf("listen: %v", err)
	}
	r.running.Go(r.accept)
	t.Cleanup(func() {
		_ = r.listener.Close()
		r.Disconnect()
		r.running.Wait()
	})
	return r
}

// webCertificate makes a certificate that is not of the identity, and the pool that vouches for it.
func (r *Relay) webCertificate(t testing.TB) tls.Certificate {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: WebName}, DNSNames: []string{WebName},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	r.Roots = x509.NewCertPool()
	r.Roots.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}
}

// Address is where the relay is, without a password.
func (r *Relay) Address() address.Server {
	fingerprint := r.Identity.Fingerprint()
	port := r.listener.Addr().(*net.TCPAddr).Port
	return address.Server{
		Scheme: address.XFTP, Fingerprint: fingerprint[:], Hosts: []address.Host{"127.0.0.1"}, Port: strconv.Itoa(port),
	}
}

// Chunks is how many chunks are registered.
func (r *Relay) Chunks() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.chunks)
}

// Disconnect cuts all connections.
func (r *Relay) Disconnect() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.conns {
		_ = c.Close()
	}
}

func (r *Relay) accept() {
	for {
		raw, err := r.listener.Accept()
		if err != nil {
			return
		}
		r.Dialed.Add(1)
		r.mu.Lock()
		r.conns[raw] = true
		r.mu.Unlock()
		r.running.Go(func() { r.serve(raw) })
	}
}

func (r *Relay) serve(raw net.Conn) {
	defer func() {
		_ = raw.Close()
		r.mu.Lock()
		delete(r.conns, raw)
		r.mu.Unlock()
	}()
	session, err := transport.ServerHandshake(context.Background(), raw, r.config)
	if err != nil {
		return
	}
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return
	}
	c := &conn{relay: r, session: session, key: private, version: xftp.Version1, accepted: session.ALPN == ""}
	(&http2.Server{}).ServeConn(session.Conn, &http2.ServeConnOpts{Handler: c})
}

// conn is one connection: its handshake and its commands.
type conn struct {
	relay   *Relay
	session *transport.Session
	key     *ecdh.PrivateKey

	mu       sync.Mutex // guards what follows
	greeted  bool
	accepted bool
	version  wire.Version
}

// ServeHTTP answers one request.
func (c *conn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	req := &Request{Request: r, Session: c.session, Key: c.key, Head: make([]byte, xftp.BlockSize)}
	n, _ := io.ReadFull(r.Body, req.Head)
	req.Head = req.Head[:n]
	c.mu.Lock()
	switch {
	case !c.greeted && !c.accepted:
		req.Step = "hello"
	case !c.accepted:
		req.Step = "handshake"
	default:
		var err error
		if req.Transmission, req.Command, err = xftp.ParseRequest(req.Head, c.session.ID); err == nil {
			req.Step = req.Command.Tag()
		}
	}
	c.mu.Unlock()
	if hook := c.relay.options.Hook; hook != nil && hook(w, req) {
		return
	}
	defer func() { _, _ = io.Copy(io.Discard, r.Body) }()
	switch req.Step {
	case "hello":
		c.hello(w, req)
	case "handshake":
		c.handshake(w, req)
	case "":
		Answer(w, req, xftp.ERR{Err: xftp.ErrBlock})
	default:
		c.relay.Commands.Add(1)
		c.relay.execute(w, req)
	}
}

// Answer writes the block of a response. More may follow it.
func Answer(w io.Writer, r *Request, response xftp.Response) {
	var head [xftp.BlockSize]byte
	xftp.PutResponse(&head, xftp.Versions.Max, r.Session.ID, r.Transmission.CorrID, r.Transmission.EntityID, response)
	_, _ = w.Write(head[:])
}

func (c *conn) hello(w io.Writer, r *Request) {
	session, err := key.FromECDH(c.key.PublicKey())
	if err != nil {
		return
	}
	hello := xftp.ServerHello{
		Versions: c.relay.options.Versions, SessionID: c.session.ID, Chain: c.relay.Identity.Chain,
		SignedKey: c.relay.Identity.SignSessionKey(session),
	}
	if content, err := wire.Unpad(r.Head); err == nil {
		if h, err := xftp.ParseClientHello(content); err == nil && h.Challenge != nil && r.Request.Header.Get(xftp.HeaderHello) != "" {
			hello.Proof = ed25519.Sign(c.relay.Identity.LeafKey(), xftp.ProofMessage(h.Challenge, c.session.ID))
		}
	}
	if change := c.relay.options.Hello; change != nil {
		change(&hello)
	}
	c.mu.Lock()
	c.greeted = true
	c.mu.Unlock()
	block := make([]byte, xftp.BlockSize)
	if wire.Pad(block, hello.AppendTo(nil)) == nil {
		_, _ = w.Write(block)
	}
}

func (c *conn) handshake(w io.Writer, r *Request) {
	content, _ := wire.Unpad(r.Head)
	h, err := xftp.ParseClientHandshake(content)
	fingerprint := c.relay.Identity.Fingerprint()
	if err != nil || string(h.KeyHash) != string(fingerprint[:]) || !c.relay.options.Versions.Contains(h.Version) {
		var head [xftp.BlockSize]byte
		xftp.PutWord(&head, xftp.ErrHandshake)
		_, _ = w.Write(head[:])
		return
	}
	c.mu.Lock()
	c.accepted, c.version = true, h.Version
	c.mu.Unlock()
}

// sum is the digest that a body must have.
func sum(b []byte) []byte {
	s := sha256.Sum256(b)
	return s[:]
}
