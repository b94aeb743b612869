package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"

	"sotto/services/smp/internal/client"
	"sotto/shared/auth"
	"sotto/shared/relay"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

// atHome lets a relay be the proxy to relays on the loopback interface, which strangers may not have it connect to.
var atHome = []string{"SMP_PROXY_ALLOW_PRIVATE=true", "SMP_PROXY_ERROR_TTL=100ms"}

// startProxy starts a relay that connects to others for its clients.
func startProxy(t *testing.T, settings ...string) *relay.Relay {
	t.Helper()
	return startRelay(t, append(atHome, settings...)...)
}

// routed is a sender that reaches a queue through another relay, and the recipient.
type routed struct {
	t         *testing.T
	ctx       context.Context
	route     *client.Route
	sender    *client.Client // of the proxy
	recipient *client.Client
	queue     *client.Queue
}

// newRouted makes a queue on the relay to, subscribed, and a route to that relay.
func newRouted(ctx context.Context, t *testing.T, through, to *relay.Relay, v wire.Version) *routed {
	t.Helper()
	upTo := client.Options{Versions: wire.VersionRange{Min: smp.MinVersion, Max: v}} // what is forwarded may be older
	r := &routed{t: t, ctx: ctx, sender: dial(t, through, upTo), recipient: dial(t, to, client.Options{})}
	var err error
	r.route, err = r.sender.Route(ctx, server(t, to))
	must(t, "PRXY", err)
	r.queue, err = r.recipient.NewQueue(ctx, client.QueueOptions{Mode: smp.ModeMessaging, Subscribe: true})
	must(t, "NEW", err)
	return r
}

// delivers sends a message, and takes it from the queue.
func (r *routed) delivers(k auth.Key, body []byte) {
	r.t.Helper()
	must(r.t, "SEND", r.route.Send(r.ctx, r.queue.SenderID, k, false, body))
	m, err := receiveMessage(r.ctx, r.recipient, r.queue)
	must(r.t, "MSG", err)
	if !bytes.Equal(m.Body, body) {
		r.t.Fatal("another message than was sent")
	}
	_, err = r.recipient.Acknowledge(r.ctx, r.queue, m.ID)
	must(r.t, "ACK", err)
}

// refusedWith expects this answer to a command.
func refusedWith(t *testing.T, want smp.Error, err error) {
	t.Helper()
	var refusal smp.Error
	if !errors.As(err, &refusal) || refusal.Error() != want.Error() {
		t.Fatalf("answer %v, want %v", err, want)
	}
}

// TestChecklist55NoProxy: who may not use the relay as a proxy is told so.
func TestChecklist55NoProxy(t *testing.T) {
	to := startRelay(t)
	off := dial(t, startProxy(t, "SMP_PROXY=false"), client.Options{})
	_, err := off.Route(bounded(t), server(t, to))
	refusedWith(t, smp.ProxyBasicAuth, err)
	locked := startProxy(t, "SMP_CREATE_PASSWORD=right")
	for password, allowed := range map[string]bool{"right": true, "wrong": false, "": false} {
		c := dial(t, locked, client.Options{BasicAuth: smp.BasicAuth(password)})
		if _, err := c.Route(bounded(t), server(t, to)); allowed {
			must(t, "PRXY", err)
		} else {
			refusedWith(t, smp.ProxyBasicAuth, err)
		}
	}
}

// TestChecklist56OneSession: all senders share the session with a relay.
func TestChecklist56OneSession(t *testing.T) {
	ctx, to, through := bounded(t), startRelay(t), startProxy(t)
	var first client.Inner
	for i, c := range []*client.Client{dial(t, through, client.Options{}), dial(t, through, client.Options{})} {
		for range 2 {
			route, err := c.Route(ctx, server(t, to))
			must(t, "PRXY", err)
			inner := route.Inner()
			if i == 0 {
				first = inner
			}
			if !bytes.Equal(inner.SessionID, first.SessionID) || inner.Version != first.Version ||
				!bytes.Equal(inner.Key.Raw(), first.Key.Raw()) {
				t.Fatal("another session for the same relay")
			}
			if inner.Version != smp.MaxProxiedVersion {
				t.Errorf("version %d of forwarded commands, want %d", inner.Version, smp.MaxProxiedVersion)
			}
		}
	}
}

