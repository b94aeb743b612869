package client

//lint:file-ignore SA1019 net/http speaks HTTP/2 only where ALPN says h2; here it is spoken whatever ALPN says. Spec: xftp.md 3.3

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2"

	"sotto/shared/transport"
	"sotto/shared/xftp"
)

// Conn is a connection to a relay after TLS, which takes requests of HTTP/2, one at a time: another request waits until
// the response before it is closed. It serves tests that have to be hostile, and as what a [Client] is made of.
//
// Relays in use do not manage several bodies at once, and take a request that was broken off for an error of the
// connection. So after a request that did not end well the connection is closed.
//
// Spec: xftp.md 4
// Spec: xftp.md 16.6
type Conn struct {
	session *transport.Session
	http    *http2.ClientConn
	host    string        // of the URL
	turn    chan struct{} // holds a value while a request is under way
	options Options

	fingerprint [sha256.Size]byte

	mu     sync.Mutex
	closed error // why the connection is closed; nil: it is not. Guarded by mu.
}

// newConn starts HTTP/2 on a TLS connection.
func newConn(session *transport.Session, host string, fingerprint [sha256.Size]byte, options Options) (*Conn, error) {
	t, err := http2.ConfigureTransports(&http.Transport{
		DisableCompression: true,
		HTTP2: &http.HTTP2Config{
			MaxReceiveBufferPerStream: streamWindow, MaxReceiveBufferPerConnection: connectionWindow, MaxReadFrameSize: maxFrame,
		},
	})
	if err != nil {
		return nil, err
	}
	conn, err := t.NewClientConn(session.Conn)
	if err != nil {
		return nil, err
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return &Conn{
		session: session, http: conn, host: host, fingerprint: fingerprint, options: options, turn: make(chan struct{}, 1),
	}, nil
}

// Format prints a placeholder, whatever the verb.
func (c *Conn) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[connection]") }

// Session returns the TLS session.
func (c *Conn) Session() *transport.Session { return c.session }

// Close closes the connection. Requests under way end with [ErrClosed]. It may be called more than once.
func (c *Conn) Close() error {
	c.fail(ErrClosed)
	return nil
}

// Err returns why the connection is closed: [ErrClosed], [io.EOF] if the relay did it, or what the request failed with
// after which it was. It is nil while the connection can be used, as far as is known.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed == nil && !c.http.CanTakeNewRequest() {
		return io.EOF
	}
	return c.closed
}

// fail closes the connection for a reason; the first one stays.
func (c *Conn) fail(reason error) {
	c.mu.Lock()
	first := c.closed == nil
	if first {
		c.closed = reason
	}
	c.mu.Unlock()
	if first {
		_ = c.http.Close()
	}
}

// reason returns what ended a request: the close that cut it off rather than the I/O error that this caused.
func (c *Conn) reason(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if errors.Is(c.closed, ErrClosed) {
		return ErrClosed
	}
	if unusable[err.Error()] {
		return io.EOF
	}
	return err
}

// unusable are what HTTP/2 says of a connection that the relay has closed before the request. They can be told by their
// texts alone.
var unusable = map[string]bool{
	"http2: client conn is closed":                true,
	"http2: client conn not usable":               true,
	"http2: client conn could not be established": true,
}

// Request is one request. The zero value is a POST without a body.
type Request struct {
	Method string // empty: POST
	Path   string // empty: /
	Header http.Header
	// Body has the bytes to send, nil for none. It is not read any more once Do has failed or the response is closed.
	Body io.Reader
	// Size is how many bytes of Body are sent. A Body that ends earlier is [ErrSource]. -1: all, unannounced.
	Size int64
	// Patience bounds the time in which nothing moves, Limit the whole request; 0: the request timeout of [Options].
	Patience, Limit time.Duration
}

// Response is what a relay answers. It must be closed, or the next request waits for ever.
type Response struct {
	Status int
	Header http.Header
	// Head is the first block of the body, shorter if the body is.
	Head []byte

	conn  *Conn
	ctx   context.Context
	body  io.ReadCloser
	guard *guard
	sent  *source
	once  sync.Once
}

