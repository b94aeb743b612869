package proxy

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sotto/shared/box"
	"sotto/shared/identity"
	"sotto/shared/key"
	"sotto/shared/smp"
	"sotto/shared/tls13"
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

// eventually waits until ok.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never came: %s", what)
		}
	}
}

// newRelays are sessions with relays on this machine. They end with the test.
func newRelays(t testing.TB, options Options) *Relays {
	t.Helper()
	options.AllowPrivate = true
	return strictRelays(t, options)
}

// strictRelays is newRelays without leave for private addresses.
func strictRelays(t testing.TB, options Options) *Relays {
	t.Helper()
	r, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// testIdentity is the identity of all fakes.
var testIdentity = sync.OnceValue(func() *identity.Identity {
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
})

// fake is a scripted relay: it shakes hands as told, and then answers RFWD as told.
type fake struct {
	t        testing.TB
	ln       net.Listener
	versions wire.VersionRange      // zero: all
	onRaw    func(net.Conn)         // instead of TLS
	onTLS    func(*peer)            // instead of the hellos
	change   func(*smp.ServerHello) // alters the hello
	answer   func(*peer, relayed)   // answers RFWD; nil: with what was inside
	end      func(p *peer)          // instead of all of that, after the hellos
	accepted atomic.Int32           // connections
	left     atomic.Int32           // connections that have ended
	peers    chan *peer             // after the hellos
	wg       sync.WaitGroup         //
	open     map[net.Conn]struct{}  //
	mu       sync.Mutex             //
}

// relayed is RFWD as the fake has read it.
type relayed struct {
	r       nonce
	forward smp.ForwardTransmission
}

// peer is the fake's end of one connection.
type peer struct {
	fake    *fake
	conn    *tls13.Conn
	blocks  *transport.BlockConn
	version wire.Version
	hello   smp.ClientHello
	private *ecdh.PrivateKey
	secret  [box.KeySize]byte
}

// start listens until the test ends.
func (f *fake) start(t testing.TB) *fake {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.t, f.ln, f.peers, f.open = t, ln, make(chan *peer, 1000), make(map[net.Conn]struct{})
	f.wg.Go(f.accept)
	t.Cleanup(func() {
		_ = ln.Close()
		f.hangUp()
		f.wg.Wait()
	})
	return f
}

// hangUp closes all connections as they are.
func (f *fake) hangUp() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.open {
		_ = c.Close()
	}
}

func (f *fake) accept() {
	for {
		raw, err := f.ln.Accept()
		if err != nil {
			return
		}
		f.accepted.Add(1)
		f.mu.Lock()
		f.open[raw] = struct{}{}
		f.mu.Unlock()
		f.wg.Go(func() {
			defer f.left.Add(1)
			defer raw.Close()
			if f.onRaw != nil {
				f.onRaw(raw)
				return
			}
			f.serve(raw)
		})
	}
}

func (f *fake) serve(raw net.Conn) {
	id := testIdentity()
	conn, err := tls13.Server(context.Background(), raw, &tls13.ServerConfig{
		Certificate: &tls13.Certificate{Chain: id.Chain, Key: id.LeafKey()}, ALPN: []string{transport.ALPN},
	})
	if err != nil {
		return // the proxy went away, as many tests want
	}
	defer conn.Close()
	p := &peer{fake: f, conn: conn, blocks: transport.NewBlockConn(conn)}
	if f.onTLS != nil {
		f.onTLS(p)
		return
	}
	if p.shake() != nil {
		return
	}
	f.peers <- p
	if f.end != nil {
		f.end(p)
		return
	}
	for {
		r, err := p.receive()
		if err != nil {
			return
		}
		if f.answer == nil {
			p.reply(r, p.echo(r))
			continue
		}
		f.answer(p, r)
	}
}

// shake exchanges the hellos. The error says that the proxy left.
func (p *peer) shake() error {
	versions := p.fake.versions
	if versions == (wire.VersionRange{}) {
		versions = wire.VersionRange{Min: smp.MinVersion, Max: smp.MaxVersion}
	}
	hello := smp.ServerHello{Versions: versions, SessionID: p.conn.State().ClientFinished}
	p.private, _ = ecdh.X25519().GenerateKey(rand.Reader)
	public, err := key.FromECDH(p.private.PublicKey())
	if err != nil {
		return err
	}
	hello.Chain, hello.SignedKey = testIdentity().Chain, testIdentity().SignSessionKey(public)
	if p.fake.change != nil {
		p.fake.change(&hello)
	}
	if err := p.blocks.WriteHello(hello.AppendTo(nil)); err != nil {
		return err
	}
	return p.readHello()
}

