package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"testing"

	"sotto/services/xftp/internal/client"
	"sotto/shared/relay"
)

// comingFrom are the options of a client that a proxy before the relay announces by this address; none: by no address.
func comingFrom(ip string) client.Options {
	header := "PROXY UNKNOWN\r\n"
	if ip != "" {
		header = "PROXY TCP4 " + ip + " 192.0.2.1 40000 443\r\n"
	}
	return client.Options{Dialer: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		if _, err := io.WriteString(conn, header); err != nil {
			_ = conn.Close()
			return nil, err
		}
		return conn, nil
	}}
}

// TestConnectionsOfOneSource has clients from addresses that a proxy tells. What the relay does with the addresses must
// not show in its log.
func TestConnectionsOfOneSource(t *testing.T) {
	const most = 3
	r := startRelay(t, "XFTP_PROXY_PROTOCOL=true", fmt.Sprintf("XFTP_MAX_CONNECTIONS_PER_SOURCE=%d", most))
	w := relay.NewWitness()
	for _, ip := range []string{"198.51.100.77", "198.51.100.78", ""} {
		w.Saw("an address", []byte(ip))
		for n := range 2 * most {
			ctx, cancel := context.WithTimeout(t.Context(), answerTime)
			c, err := client.Dial(ctx, server(t, r), comingFrom(ip))
			cancel()
			if (err == nil) != (n < most || ip == "") {
				t.Errorf("connection %d of source %q: %v", n, ip, err)
			}
			if err == nil {
				t.Cleanup(func() { _ = c.Close() })
			}
		}
	}
	must(t, "end", r.Kill())
	w.Check(t, r)
}

// TestNewOfOneSource registers chunks from several connections of one source, and from others.
func TestNewOfOneSource(t *testing.T) {
	ctx := bounded(t)
	r := startRelay(t, "XFTP_PROXY_PROTOCOL=true", "XFTP_NEW_RATE=1")
	registered := func(c *client.Client) (n int) {
		for n < 10 && newChunk(64<<10).register(ctx, c) == nil {
			n++
		}
		return n
	}
	total := 0
	for range 12 {
		total += registered(dial(t, r, comingFrom("198.51.100.77")))
	}
	if total < 10 || total >= 20 { // ten have been saved up, and each connection could register two
		t.Errorf("%d chunks from one source", total)
	}
	for _, ip := range []string{"198.51.100.78", "", ""} {
		if n := registered(dial(t, r, comingFrom(ip))); n == 0 || n == 10 {
			t.Errorf("%d chunks from source %q", n, ip)
		}
	}
}

// TestLocalClientsAreNotLimited connects without a proxy, from this machine, like Tor.
func TestLocalClientsAreNotLimited(t *testing.T) {
	r := startRelay(t, "XFTP_MAX_CONNECTIONS_PER_SOURCE=1", "XFTP_HANDSHAKE_RATE=1")
	for range 20 {
		dial(t, r, client.Options{})
	}
}
