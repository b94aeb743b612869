package proxy

import (
	"bytes"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"sotto/shared/box"
	"sotto/shared/smp"
	"sotto/shared/transport"
	"sotto/shared/wire"
)

// TestHostileHandshakes connects to what is no relay, or a bad one, beside a good one that must not notice.
func TestHostileHandshakes(t *testing.T) {
	silent := func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }
	for name, c := range map[string]struct {
		fake *fake
		want smp.Error
	}{
		"says nothing":          {&fake{onRaw: silent}, smp.BrokerTimeout},
		"closes":                {&fake{onRaw: func(net.Conn) {}}, smp.BrokerNetwork},
		"no TLS":                {&fake{onRaw: func(c net.Conn) { _, _ = io.WriteString(c, "220 mail.example ESMTP\r\n"); silent(c) }}, smp.BrokerNetwork},
		"endless records":       {&fake{onRaw: endless}, smp.BrokerNetwork},
		"no hello":              {&fake{onTLS: func(p *peer) { silent(p.conn) }}, smp.BrokerTimeout},
		"closes instead":        {&fake{onTLS: func(*peer) {}}, smp.BrokerNetwork},
		"half a hello":          {&fake{onTLS: func(p *peer) { _, _ = p.conn.Write(make([]byte, 100)) }}, smp.BrokerNetwork},
		"one byte at a time":    {&fake{onTLS: drip}, smp.BrokerTimeout},
		"hello without padding": {&fake{onTLS: raw(bytes.Repeat([]byte{0xff}, wire.BlockSize))}, smp.BrokerTransport{Err: smp.TransportBlock}},
		"empty hello":           {&fake{onTLS: raw(make([]byte, wire.BlockSize))}, smp.BrokerTransport{Err: smp.HandshakeParse}},
		"another session": {
			&fake{change: func(h *smp.ServerHello) { h.SessionID = make([]byte, 32) }},
			smp.BrokerTransport{Err: smp.TransportSession},
		},
		"short session": {
			&fake{change: func(h *smp.ServerHello) { h.SessionID = h.SessionID[:31] }},
			smp.BrokerTransport{Err: smp.TransportSession},
		},
		"another chain": {
			&fake{change: func(h *smp.ServerHello) { h.Chain = [][]byte{h.Chain[0], h.Chain[0]} }},
			smp.BrokerTransport{Err: smp.HandshakeIdentity},
		},
		"short chain": {
			&fake{change: func(h *smp.ServerHello) { h.Chain = h.Chain[:1] }}, smp.BrokerTransport{Err: smp.HandshakeIdentity},
		},
		"no key": {
			&fake{change: func(h *smp.ServerHello) { h.SignedKey = nil }}, smp.BrokerTransport{Err: smp.TransportNoAuth},
		},
		"wrong signature": {
			&fake{change: func(h *smp.ServerHello) { h.SignedKey[len(h.SignedKey)-1] ^= 1 }},
			smp.BrokerTransport{Err: smp.HandshakeBadAuth},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRelays(t, Options{ConnectTimeout: connectTimeout(c.want)})
			good := new(fake).start(t).connect(t, newRelays(t, Options{}))
			c.fake.start(t)
			if _, err := r.Connect(testContext(t), c.fake.server()); err != c.want {
				t.Errorf("%v, want %v", err, c.want)
			}
			eventually(t, "the end of the connection", func() bool { return c.fake.left.Load() == c.fake.accepted.Load() })
			forward(t, good)
			if s := r.Stats(); s.Sessions != 0 {
				t.Errorf("%d sessions", s.Sessions)
			}
		})
	}
}

// connectTimeout is long unless it is what the test waits for.
func connectTimeout(want smp.Error) time.Duration {
	if want == smp.BrokerTimeout {
		return 300 * time.Millisecond
	}
	return patience
}

// endless sends records of a handshake that does not end.
func endless(c net.Conn) {
	record := append([]byte{22, 3, 3, 0x40, 0}, make([]byte, 0x4000)...)
	copy(record[5:], []byte{2, 0xff, 0xff, 0xff})
	for {
		if _, err := c.Write(record); err != nil {
			return
		}
	}
}

