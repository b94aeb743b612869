package transport

import (
	"container/list"
	"net"
	"sync"
	"time"

	"github.com/pires/go-proxyproto"

	"sotto/shared/limit"
)

// Conn is a connection that its [Listener] counts.
type Conn struct {
	net.Conn
	listener *Listener
	began    time.Time

	proxied *proxyproto.Conn // whose header tells the source; nil: the socket does
	header  sync.Once        // reads it
	refused bool             // after that: its source is at a limit

	// Under the listener's mu.
	place   *list.Element // among the handshakes, nil afterwards
	counted bool          // among the open connections
	source  limit.Source
	entered bool // source is counted
}

// arrive counts the connection for its source, under the listener's mu. It returns false if the
// source is at a limit. Behind a proxy that has to wait for the header, with which nobody else must wait.
func (c *Conn) arrive() bool {
	if proxied, ok := c.Conn.(*proxyproto.Conn); ok {
		c.proxied = proxied
		return true
	}
	return c.enter(limit.Of(c.Conn.RemoteAddr()))
}

func (c *Conn) enter(s limit.Source) bool {
	l := c.listener
	switch l.limits.Sources.Enter(s) {
	case nil:
	case limit.ErrCrowded:
		l.crowded++
		return false
	default:
		l.tooFast++
		return false
	}
	c.source, c.entered = s, true
	return true
}

// Read reads from the connection, and before that the header of a proxy. If the source that it names is at a limit, the
// connection is closed.
func (c *Conn) Read(p []byte) (int, error) {
	if c.proxied != nil {
		c.header.Do(c.readHeader)
		if c.refused {
			return 0, net.ErrClosed // what came with the header could still be read
		}
	}
	return c.Conn.Read(p)
}

func (c *Conn) readHeader() {
	header := c.proxied.ProxyHeader()
	if header == nil || header.Command.IsLocal() {
		return // Read fails, or the proxy speaks for itself
	}
	source := limit.Of(header.SourceAddr)
	c.listener.mu.Lock()
	c.refused = !c.counted || !c.enter(source) // not counted: it was closed meanwhile
	c.listener.mu.Unlock()
	if c.refused {
		_ = c.Close()
	}
}

// Source tells who is on the other side. Behind a proxy it is nobody before something is read.
func (c *Conn) Source() limit.Source {
	c.listener.mu.Lock()
	defer c.listener.mu.Unlock()
	return c.source
}

// SourceOf tells who is on the other side of a connection that wraps one of a [Listener]; of any other it is nobody.
func SourceOf(conn net.Conn) limit.Source {
	if c, ok := conn.(interface{ Source() limit.Source }); ok {
		return c.Source()
	}
	return limit.Source{}
}

// Established ends the handshake in the listener's count. [ServerHandshake] calls it; those who need none of its
// handshakes call it themselves.
func (c *Conn) Established() {
	c.listener.mu.Lock()
	defer c.listener.mu.Unlock()
	c.listener.leave(c)
}

// Close closes the connection and counts it out. It may be called more than once.
func (c *Conn) Close() error {
	c.listener.mu.Lock()
	c.listener.leave(c)
	if c.counted {
		c.counted = false
		c.listener.open--
	}
	c.depart()
	c.listener.mu.Unlock()
	return c.Conn.Close()
}

// depart counts the connection out for its source, under the listener's mu.
func (c *Conn) depart() {
	if c.entered {
		c.entered = false
		c.listener.limits.Sources.Leave(c.source)
	}
}
