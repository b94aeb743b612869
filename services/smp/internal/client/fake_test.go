package client

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"sotto/shared/box"
	"sotto/shared/identity"
	"sotto/shared/key"
	"sotto/shared/smp"
	"sotto/shared/transport"
	"sotto/shared/wire"
)

// patience bounds every test that waits for the other side.
const patience = 30 * time.Second

func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// testIdentity is the identity of all scripted relays.
var testIdentity = sync.OnceValue(newTestIdentity)

func newTestIdentity() *identity.Identity {
	dir, err := os.MkdirTemp("", "identity")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	id, err := identity.Create(dir, "localhost", time.Now())
	if err != nil {
		panic(err)
	}
	return id
}

// fake is a scripted relay: it shakes hands as told and then lets the test's script talk.
type fake struct {
	t        testing.TB
	ln       net.Listener
	versions wire.VersionRange                    // zero: all
	change   func(*smp.ServerHello)               // alters the hello
	takeOver func(*transport.Session) (goOn bool) // after TLS
	script   func(*peer)                          // after the hellos
	wg       sync.WaitGroup
}

// peer is the relay's end of one connection.
type peer struct {
	t       testing.TB
	session *transport.Session
	blocks  *transport.BlockConn
	version wire.Version
	hello   smp.ClientHello
	private *ecdh.PrivateKey
}

// start listens until the test ends. Scripts must have ended by then.
func (f *fake) start(t testing.TB) *fake {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.t, f.ln = t, ln
	f.wg.Go(f.accept)
	t.Cleanup(func() {
		_ = ln.Close()
		f.wg.Wait()
	})
	return f
}

func (f *fake) accept() {
	for {
		raw, err := f.ln.Accept()
		if err != nil {
			return
		}
		f.wg.Go(func() {
			defer raw.Close()
			_ = raw.SetDeadline(time.Now().Add(patience))
			f.serve(raw)
		})
	}
}

func (f *fake) serve(raw net.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	session, err := transport.ServerHandshake(ctx, raw, transport.ServerConfig(testIdentity()))
	if err != nil {
		return // the client went away, as many tests want
	}
	defer session.Conn.Close()
	_ = raw.SetDeadline(time.Now().Add(patience))
	if f.takeOver != nil && !f.takeOver(session) {
		return
	}
	p := &peer{t: f.t, session: session, blocks: transport.NewBlockConn(session.Conn)}
	if p.shake(f) == nil && f.script != nil {
		f.script(p)
	}
}

// shake exchanges the hellos. The error says that the client left.
func (p *peer) shake(f *fake) error {
	versions := f.versions
	if versions == (wire.VersionRange{}) {
		versions = wire.VersionRange{Min: smp.MinVersion, Max: smp.MaxVersion}
	}
	if p.session.ALPN == "" {
		versions.Max = smp.MinVersion
	}
	hello := smp.ServerHello{Versions: versions, SessionID: p.session.ID}
	if versions.Max >= smp.VersionAuth {
		p.private, _ = ecdh.X25519().GenerateKey(rand.Reader)
		public, err := key.FromECDH(p.private.PublicKey())
		if err != nil {
			return err
		}
		hello.Chain, hello.SignedKey = testIdentity().Chain, testIdentity().SignSessionKey(public)
	}
	if f.change != nil {
		f.change(&hello)
	}
	if err := p.blocks.WriteHello(hello.AppendTo(nil)); err != nil {
		return err
	}
	var block transport.Block
	defer block.Release()
	payload, err := p.blocks.ReadHello(&block)
	if err != nil {
		return err
	}
	if p.hello, err = smp.ParseClientHello(bytes.Clone(payload)); err != nil {
		return err
	}
	fingerprint := testIdentity().Fingerprint()
	if !bytes.Equal(p.hello.KeyHash, fingerprint[:]) {
		p.t.Error("client hello has another fingerprint")
	}
	p.version = p.hello.Version
	return p.encrypt()
}

// encrypt turns on block encryption as smp.md 5.4 says.
func (p *peer) encrypt() error {
	if p.version < smp.VersionBlockEncryption || p.hello.Key.IsZero() || p.hello.ProxyServer {
		return nil
	}
	secret, err := box.DH(p.hello.Key, p.private)
	if err != nil {
		return err
	}
	send, receive := box.NewChains(&secret, p.session.ID)
	p.blocks.Encrypt(send, receive)
	return nil
}

// receive returns the transmissions of the next block, nil when the client has left.
func (p *peer) receive() []wire.Transmission {
	var block transport.Block
	defer block.Release()
	payload, err := p.blocks.ReadBlock(&block)
	if errors.Is(err, transport.ErrBlock) {
		p.t.Error("the client sent a malformed block")
	}
	if err != nil {
		return nil
	}
	batch, err := wire.ParseBatch(bytes.Clone(payload))
	if err != nil {
		p.t.Errorf("the client sent a malformed batch: %v", err)
		return nil
	}
	var all []wire.Transmission
	for b, ok := batch.Next(); ok; b, ok = batch.Next() {
		t, err := wire.ParseTransmission(p.version, false, b)
		if err != nil {
			p.t.Errorf("the client sent a malformed transmission: %v", err)
			return nil
		}
		all = append(all, t)
	}
	return all
}

// says is one transmission of the relay.
type says struct {
	corrID, entity []byte
	response       smp.Response
	text           string // sent instead of response
}

// answer is a response to t.
func answerTo(t wire.Transmission, r smp.Response) says {
	return says{corrID: t.CorrID, entity: t.EntityID, response: r}
}

// send sends transmissions in one block. It does not mind that the client has left.
func (p *peer) send(all ...says) {
	var packer wire.Packer
	for _, s := range all {
		b := wire.AppendResponseHeader(packer.Begin(), p.version, p.session.ID, s.corrID, s.entity)
		if s.response != nil {
			b = s.response.AppendResponse(b, p.version)
		} else {
			b = append(b, s.text...)
		}
		if !packer.Commit(b) {
			p.t.Error("script: too much for a block")
			return
		}
	}
	_ = p.blocks.WriteBlock(packer.Payload())
}

// each answers every command on its own with what reply says.
func (p *peer) each(reply func(wire.Transmission) smp.Response) {
	for all := p.receive(); all != nil; all = p.receive() {
		var out []says
		for _, t := range all {
			out = append(out, answerTo(t, reply(t)))
		}
		p.send(out...)
	}
}

// server is the address of the relay.
func (f *fake) server() smp.Server {
	fingerprint := testIdentity().Fingerprint()
	host, port, _ := net.SplitHostPort(f.ln.Addr().String())
	return smp.Server{Fingerprint: fingerprint[:], Hosts: []smp.Host{smp.Host(host)}, Port: port}
}

// dial connects, and closes when the test ends.
func (f *fake) dial(t testing.TB, options Options) *Client {
	t.Helper()
	c, err := Dial(testContext(t), f.server(), options)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// pong answers everything with PONG, which is right for PING.
func pong(p *peer) { p.each(func(wire.Transmission) smp.Response { return smp.PONG{} }) }

// ok answers everything with OK.
func ok(p *peer) { p.each(func(wire.Transmission) smp.Response { return smp.OK{} }) }
