package frontdoor

import (
	"io"
	"net"

	"sotto/shared/transport"
)

// splice copies both ways between a client and a relay until both have ended, and closes both. Where one ends, the other
// is told so and may still send. Between TCP connections the bytes stay in the kernel.
func splice(client, relay net.Conn) {
	back := make(chan struct{})
	go func() {
		defer close(back)
		forward(client, relay)
	}()
	forward(relay, client)
	<-back
	_ = client.Close()
	_ = relay.Close()
}

// forward copies one way. A failure ends both ways.
func forward(to, from net.Conn) {
	_, err := io.Copy(bare(to), bare(from))
	if err == nil {
		err = transport.CloseWrite(to)
	}
	if err != nil {
		_ = to.Close()
		_ = from.Close()
	}
}

// bare returns the socket itself, if there is one: only then the kernel can copy.
func bare(conn net.Conn) net.Conn {
	if c, ok := conn.(*transport.Conn); ok {
		if tcp, ok := c.Conn.(*net.TCPConn); ok {
			return tcp
		}
	}
	return conn
}