func (p *peer) readHello() error {
	var block transport.Block
	defer block.Release()
	payload, err := p.blocks.ReadHello(&block)
	if err != nil {
		return err
	}
	if p.hello, err = smp.ParseClientHello(bytes.Clone(payload)); err != nil {
		return err
	}
	p.version = p.hello.Version
	p.secret, err = box.DH(p.hello.Key, p.private)
	return err
}

// receive reads one RFWD. The error says that the proxy left.
func (p *peer) receive() (relayed, error) {
	var block transport.Block
	defer block.Release()
	payload, err := p.blocks.ReadBlock(&block)
	if err != nil {
		return relayed{}, err
	}
	batch, err := wire.ParseBatch(bytes.Clone(payload))
	if err != nil || batch.Len() != 1 {
		p.fake.t.Errorf("the proxy has sent %d commands in a block, %v", batch.Len(), err)
	}
	b, _ := batch.Next()
	t, err := wire.ParseTransmission(p.version, false, b)
	if err != nil || len(t.CorrID) != box.NonceSize || len(t.EntityID) > 0 || len(t.Authorization) > 0 {
		p.fake.t.Errorf("the proxy has sent a wrong transmission, %v", err)
		return relayed{}, wire.ErrSyntax
	}
	r := relayed{r: nonce(t.CorrID)}
	sealed, ok := bytes.CutPrefix(t.Command, []byte("RFWD "))
	plain, opened := box.Open(nil, sealed, &r.r, &p.secret)
	if r.forward, err = smp.ParseForwardTransmission(plain); !ok || !opened || err != nil {
		p.fake.t.Errorf("RFWD does not open: %v, %v", opened, err)
		return relayed{}, wire.ErrSyntax
	}
	return r, nil
}

// echo is RRES with what was inside RFWD.
func (p *peer) echo(r relayed) smp.Response { return p.seal(r, r.forward.Encrypted) }

// seal is RRES with b inside.
func (p *peer) seal(r relayed, b []byte) smp.Response {
	reversed := box.Reverse(r.r)
	plain := smp.ForwardResponse{CorrID: r.forward.CorrID, Encrypted: b}.AppendTo(nil)
	return smp.RRES{Encrypted: box.Seal(nil, plain, &reversed, &p.secret)}
}

// reply answers r.
func (p *peer) reply(r relayed, response smp.Response) {
	p.text(r.r[:], response.AppendResponse(nil, p.version))
}

// text sends a response as it is written. It does not mind that the proxy has left.
func (p *peer) text(corrID, response []byte) {
	var packer wire.Packer
	b := wire.AppendResponseHeader(packer.Begin(), p.version, nil, corrID, nil)
	if !packer.Commit(append(b, response...)) {
		p.fake.t.Error("too much for a block")
	}
	_ = p.blocks.WriteBlock(packer.Payload())
}

// server is the address of the fake.
func (f *fake) server() smp.Server {
	fingerprint := testIdentity().Fingerprint()
	host, port, _ := net.SplitHostPort(f.ln.Addr().String())
	return smp.Server{Fingerprint: fingerprint[:], Hosts: []smp.Host{smp.Host(host)}, Port: port}
}

// connect connects to the fake, which must go well.
func (f *fake) connect(t testing.TB, r *Relays) *Session {
	t.Helper()
	s, err := r.Connect(testContext(t), f.server())
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	return s
}

// command is a PFWD with its correlation id.
func command(t testing.TB, v wire.Version) ([]byte, smp.PFWD) {
	t.Helper()
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := key.FromECDH(private.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, box.NonceSize+smp.EncryptedForwardSize)
	_, _ = rand.Read(b)
	return b[:box.NonceSize], smp.PFWD{Version: v, Key: public, Encrypted: b[box.NonceSize:]}
}

// forward sends a command through s, whose answer must be what was inside.
func forward(t testing.TB, s *Session) {
	t.Helper()
	corrID, cmd := command(t, 17)
	if got, err := s.Forward(testContext(t), corrID, cmd); err != nil || !bytes.Equal(got.Encrypted, cmd.Encrypted) {
		t.Errorf("forward: %d bytes, %v", len(got.Encrypted), err)
	}
}

// failed sends a command through s, and returns the error.
func failed(t testing.TB, s *Session) smp.Error {
	t.Helper()
	corrID, cmd := command(t, 17)
	got, err := s.Forward(testContext(t), corrID, cmd)
	if err == nil {
		t.Errorf("forward: %d bytes, want an error", len(got.Encrypted))
	}
	return err
}
