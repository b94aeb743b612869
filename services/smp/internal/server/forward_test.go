package server_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"slices"
	"testing"

	"sotto/services/smp/internal/client"
	"sotto/services/smp/internal/smptest"
	"sotto/shared/auth"
	"sotto/shared/box"
	"sotto/shared/key"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

// proxying is a connection that forwards commands, as a proxy does.
type proxying struct {
	*peer
	inner  client.Inner
	secret [box.KeySize]byte
}

func dialProxy(t *testing.T, r *smptest.Relay, v wire.Version) *proxying {
	t.Helper()
	p := &proxying{peer: dial(t, r, client.Options{ProxyServer: true})}
	p.inner = client.Inner{SessionID: p.conn.SessionID(), Key: p.conn.Relay().Key, Version: v}
	var err error
	if p.secret, err = p.conn.SharedSecret(); err != nil {
		t.Fatal(err)
	}
	return p
}

// wrap makes RFWD of a sealed command.
func (p *proxying) wrap(f *client.Forwarded) *client.Request {
	corrID := make([]byte, 24)
	_, _ = rand.Read(corrID)
	plain := smp.ForwardTransmission{
		CorrID: f.CorrID, Version: f.Command.Version, Key: f.Command.Key, Encrypted: f.Command.Encrypted,
	}.AppendTo(nil)
	return p.envelope(corrID, plain)
}

func (p *proxying) envelope(corrID, plain []byte) *client.Request {
	nonce := box.NonceFrom(corrID)
	return &client.Request{Command: smp.RFWD{Encrypted: box.Seal(nil, plain, &nonce, &p.secret)}, CorrID: corrID}
}

// open returns the answer inside RRES, as text.
func (p *proxying) open(r *client.Request, f *client.Forwarded, response smp.Response) wire.Transmission {
	p.t.Helper()
	answer, ok := response.(smp.RRES)
	if !ok {
		p.t.Fatalf("answer %s, want RRES", responseText(response))
	}
	nonce := box.Reverse(box.NonceFrom(r.CorrID))
	plain, ok := box.Open(nil, answer.Encrypted, &nonce, &p.secret)
	if !ok {
		p.t.Fatal("RRES does not open")
	}
	inside, err := smp.ParseForwardResponse(plain)
	if err != nil || !bytes.Equal(inside.CorrID, f.CorrID) {
		p.t.Fatalf("RRES is for another command: %v", err)
	}
	tr, err := f.Open(inside.Encrypted)
	if err != nil {
		p.t.Fatalf("answer inside: %v", err)
	}
	return tr
}

// forwards forwards a command and returns the answer inside.
func (p *proxying) forwards(r client.Request) wire.Transmission {
	p.t.Helper()
	f, err := p.inner.Seal(r)
	if err != nil {
		p.t.Fatal(err)
	}
	rfwd := p.wrap(f)
	return p.open(rfwd, f, p.ask(rfwd))
}

func (p *proxying) wants(text string, r client.Request) {
	p.t.Helper()
	tr := p.forwards(r)
	if got := insideText(p.t, p.inner.Version, tr); got != text {
		p.t.Fatalf("answer inside %s, want %s", got, text)
	}
}

func insideText(t testing.TB, v wire.Version, tr wire.Transmission) string {
	t.Helper()
	response, err := smp.ParseResponse(v, tr.Command)
	if err != nil {
		t.Fatal(err)
	}
	return responseText(response)
}

// TestForwardedCommands: senders' commands that a proxy forwards are checked and done like those of a connection, and no
// others are. The versions that they are written in do not matter. Spec: smp.md 11.5
func TestForwardedCommands(t *testing.T) {
	r := smptest.Start(t, smptest.Options{})
	alice := dial(t, r, client.Options{})
	for _, v := range []wire.Version{6, 7, 8, 11, 15, 16, 17, 18, 19} {
		for _, k := range []auth.Key{auth.NewEd25519(), auth.NewEd448(), auth.NewX25519()} {
			t.Run(fmt.Sprint(v, k.Public().Algorithm()), func(t *testing.T) {
				alice.t = t
				p := dialProxy(t, r, v)
				q := alice.newPlainQueue(true)
				send := func(k auth.Key, body string) client.Request {
					return client.Request{Command: smp.SEND{Body: []byte(body)}, Entity: q.sender, Key: k}
				}
				p.wants("ERR AUTH", send(k, "too early"))
				p.wants("OK", send(auth.Key{}, "unsecured"))
				alice.wantMessage(q, "unsecured")
				p.wants("OK", client.Request{Command: smp.SKEY{SenderKey: k.Public()}, Entity: q.sender, Key: k})
				p.wants("OK", send(k, "secured"))
				alice.wantMessage(q, "secured")
				p.wants("ERR AUTH", send(auth.Key{}, "unsigned"))
				p.wants("ERR AUTH", send(auth.NewEd25519(), "by another"))
				p.wants("ERR AUTH", client.Request{Command: smp.LGET{}, Entity: q.sender})
				p.wants("ERR CMD PROHIBITED", client.Request{Command: smp.SUB{}, Entity: q.recipient, Key: q.key})
				p.wants("ERR CMD PROHIBITED", client.Request{Command: smp.PING{}})
				p.wants("ERR CMD NO_AUTH", client.Request{Command: smp.SUB{}, Entity: q.recipient})
				p.wants("ERR CMD UNKNOWN", client.Request{Encoded: []byte("HELLO")})
				p.wants("ERR CMD SYNTAX", client.Request{Encoded: []byte("SEND"), Entity: q.sender})
				if v >= 16 {
					signed := send(k, "by a service")
					signed.ServiceSignature = make([]byte, 64)
					p.wants("ERR SERVICE", signed)
				}
				alice.want("OK", q.own(smp.DEL{}))
				p.wants("ERR AUTH", send(k, "deleted"))
			})
		}
	}
}