// TestChecklist57Forwarded: messages pass a proxy, with keys of every algorithm and in several versions.
func TestChecklist57Forwarded(t *testing.T) {
	ctx, to, through := bounded(t), startRelay(t), startProxy(t)
	for _, v := range []wire.Version{smp.VersionProxy, smp.VersionBlockEncryption, smp.MaxVersion} {
		for _, k := range []auth.Key{auth.NewEd448(), auth.NewEd25519(), auth.NewX25519()} {
			t.Run(fmt.Sprint(v, k.Public().Algorithm()), func(t *testing.T) {
				r := newRouted(ctx, t, through, to, v)
				r.delivers(noKey, []byte("unsigned"))
				must(t, "KEY", r.recipient.Secure(ctx, r.queue, k.Public()))
				r.delivers(k, bytes.Repeat([]byte{7}, smp.MaxBody(smp.MaxVersion))) // what fits in all
				refusedWith(t, smp.ErrAuth, r.route.Send(ctx, r.queue.SenderID, noKey, false, []byte("unsigned")))
				if v < smp.VersionSenderSecure {
					return
				}
				r = newRouted(ctx, t, through, to, v)
				must(t, "SKEY", r.route.SecureBySender(ctx, r.queue.SenderID, k))
				r.delivers(k, []byte("secured by the sender"))
			})
		}
	}
	c := dial(t, through, client.Options{})
	_, err := c.Do(ctx, client.Request{
		Command: smp.PFWD{Version: 17, Key: auth.NewX25519().Public(), Encrypted: make([]byte, smp.EncryptedForwardSize)},
		Entity:  randomID(),
	})
	refusedWith(t, smp.ProxyNoSession, err)
}

// TestChecklist58OwnProxy: a relay is the proxy to itself.
func TestChecklist58OwnProxy(t *testing.T) {
	ctx, both := bounded(t), startProxy(t)
	r := newRouted(ctx, t, both, both, smp.MaxVersion)
	k := auth.NewEd25519()
	must(t, "SKEY", r.route.SecureBySender(ctx, r.queue.SenderID, k))
	for i := range 10 {
		r.delivers(k, []byte{byte(i)})
	}
}

// TestChecklist59Many sends a thousand messages in sequence, and as many on several connections at once.
func TestChecklist59Many(t *testing.T) {
	ctx, to, through := bounded(t), startRelay(t), startProxy(t)
	for _, c := range []struct{ connections, each int }{{1, 1000}, {5, 200}, {10, 100}} {
		t.Run(fmt.Sprintf("%d connections", c.connections), func(t *testing.T) {
			all := make([]*routed, c.connections)
			for i := range all {
				all[i] = newRouted(ctx, t, through, to, smp.MaxVersion)
			}
			failed := make(chan error, len(all))
			var wg sync.WaitGroup
			for _, r := range all {
				wg.Go(func() { failed <- r.exchange(c.each) })
			}
			wg.Wait()
			close(failed)
			for err := range failed {
				must(t, "exchange", err)
			}
		})
	}
}

// exchange sends numbered messages, each when the one before has arrived.
func (r *routed) exchange(n int) error {
	for i := range n {
		body := fmt.Append(nil, i)
		if err := r.route.Send(r.ctx, r.queue.SenderID, noKey, false, body); err != nil {
			return fmt.Errorf("SEND %d: %w", i, err)
		}
		m, err := receiveMessage(r.ctx, r.recipient, r.queue)
		if err != nil {
			return fmt.Errorf("MSG %d: %w", i, err)
		}
		if !bytes.Equal(m.Body, body) {
			return fmt.Errorf("message %d is another", i)
		}
		if _, err := r.recipient.Acknowledge(r.ctx, r.queue, m.ID); err != nil {
			return fmt.Errorf("ACK %d: %w", i, err)
		}
	}
	return nil
}

// dead is the address of a relay that is not there, nor on any other day: the port is held by nobody who listens.
func dead(t *testing.T, like smp.Server) smp.Server {
	t.Helper()
	like.Port = freePort(t)
	return like
}

