package proxy

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sotto/shared/auth"
	"sotto/shared/identity"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

func TestForward(t *testing.T) {
	f := new(fake).start(t)
	r := newRelays(t, Options{})
	s := f.connect(t, r)
	k := s.Key()
	if want := (wire.VersionRange{Min: 8, Max: 17}); k.Versions != want {
		t.Errorf("versions %v, want %v", k.Versions, want)
	}
	p := <-f.peers
	if !bytes.Equal(k.SessionID, p.conn.State().ClientFinished) || r.Session(k.SessionID) != s || r.Session([]byte("another")) != nil {
		t.Error("the session is not found by its id")
	}
	leaf, err := identity.VerifyChain(k.Chain, testIdentity().Fingerprint(), time.Now())
	if err != nil || !reflect.DeepEqual(k.Chain, testIdentity().Chain) {
		t.Errorf("the chain is not that of the relay: %v", err)
	}
	if public, err := auth.VerifySignedKey(leaf, k.SignedKey); err != nil || !bytes.Equal(public.Raw(), p.private.PublicKey().Bytes()) {
		t.Errorf("the signed key is not that of the relay: %v", err)
	}
	if p.hello.Version != 18 || !p.hello.ProxyServer || p.hello.Service != nil {
		t.Errorf("hello of version %d, proxy %v", p.hello.Version, p.hello.ProxyServer)
	}
	for range 3 {
		forward(t, s)
	}
	stats := r.Stats()
	if stats.Sessions != 1 || stats.Connects[0][OutcomeOK] != 1 || stats.Forwards[0][OutcomeOK] != 3 {
		t.Errorf("counted %+v", stats)
	}
}

// TestVersions connects to relays of other versions.
func TestVersions(t *testing.T) {
	for name, c := range map[string]struct {
		relay, own, want wire.VersionRange
		agreed           wire.Version
		flag             bool
		err              smp.Error
	}{
		"newest":       {relay: wire.VersionRange{Min: 6, Max: 18}, agreed: 18, flag: true, want: wire.VersionRange{Min: 8, Max: 17}},
		"to come":      {relay: wire.VersionRange{Min: 9, Max: 25}, agreed: 18, flag: true, want: wire.VersionRange{Min: 9, Max: 17}},
		"flag":         {relay: wire.VersionRange{Min: 6, Max: 14}, agreed: 14, flag: true, want: wire.VersionRange{Min: 8, Max: 14}},
		"no flag":      {relay: wire.VersionRange{Min: 6, Max: 12}, agreed: 10, want: wire.VersionRange{Min: 8, Max: 10}},
		"oldest":       {relay: wire.VersionRange{Min: 6, Max: 8}, agreed: 8, want: wire.VersionRange{Min: 8, Max: 8}},
		"own bound":    {relay: wire.VersionRange{Min: 6, Max: 18}, own: wire.VersionRange{Min: 6, Max: 15}, agreed: 15, flag: true, want: wire.VersionRange{Min: 8, Max: 15}},
		"no proxying":  {relay: wire.VersionRange{Min: 6, Max: 7}, err: smp.BrokerTransport{Err: smp.TransportVersion}},
		"no keys":      {relay: wire.VersionRange{Min: 6, Max: 6}, err: smp.BrokerTransport{Err: smp.TransportVersion}},
		"none agreed":  {relay: wire.VersionRange{Min: 19, Max: 20}, err: smp.BrokerTransport{Err: smp.TransportVersion}},
		"only newest":  {relay: wire.VersionRange{Min: 18, Max: 18}, err: smp.BrokerTransport{Err: smp.TransportVersion}},
		"only between": {relay: wire.VersionRange{Min: 11, Max: 13}, err: smp.BrokerTransport{Err: smp.TransportVersion}},
		"upside down":  {relay: wire.VersionRange{Min: 18, Max: 6}, err: smp.BrokerTransport{Err: smp.HandshakeParse}},
	} {
		t.Run(name, func(t *testing.T) {
			f := (&fake{versions: c.relay}).start(t)
			s, err := newRelays(t, Options{Versions: c.own}).Connect(testContext(t), f.server())
			if err != c.err {
				t.Fatalf("%v, want %v", err, c.err)
			}
			if err != nil {
				return
			}
			p := <-f.peers
			if s.Key().Versions != c.want || p.hello.Version != c.agreed || p.hello.ProxyServer != c.flag {
				t.Errorf("version %d, flag %v, for commands %v", p.hello.Version, p.hello.ProxyServer, s.Key().Versions)
			}
			forward(t, s)
		})
	}
}

