package proxy

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/net/proxy"
)

// keepAlive finds out, within a minute and a half, that a relay has gone without a farewell: no pings are sent to it.
//
// Spec: smp.md 11.2
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 15 * time.Second, Count: 4}

// errPrivate refuses an address that a name has resolved to.
var errPrivate = errors.New("proxy: not an address of the public network")

// dialer opens connections to destinations.
type dialer struct {
	options Options
	direct  net.Dialer
	socks   proxy.ContextDialer // nil: there is none
}

func newDialer(options Options) (*dialer, error) {
	d := &dialer{options: options}
	d.direct = net.Dialer{KeepAliveConfig: keepAlive, Resolver: options.Resolver, Control: d.control}
	if options.Socks == "" {
		return d, nil
	}
	// The operator says where the SOCKS server is, which may well be private.
	through, err := proxy.SOCKS5("tcp", options.Socks, nil, &net.Dialer{KeepAliveConfig: keepAlive})
	if err != nil {
		return nil, err
	}
	d.socks = through.(proxy.ContextDialer)
	return d, nil
}

// dial connects to a destination, of which an onion host is never looked up here.
func (d *dialer) dial(ctx context.Context, to destination) (net.Conn, error) {
	at := net.JoinHostPort(to.host, strconv.Itoa(int(to.port)))
	if to.socks {
		return d.socks.DialContext(ctx, "tcp", at)
	}
	return d.direct.DialContext(ctx, "tcp", at)
}

// control is asked before each address that a name has resolved to is connected to.
func (d *dialer) control(_, at string, _ syscall.RawConn) error {
	if d.options.AllowPrivate {
		return nil
	}
	addr, err := netip.ParseAddrPort(at)
	if err != nil || !public(addr.Addr()) {
		return errPrivate
	}
	return nil
}