// drip sends a hello slowly.
func drip(p *peer) {
	for {
		if _, err := p.conn.Write([]byte{0}); err != nil {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// raw sends bytes inside TLS.
func raw(b []byte) func(*peer) {
	return func(p *peer) {
		_, _ = p.conn.Write(b)
		_, _ = io.Copy(io.Discard, p.conn)
	}
}

// TestWrongFingerprint connects to a relay that is not the one of the address.
func TestWrongFingerprint(t *testing.T) {
	f := new(fake).start(t)
	r := newRelays(t, Options{})
	for name, change := range map[string]func([]byte) []byte{
		"another": func(b []byte) []byte { b[0] ^= 1; return b },
		"short":   func(b []byte) []byte { return b[:31] },
		"none":    func([]byte) []byte { return nil },
	} {
		server := f.server()
		server.Fingerprint = change(server.Fingerprint)
		if _, err := r.Connect(testContext(t), server); err != smp.BrokerNetwork {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAnswers maps what relays answer to what clients are told.
func TestAnswers(t *testing.T) {
	text := func(s string) func(*peer, relayed) { return func(p *peer, r relayed) { p.text(r.r[:], []byte(s)) } }
	long := strings.Repeat("x", 10_000)
	for name, c := range map[string]struct {
		answer func(*peer, relayed)
		want   smp.Error
	}{
		"AUTH":             {text("ERR AUTH"), smp.ProtocolError{Err: smp.ErrAuth}},
		"CRYPTO":           {text("ERR CRYPTO"), smp.ProtocolError{Err: smp.ErrCrypto}},
		"another's":        {text("ERR PROXY BROKER NETWORK"), smp.ProtocolError{Err: smp.BrokerNetwork}},
		"STORE":            {text("ERR STORE trouble"), smp.ProtocolError{Err: smp.StoreError("trouble")}},
		"long error":       {text("ERR STORE " + long), smp.BrokerResponse{Text: unreadable}},
		"unknown error":    {text("ERR NONE"), smp.BrokerResponse{Text: unreadable}},
		"unknown":          {text("SECRET " + long), smp.BrokerResponse{Text: unreadable}},
		"nothing":          {text(""), smp.BrokerResponse{Text: unreadable}},
		"OK":               {text("OK"), smp.BrokerUnexpected{Text: "OK"}},
		"PRES":             {text("PRES " + long), smp.BrokerUnexpected{Text: "PRES"}},
		"empty RRES":       {text("RRES "), smp.ErrCrypto},
		"garbage":          {text("RRES " + long), smp.ErrCrypto},
		"short":            {func(p *peer, r relayed) { p.reply(r, p.sealPlain(r, []byte{200, 1, 2})) }, smp.BrokerResponse{Text: unreadableInner}},
		"too long":         {func(p *peer, r relayed) { p.reply(r, p.sealPlain(r, make([]byte, smp.EncryptedForwardSize+2))) }, smp.BrokerResponse{Text: unreadableInner}},
		"nonce not turned": {func(p *peer, r relayed) { p.reply(r, smp.RRES{Encrypted: box.Seal(nil, []byte{0}, &r.r, &p.secret)}) }, smp.ErrCrypto},
	} {
		t.Run(name, func(t *testing.T) {
			answers := 0
			f := (&fake{answer: func(p *peer, r relayed) {
				if answers++; answers == 1 {
					c.answer(p, r)
				} else {
					p.reply(r, p.echo(r))
				}
			}}).start(t)
			s := f.connect(t, newRelays(t, Options{}))
			if err := failed(t, s); err != c.want {
				t.Errorf("%v, want %v", err, c.want)
			}
			forward(t, s) // the session goes on
		})
	}
}

// sealPlain is RRES with b as its whole content.
func (p *peer) sealPlain(r relayed, b []byte) smp.Response {
	reversed := box.Reverse(r.r)
	return smp.RRES{Encrypted: box.Seal(nil, b, &reversed, &p.secret)}
}

// TestHostileSessions has relays break the protocol within a session, which ends that session and nothing else.
func TestHostileSessions(t *testing.T) {
	block := func(b []byte) func(*peer, relayed) {
		return func(p *peer, _ relayed) { _, _ = p.conn.Write(b) }
	}
	payload := func(b ...byte) func(*peer, relayed) {
		return func(p *peer, _ relayed) { _ = p.blocks.WriteBlock(b) }
	}
	unasked := func(p *peer, r relayed) {
		for range 2 * maxUnasked {
			p.text(make([]byte, box.NonceSize), []byte("OK"))
		}
	}
	for name, answer := range map[string]func(*peer, relayed){
		"no padding":       block(bytes.Repeat([]byte{0xff}, wire.BlockSize)),
		"empty batch":      payload(0),
		"wrong count":      payload(2, 0, 1, 'x'),
		"no transmission":  payload(1, 0, 0),
		"half a block":     func(p *peer, _ relayed) { _, _ = p.conn.Write(make([]byte, 1000)); _ = p.conn.NetConn().Close() },
		"closes":           func(p *peer, _ relayed) { _ = p.conn.Close() },
		"nobody has asked": unasked,
		"events": func(p *peer, r relayed) {
			for range 2 * maxUnasked {
				p.text(nil, []byte("END"))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRelays(t, Options{})
			good := new(fake).start(t).connect(t, r)
			bad := (&fake{answer: answer}).start(t).connect(t, r)
			if err := failed(t, bad); err != smp.BrokerNetwork {
				t.Errorf("%v", err)
			}
			eventually(t, "the end of the session", func() bool { return r.Session(bad.id) == nil })
			forward(t, good)
		})
	}
}

// TestWrongCorrelation answers other commands than were sent, before the one that was.
func TestWrongCorrelation(t *testing.T) {
	f := (&fake{answer: func(p *peer, r relayed) {
		for _, id := range [][]byte{nil, r.r[:23], append(r.r[:], 0), bytes.Repeat([]byte{7}, 255), make([]byte, 24)} {
			p.text(id, []byte("OK"))
		}
		p.reply(r, p.echo(r))
		p.reply(r, p.echo(r)) // again
	}}).start(t)
	s := f.connect(t, newRelays(t, Options{}))
	for range 3 {
		forward(t, s)
	}
}

// TestOutOfOrder answers many commands in the reverse order, in one go.
func TestOutOfOrder(t *testing.T) {
	const commands = 20
	f := &fake{end: func(p *peer) {
		var all []relayed
		for range commands {
			r, err := p.receive()
			if err != nil {
				return
			}
			all = append(all, r)
		}
		for i := range all {
			r := all[len(all)-1-i]
			p.reply(r, p.echo(r))
		}
		_, _ = io.Copy(io.Discard, p.conn)
	}}
	s := f.start(t).connect(t, newRelays(t, Options{}))
	var wg sync.WaitGroup
	for range commands {
		wg.Go(func() { forward(t, s) })
	}
	wg.Wait()
}

// TestResponseTimeout has a relay answer each command when the next one comes, which is too late, until it is given up.
func TestResponseTimeout(t *testing.T) {
	var last *relayed
	f := (&fake{answer: func(p *peer, r relayed) {
		if last != nil {
			p.reply(*last, p.echo(*last))
		}
		last = &r
	}}).start(t)
	r := newRelays(t, Options{ResponseTimeout: 50 * time.Millisecond})
	s := f.connect(t, r)
	for range maxSilence {
		if err := failed(t, s); err != smp.BrokerTimeout {
			t.Errorf("%v", err)
		}
	}
	eventually(t, "the end of the session", func() bool {
		return r.Session(s.id) == nil || failed(t, s) == nil
	})
	if n := r.Stats().Forwards[0][OutcomeTimeout]; n < maxSilence {
		t.Errorf("%d timeouts", n)
	}
}

// TestNotReading has a relay that takes no commands, so that others wait for the one that is being sent.
func TestNotReading(t *testing.T) {
	f := (&fake{end: func(p *peer) { <-p.fake.t.Context().Done() }}).start(t)
	r := newRelays(t, Options{ResponseTimeout: 500 * time.Millisecond})
	s := f.connect(t, r)
	var wg sync.WaitGroup
	for range 2 * maxInFlight {
		wg.Go(func() {
			if err := failed(t, s); err != smp.BrokerTimeout && err != smp.BrokerNetwork && err != smp.ProxyNoSession {
				t.Errorf("%v", err)
			}
		})
	}
	wg.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) != 0 || len(s.slots) != 0 || len(s.writing) != 0 {
		t.Errorf("%d commands are kept, %d places taken", len(s.waiting), len(s.slots))
	}
}

// TestTooLong forwards what does not fit a block.
func TestTooLong(t *testing.T) {
	s := new(fake).start(t).connect(t, newRelays(t, Options{}))
	corrID, cmd := command(t, 17)
	cmd.Encrypted = make([]byte, transport.MaxPlainPayload)
	if _, err := s.Forward(testContext(t), corrID, cmd); err != (smp.BrokerTransport{Err: smp.TransportLargeMsg}) {
		t.Errorf("%v", err)
	}
	forward(t, s)
}