// TestConnectOnce has many ask for one relay at once.
func TestConnectOnce(t *testing.T) {
	f := new(fake).start(t)
	r := newRelays(t, Options{})
	const callers = 100
	got := make([]*Session, callers)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() { got[i] = f.connect(t, r) })
	}
	wg.Wait()
	for _, s := range got {
		if s == nil || s != got[0] {
			t.Fatal("not one session for all")
		}
	}
	if f.accepted.Load() != 1 {
		t.Errorf("%d connections", f.accepted.Load())
	}
	for range callers {
		wg.Go(func() { forward(t, got[0]) })
	}
	wg.Wait()
	if n := r.Stats().Forwards[0][OutcomeOK]; n != callers {
		t.Errorf("%d commands forwarded", n)
	}
}

// TestAnotherAddress gives the same relay by another address a session of its own.
func TestAnotherAddress(t *testing.T) {
	f := new(fake).start(t)
	r := newRelays(t, Options{})
	first := f.connect(t, r)
	other := f.server()
	other.Hosts = append(other.Hosts, "relay.example")
	second, err := r.Connect(testContext(t), other)
	if err != nil || first == second || f.accepted.Load() != 2 {
		t.Errorf("%d connections, %v", f.accepted.Load(), err)
	}
}

// clock is a time that tests set.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.offset.Load())) }
func (c *clock) advance(d time.Duration) { c.offset.Add(int64(d)) }

// TestErrorsAreRemembered asks for a relay that is broken.
func TestErrorsAreRemembered(t *testing.T) {
	broken := func(h *smp.ServerHello) { h.SessionID = bytes.Repeat([]byte{1}, 32) }
	var mend atomic.Bool
	f := (&fake{change: func(h *smp.ServerHello) {
		if !mend.Load() {
			broken(h)
		}
	}}).start(t)
	var c clock
	r := newRelays(t, Options{Now: c.now, ErrorTTL: time.Hour})
	for range 5 {
		if _, err := r.Connect(testContext(t), f.server()); err != (smp.BrokerTransport{Err: smp.TransportSession}) {
			t.Fatalf("%v", err)
		}
	}
	if f.accepted.Load() != 1 {
		t.Errorf("%d connections while the error was remembered", f.accepted.Load())
	}
	mend.Store(true)
	c.advance(2 * time.Hour)
	forward(t, f.connect(t, r))
	if len(r.failed) != 0 {
		t.Error("the error is still kept")
	}
}