// wantMessage expects a message, and acknowledges it.
func (p *peer) wantMessage(q *testQueue, text string) {
	p.t.Helper()
	tr, err := p.next()
	if err != nil {
		p.t.Fatal(err)
	}
	m, err := smp.ParseResponse(p.conn.Version(), tr.Command)
	msg, ok := m.(smp.MSG)
	if err != nil || !ok {
		p.t.Fatalf("%s arrived instead of a message: %v", m.Tag(), err)
	}
	received, err := q.open(msg)
	if err != nil || string(received.Body) != text {
		p.t.Fatalf("message %q, want %q: %v", received.Body, text, err)
	}
	p.want("OK", q.own(smp.ACK{MessageID: slices.Clone(msg.MessageID)}))
}

// TestForwardLayers: what is wrong with a layer is told to the proxy, what is wrong inside to the sender. Spec: smp.md 11.5
func TestForwardLayers(t *testing.T) {
	r := smptest.Start(t, smptest.Options{})
	p := dialProxy(t, r, 17)
	f, err := p.inner.Seal(client.Request{Command: smp.SEND{}, Entity: make([]byte, 24)})
	if err != nil {
		t.Fatal(err)
	}
	spoiled := p.wrap(f)
	altered := bytes.Clone(spoiled.Command.(smp.RFWD).Encrypted)
	altered[100] ^= 1
	spoiled.Command = smp.RFWD{Encrypted: altered}
	p.want("ERR CRYPTO", spoiled)
	p.want("ERR CRYPTO", &client.Request{Command: smp.RFWD{}})
	p.want("ERR CMD SYNTAX", p.envelope(make([]byte, 24), []byte("\xffnothing like it")))
	p.want("ERR CMD SYNTAX", p.envelope(make([]byte, 24), nil))
	inner := *f
	inner.Command.Encrypted = bytes.Clone(f.Command.Encrypted)
	inner.Command.Encrypted[0] ^= 1
	p.want("ERR CRYPTO", p.wrap(&inner))
	inner.Command.Encrypted = nil
	p.want("ERR CRYPTO", p.wrap(&inner))
	inner = *f
	if inner.Command.Key, err = key.New(key.X25519, make([]byte, 32)); err != nil {
		t.Fatal(err)
	}
	p.want("ERR CRYPTO", p.wrap(&inner))

	payloads := map[string]string{ // of the batch inside
		"":                             "inside ERR BLOCK",
		"\x00":                         "inside ERR BLOCK",
		"\x01\x00\x05abc":              "inside ERR BLOCK",
		"\x01\x00\x00":                 "inside ERR BLOCK",
		"\x01\x00\x07\x00\x00\x00PING": "inside ERR CMD PROHIBITED",
		"\x02\x00\x07\x00\x00\x00PING\x00\x07\x00\x00\x00PING": "ERR BLOCK",
	}
	for payload, want := range payloads {
		f, err := p.inner.SealPayload([]byte("0123456789abcdef01234567"), nil, []byte(payload))
		if err != nil {
			t.Fatal(err)
		}
		rfwd := p.wrap(f)
		response := p.ask(rfwd)
		got := responseText(response)
		if response.Tag() == "RRES" {
			got = "inside " + insideText(t, 17, p.open(rfwd, f, response))
		}
		if got != want {
			t.Errorf("payload %q: %s, want %s", payload, got, want)
		}
	}
	keyless := dial(t, r, client.Options{NoKey: true})
	keyless.want("ERR PROXY BROKER TRANSPORT NO_AUTH", &client.Request{Command: smp.RFWD{Encrypted: make([]byte, 100)}})
	old := dial(t, r, smptest.At(6))
	old.want("ERR PROXY BROKER TRANSPORT NO_AUTH", &client.Request{Command: smp.RFWD{Encrypted: make([]byte, 100)}})
}

// TestForwardedInOrder: commands that are forwarded at once run together, and those to one queue in the order in which
// they came; others on the connection wait for them.
func TestForwardedInOrder(t *testing.T) {
	r := smptest.Start(t, smptest.Options{})
	alice := dial(t, r, client.Options{})
	q := alice.newPlainQueue(false)
	p := dialProxy(t, r, 17)
	const count = 100
	go func() {
		for i := range count {
			f, err := p.inner.Seal(client.Request{Command: smp.SEND{Body: []byte{byte(i)}}, Entity: q.sender})
			if err != nil {
				t.Error(err)
				return
			}
			if err := p.conn.Send(p.wrap(f)); err != nil {
				t.Error(err)
				return
			}
		}
		if err := p.conn.Send(ping()); err != nil {
			t.Error(err)
		}
	}()
	for range count {
		tr, err := p.next()
		if err != nil || !bytes.HasPrefix(tr.Command, []byte("RRES ")) {
			t.Fatalf("%q arrived instead of RRES: %v", tr.Command[:min(len(tr.Command), 4)], err)
		}
	}
	if tr, err := p.next(); err != nil || string(tr.Command) != "PONG" {
		t.Fatalf("the answer to PING did not come last: %v", err)
	}
	for i := range count {
		m, ok := alice.ask(q.own(smp.GET{})).(smp.MSG)
		if !ok {
			t.Fatalf("message %d is missing", i)
		}
		received, err := q.open(m)
		if err != nil || !bytes.Equal(received.Body, []byte{byte(i)}) {
			t.Fatalf("message %d: %v %v", i, received.Body, err)
		}
		alice.want("OK", q.own(smp.ACK{MessageID: slices.Clone(m.MessageID)}))
	}
}
