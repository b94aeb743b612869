package smptest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"

	"sotto/services/smp/internal/client"
	"sotto/shared/identity"
	"sotto/shared/identity/identitytest"
	"sotto/shared/key"
	"sotto/shared/smp"
	"sotto/shared/transport"
)

// NewService returns a service with a chain of this many certificates, all of one algorithm.
func NewService(t testing.TB, role smp.ServiceRole, a key.Algorithm, length int) *client.Service {
	t.Helper()
	chain, leaf := identitytest.Service(t, a, length, nil)
	return &client.Service{Role: role, Chain: chain, Leaf: leaf}
}

// DialService connects a service. What its TLS would show is shown for it: the certificates of its hello or, if shown is
// not nil, others.
func (r *Relay) DialService(t testing.TB, o client.Options, shown [][]byte) (*client.Conn, error) {
	if shown == nil {
		shown = o.Service.Chain
	}
	ln, dial := r.another(t)
	served := make(chan error, 1)
	go func() { served <- r.Server.Serve(showing{ln, r.Identity, shown}) }()
	t.Cleanup(func() {
		_ = ln.Close()
		r.Stop(t)
		<-served
	})
	o.Dialer = dial
	return r.TryDial(o)
}

// another opens another listener, for pipes or sockets like the relay's own, and returns what connects to it.
func (r *Relay) another(t testing.TB) (net.Listener, func(context.Context, string, string) (net.Conn, error)) {
	t.Helper()
	if r.options.Pipes {
		ln := newPipeListener()
		return ln, ln.dial
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	return ln, func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, ln.Addr().String())
	}
}

// showing is a listener whose clients have shown a chain.
type showing struct {
	net.Listener
	relay *identity.Identity
	shown [][]byte
}

// Accept returns the next connection.
func (l showing) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return shower{conn, &l}, nil
}

// shower is a connection that brings its session.
type shower struct {
	net.Conn
	l *showing
}

// Session makes the session, and puts the chain in.
func (s shower) Session(ctx context.Context) (*transport.Session, error) {
	session, err := transport.ServerHandshake(ctx, s.Conn, transport.ServerConfig(s.l.relay))
	if err == nil {
		session.ClientChain = s.l.shown
	}
	return session, err
}

// dial connects a speaker, as a service if the step says so. There is no connection if it was refused, as expected.
func (k *talk) dial(a args, o client.Options) (*client.Conn, error) {
	role := a.options["service"]
	if role == "" {
		return k.relay.TryDial(o)
	}
	cert, err := k.cert(a, a.options["cert"])
	if err != nil {
		return nil, err
	}
	o.Service = &client.Service{Role: smp.ServiceRole(role[0]), Chain: cert.Chain, Leaf: cert.Leaf}
	shown := cert.Chain
	switch name, ok := a.options["shown"]; {
	case name == "none":
		shown = [][]byte{}
	case ok:
		other, err := k.cert(a, name)
		if err != nil {
			return nil, err
		}
		shown = other.Chain
	}
	conn, err := k.relay.DialService(k.t, o, shown)
	want, expected := a.options["refused"]
	if !expected {
		return conn, err
	}
	var refusal *client.ServiceError
	if !errors.As(err, &refusal) || string(refusal.Refusal) != want {
		return nil, fmt.Errorf("not refused like that: %v", err)
	}
	return nil, nil
}

// cert returns the certificates of this name, made up if it is new.
func (k *talk) cert(a args, name string) (*client.Service, error) {
	if made := k.certs[name]; made != nil {
		return made, nil
	}
	length, err := a.number("length", 1)
	if err != nil {
		return nil, err
	}
	alg := key.Ed25519
	if strings.HasPrefix(name, "ed448:") {
		alg = key.Ed448
	}
	made := NewService(k.t, smp.RoleNotifier, alg, length)
	k.certs[name] = made
	return made, nil
}

// asService addresses NSUBS and SUBS to the service that the speaker is, unless they name a queue.
func (sp *speaker) asService(a args, r *request) {
	if (r.tag == "NSUBS" || r.tag == "SUBS") && (a.word(1) == "" || a.word(1) == "service") {
		r.key, r.entity = sp.conn.ServiceKey(), sp.conn.ServiceID()
	}
}

// signForService makes the service signature where one belongs, and what the command's own key has to sign then.
func (sp *speaker) signForService(a args, r *request, authorized []byte) (signature, signed []byte, err error) {
	if sp.conn.ServiceID() == nil || a.options["service"] == "none" {
		return nil, authorized, nil
	}
	switch r.tag {
	case "NEW", "SUB", "NSUB":
		return sp.conn.SignForService(r.corrID, authorized)
	}
	return nil, authorized, nil
}

// expectedSOK is SOK with the service's id, if the line says so.
func (k *talk) expectedSOK(a args) smp.SOK {
	if a.flag(1, "service") {
		return smp.SOK{ServiceID: k.service}
	}
	return smp.SOK{}
}

// expectedCount is SOKS or ENDS.
func expectedCount(a args) (smp.Response, error) {
	n, err := strconv.ParseInt(a.word(1), 10, 64)
	if a.word(0) == "ENDS" {
		return smp.ENDS{Count: n}, err
	}
	return smp.SOKS{Count: n}, err
}