// TestErrorsAreBounded fails for more relays than are remembered.
func TestErrorsAreBounded(t *testing.T) {
	r := newRelays(t, Options{ErrorTTL: time.Hour})
	server := smp.Server{Hosts: []smp.Host{"127.0.0.1"}} // no fingerprint: fails before anything is sent
	for i := range maxErrors + 100 {
		server.Fingerprint = []byte{byte(i >> 8), byte(i)}
		if _, err := r.Connect(testContext(t), server); err != smp.BrokerNetwork {
			t.Fatal(err)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.failed) != maxErrors || len(r.known) != maxErrors {
		t.Errorf("%d errors remembered, %d relays known", len(r.failed), len(r.known))
	}
}

// TestSessionLost has the relay hang up.
func TestSessionLost(t *testing.T) {
	f := new(fake).start(t)
	r := newRelays(t, Options{})
	s := f.connect(t, r)
	f.hangUp()
	eventually(t, "the end of the session", func() bool { return r.Session(s.Key().SessionID) == nil })
	if err := failed(t, s); err != smp.ProxyNoSession {
		t.Errorf("%v", err)
	}
	second := f.connect(t, r)
	if second == s {
		t.Fatal("the lost session was given again")
	}
	forward(t, second)
}

// TestIdle closes a session that nobody uses.
func TestIdle(t *testing.T) {
	f := new(fake).start(t)
	r := newRelays(t, Options{IdleTimeout: 50 * time.Millisecond})
	s := f.connect(t, r)
	eventually(t, "the end of the idle session", func() bool { return r.Session(s.Key().SessionID) == nil && f.left.Load() == 1 })
	forward(t, f.connect(t, newRelays(t, Options{})))
}

// TestSessionsAreBounded connects to one more relay than may be.
func TestSessionsAreBounded(t *testing.T) {
	const most = 3
	r := newRelays(t, Options{MaxSessions: most})
	var sessions []*Session
	for range most {
		sessions = append(sessions, new(fake).start(t).connect(t, r))
	}
	sessions[0].touch()
	sessions[2].touch()
	new(fake).start(t).connect(t, r)
	if r.Session(sessions[1].id) != nil || r.Session(sessions[0].id) == nil || r.Session(sessions[2].id) == nil {
		t.Error("it was not the one used longest ago that made room")
	}
	if s := r.Stats(); s.Sessions != most || s.Evicted != 1 {
		t.Errorf("%+v", s)
	}
}

// TestSessionsOfOneHost has one relay go by more names than a host may have sessions, beside one that must not notice.
func TestSessionsOfOneHost(t *testing.T) {
	r := newRelays(t, Options{})
	other := new(fake).start(t).connect(t, r)
	r.mu.Lock()
	other.place = "elsewhere"
	r.mu.Unlock()
	f := new(fake).start(t)
	for i := range maxPerPlace + 5 {
		server := f.server()
		server.Hosts = append(server.Hosts, smp.Host(fmt.Sprintf("name%d.example", i)))
		if _, err := r.Connect(testContext(t), server); err != nil {
			t.Fatal(err)
		}
	}
	if s := r.Stats(); s.Sessions != maxPerPlace+1 || s.Evicted != 5 || r.Session(other.id) != other {
		t.Errorf("%d sessions, %d ended for others", s.Sessions, s.Evicted)
	}
}

func TestPlaces(t *testing.T) {
	for _, c := range []struct {
		to     destination
		remote string
		want   string
	}{
		{destination{host: "relay.example"}, "192.0.2.1:5223", "192.0.2.1/32"},
		{destination{host: "relay.example"}, "[::ffff:192.0.2.1]:443", "192.0.2.1/32"},
		{destination{host: "relay.example"}, "[2001:db8::5]:443", "2001:db8::/64"},
		{destination{host: "fe80::1"}, "[fe80::1%lo]:443", "fe80::/64"},
		{destination{host: "relay.example", socks: true}, "127.0.0.1:9050", "relay.example"},
	} {
		if got := c.to.place(net.TCPAddrFromAddrPort(netip.MustParseAddrPort(c.remote))); got != c.want {
			t.Errorf("%s: %s", c.remote, got)
		}
	}
}

// TestAllSessionsBusy connects while all sessions are in use.
func TestAllSessionsBusy(t *testing.T) {
	held := make(chan func(), 1)
	busy := (&fake{answer: func(p *peer, r relayed) { held <- func() { p.reply(r, p.echo(r)) } }}).start(t)
	r := newRelays(t, Options{MaxSessions: 1})
	s := busy.connect(t, r)
	var wg sync.WaitGroup
	wg.Go(func() { forward(t, s) })
	release := <-held
	other := new(fake).start(t)
	if _, err := r.Connect(testContext(t), other.server()); err != smp.BrokerTimeout {
		t.Errorf("%v", err)
	}
	release()
	wg.Wait()
	forward(t, other.connect(t, r)) // the shortage was not remembered as a failure of the relay
	if stats := r.Stats(); stats.Full != 1 || stats.Evicted != 1 {
		t.Errorf("%+v", stats)
	}
}

// TestAttemptsAreBounded asks for more relays that never answer than may be connected to at a time.
func TestAttemptsAreBounded(t *testing.T) {
	stall := (&fake{onRaw: func(c net.Conn) { _, _ = c.Read(make([]byte, 1<<16)); _, _ = c.Read(make([]byte, 1)) }}).start(t)
	r := newRelays(t, Options{})
	ctx := testContext(t)
	var timeouts atomic.Int32
	var wg sync.WaitGroup
	stop, cancel := context.WithCancel(ctx)
	for i := range maxAttempts + 5 {
		server := stall.server()
		server.Fingerprint[0], server.Fingerprint[1] = byte(i>>8), byte(i)
		wg.Go(func() {
			if _, err := r.Connect(stop, server); err == smp.BrokerTimeout {
				timeouts.Add(1)
			}
		})
	}
	eventually(t, "the end of those too many", func() bool { return timeouts.Load() >= 5 })
	forward(t, new(fake).start(t).connect(t, r))
	r.mu.Lock()
	if len(r.running) > maxAttempts {
		t.Errorf("%d attempts", len(r.running))
	}
	r.mu.Unlock()
	cancel()
	wg.Wait()
}

// TestClose ends everything.
func TestClose(t *testing.T) {
	f := new(fake).start(t)
	r := newRelays(t, Options{})
	s := f.connect(t, r)
	r.Close()
	if err := failed(t, s); err != smp.ProxyNoSession || r.Stats().Sessions != 0 {
		t.Errorf("%v, %d sessions", err, r.Stats().Sessions)
	}
	if _, err := r.Connect(testContext(t), f.server()); err != smp.BrokerNetwork {
		t.Errorf("%v", err)
	}
}