// Do sends a request and returns its response with the head read. It returns as soon as that is there, even if the
// request's body is not sent yet. Errors are [*ConnError], or ctx's while the request waits for its turn; after a
// [*ConnError] the connection is closed.
//
// Spec: xftp.md 4.2
func (c *Conn) Do(ctx context.Context, r Request) (*Response, error) {
	if err := c.take(ctx); err != nil {
		return nil, err
	}
	ctx, g := newGuard(ctx, cmp.Or(r.Patience, c.options.RequestTimeout), cmp.Or(r.Limit, c.options.RequestTimeout))
	res := &Response{conn: c, ctx: ctx, guard: g, Head: make([]byte, xftp.BlockSize)}
	if r.Body != nil {
		res.sent = &source{r: r.Body, left: r.Size, moved: g.moved}
	}
	if err := res.receive(c.request(ctx, r, res.sent)); err != nil {
		reason := c.reason(ctx, err)
		res.finish(reason)
		return nil, &ConnError{Err: reason}
	}
	return res, nil
}

// take waits for the connection's turn.
func (c *Conn) take(ctx context.Context) error {
	select {
	case c.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := c.Err(); err != nil {
		<-c.turn
		return &ConnError{Err: err}
	}
	return nil
}

// request makes the HTTP request of r, as apps send it: without any header of its own.
//
// Spec: xftp.md 4.2
func (c *Conn) request(ctx context.Context, r Request, body *source) *http.Request {
	header := r.Header.Clone()
	if header == nil {
		header = make(http.Header)
	}
	if header["User-Agent"] == nil {
		header["User-Agent"] = []string{""} // none is sent
	}
	req := (&http.Request{
		Method: cmp.Or(r.Method, http.MethodPost),
		URL:    &url.URL{Scheme: "https", Host: c.host, Path: cmp.Or(r.Path, "/")},
		Host:   c.host,
		Header: header,
	}).WithContext(ctx)
	if body != nil {
		req.Body, req.ContentLength = body, r.Size
	}
	return req
}

// receive sends the request and reads the head of the response.
func (r *Response) receive(req *http.Request) error {
	res, err := r.conn.http.RoundTrip(req)
	if err != nil {
		if r.sent != nil && r.sent.failed() {
			return ErrSource
		}
		return err
	}
	r.guard.moved()
	r.Status, r.Header, r.body = res.StatusCode, res.Header, res.Body
	n, err := readAll(r.body, r.Head)
	r.Head = r.Head[:n]
	r.guard.moved()
	return err
}

// readAll fills p as far as the body goes. Unlike with [io.ReadFull], a body that was cut off, for which HTTP/2 has
// [io.ErrUnexpectedEOF] too, is an error and a short one is not.
func readAll(body io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var more int
		more, err = body.Read(p[n:])
		n += more
	}
	if err == io.EOF {
		err = nil
	}
	return n, err
}

// Read reads the body after the head. Errors other than the end of the body are [*ConnError].
func (r *Response) Read(p []byte) (int, error) {
	n, err := r.body.Read(p)
	if n > 0 {
		r.guard.moved()
	}
	if err != nil && err != io.EOF {
		err = &ConnError{Err: r.conn.reason(r.ctx, err)}
	}
	return n, err
}

// Close ends the request. If the body was not read to its end, or the request not sent to its end, the connection is
// closed, with reason if that is not nil.
func (r *Response) Close() error {
	complete := r.sent == nil || r.sent.done()
	if complete {
		if n, err := r.body.Read(make([]byte, 1)); n > 0 || err != io.EOF {
			complete = false
		}
	}
	if complete {
		r.finish(nil)
	} else {
		r.finish(ErrClosed)
	}
	return nil
}

// finish releases everything the request holds, and closes the connection if there is a reason.
func (r *Response) finish(reason error) {
	r.once.Do(func() {
		if reason != nil {
			r.conn.fail(reason)
		}
		r.guard.stop()
		if r.body != nil {
			_ = r.body.Close()
		}
		if r.sent != nil {
			_ = r.sent.Close()
		}
		<-r.conn.turn
	})
}