// TestChecklist60DeadAddress asks a thousand times for a relay that is not there. Each time there is an answer, the
// connection still serves, and the address is not in the log.
func TestChecklist60DeadAddress(t *testing.T) {
	ctx, to := bounded(t), startRelay(t)
	through := startProxy(t, "SMP_PROXY_RATE=0", "SMP_PROXY_ERROR_TTL=1ms")
	gone := dead(t, server(t, to))
	gone.Hosts = []smp.Host{"127.45.46.47"}
	w := relay.NewWitness()
	w.Saw("a destination", []byte("127.45.46.47"))
	w.SawPort(gone.Port)
	r := newRouted(ctx, t, through, to, smp.MaxVersion)
	requests := make([]client.Request, 1000)
	for i := range requests {
		requests[i] = client.Request{Command: smp.PRXY{Server: gone}}
	}
	replies, err := r.sender.DoAll(ctx, requests)
	must(t, "PRXY", err)
	for i := range replies {
		refusedWith(t, smp.BrokerNetwork, replies[i].Err)
	}
	r.delivers(noKey, []byte("still there"))
	w.Check(t, through)
}

// TestChecklist61OldRelay: to a relay that knows no proxies the sender has to go by itself, and is told so.
func TestChecklist61OldRelay(t *testing.T) {
	old := startRelay(t, "SMP_MAX_VERSION=7")
	c := dial(t, startProxy(t), client.Options{})
	_, err := c.Route(bounded(t), server(t, old))
	refusedWith(t, smp.BrokerTransport{Err: smp.TransportVersion}, err)
}

// TestChecklist62Restarts: after either relay was killed, senders come back with another PRXY.
func TestChecklist62Restarts(t *testing.T) {
	ctx, to, through := bounded(t), startRelay(t), startProxy(t)
	r := newRouted(ctx, t, through, to, smp.MaxVersion)
	r.delivers(noKey, []byte("before"))

	must(t, "kill", to.Kill())
	start(t, to)
	err := r.route.Send(ctx, r.queue.SenderID, noKey, false, []byte("lost"))
	if !errors.Is(err, smp.ProxyNoSession) && !errors.Is(err, smp.BrokerNetwork) {
		t.Fatalf("answer %v for a session that is gone", err)
	}
	r.recover(through, to)
	r.delivers(noKey, []byte("the relay is back"))

	must(t, "kill", through.Kill())
	start(t, through)
	r.recover(through, to)
	r.delivers(noKey, []byte("the proxy is back"))
}

// recover connects anew, as apps do.
func (r *routed) recover(through, to *relay.Relay) {
	r.t.Helper()
	r.sender, r.recipient = dial(r.t, through, client.Options{}), dial(r.t, to, client.Options{})
	must(r.t, "SUB", r.recipient.Subscribe(r.ctx, r.queue))
	eventually(r.t, answerTime, "a session", func() (ok bool) {
		route, err := r.sender.Route(r.ctx, server(r.t, to))
		r.route = route
		return err == nil
	})
}

// TestPrivateDestinations: strangers may not have a relay with its usual settings connect to its own network, by address
// or by name, and nothing is connected to.
func TestPrivateDestinations(t *testing.T) {
	knocked := make(chan struct{}, 1)
	at := listenAndDo(t, func(c net.Conn) {
		_ = c.Close()
		select {
		case knocked <- struct{}{}:
		default:
		}
	})
	r := startRelay(t)
	c, address := dial(t, r, client.Options{}), server(t, r)
	_, address.Port, _ = net.SplitHostPort(at)
	for _, host := range []smp.Host{
		"127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0.0.0.0", "::1", "::ffff:7f00:1",
		"169.254.169.254", "10.0.0.1", "abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrstuvwx.onion",
	} {
		address.Hosts = []smp.Host{host}
		_, err := c.Route(bounded(t), address)
		refusedWith(t, smp.BrokerHost, err)
	}
	must(t, "PING", c.Ping(bounded(t)))
	select {
	case <-knocked:
		t.Error("the relay has connected to its own machine")
	default:
	}
}
