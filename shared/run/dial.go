package run

import (
	"context"
	"io"
	"net"
)

// unknownClient is the header of a connection that a proxy tells nothing about.
const unknownClient = "PROXY UNKNOWN\r\n"

// Dialer connects to a port of this program's own; with behind set to one that takes connections of a proxy, as
// [ListenBehind] opens it.
func Dialer(behind bool) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil || !behind {
			return conn, err
		}
		if _, err := io.WriteString(conn, unknownClient); err != nil {
			_ = conn.Close()
			return nil, err
		}
		return conn, nil
	}
}
