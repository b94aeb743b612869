package server_test

import (
	"bytes"
	"crypto/x509"
	"errors"
	"net/http"
	"sync"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"sotto/services/xftp/internal/xftptest"
	"sotto/shared/auth"
	"sotto/shared/key"
	"sotto/shared/transport"
	"sotto/shared/wire"
	"sotto/shared/xftp"
)

// peer is a client that speaks in HTTP/2 frames, and sees those of the relay.
type peer struct {
	t       testing.TB
	relay   *xftptest.Relay
	session *transport.Session
	key     key.Public // the relay's, once there was a hello

	wmu     sync.Mutex // guards writing
	framer  *http2.Framer
	headers bytes.Buffer
	encoder *hpack.Encoder
	next    uint32

	mu      sync.Mutex // guards what follows
	moved   sync.Cond
	window  int // of the connection, to send
	initial int // that of new streams
	streams map[uint32]*stream
	control map[http2.FrameType]int // frames of these types from the relay, acknowledgements left out
	err     error                   // how the connection ended
}

// stream is one request.
type stream struct {
	p       *peer
	id      uint32
	window  int
	header  http.Header // names as they came, in lower case
	status  string
	body    []byte
	ended   bool
	reset   bool
	resetBy http2.ErrCode
}

// peerWindow is what the relay may send without being asked: more than any test lets it.
const peerWindow = 1 << 30

// connection says how a peer connects.
type connection struct {
	alpn   []string
	web    bool
	window uint32 // of each stream, for what the relay sends; 0: without end
}

// dialPeer connects without a handshake of XFTP.
func dialPeer(t testing.TB, r *xftptest.Relay, c connection) *peer {
	t.Helper()
	session, err := dialTLS(t, r, c)
	if err != nil {
		t.Fatalf("TLS: %v", err)
	}
	return peerOn(t, r, session, c.window)
}

// peerOn is a peer on a session that there is already, with this window for each stream.
func peerOn(t testing.TB, r *xftptest.Relay, session *transport.Session, window uint32) *peer {
	t.Helper()
	p := &peer{
		t: t, relay: r, session: session, framer: http2.NewFramer(session.Conn, session.Conn), next: 1,
		window: 65535, initial: 65535, streams: make(map[uint32]*stream), control: make(map[http2.FrameType]int),
	}
	p.moved.L = &p.mu
	p.encoder = hpack.NewEncoder(&p.headers)
	p.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	p.framer.SetMaxReadFrameSize(1 << 20)
	if window == 0 {
		window = peerWindow
	}
	_, err := session.Conn.Write([]byte(http2.ClientPreface))
	err = errors.Join(err,
		p.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: window}),
		p.framer.WriteWindowUpdate(0, peerWindow))
	if err != nil {
		t.Fatalf("begin HTTP/2: %v", err)
	}
	go p.read()
	t.Cleanup(func() { _ = session.Conn.Close() })
	return p
}

// dialTLS makes the TLS handshake of a native client, or of a browser.
func dialTLS(t testing.TB, r *xftptest.Relay, c connection) (*transport.Session, error) {
	t.Helper()
	raw, err := r.Dialer(t.Context(), "", "")
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	cfg := transport.ClientConfig{Fingerprint: r.Identity.Fingerprint(), ALPN: c.alpn}
	if c.web {
		cfg.ServerName = xftptest.WebName
		cfg.Verify = func([][]byte) error { return nil }
	}
	return transport.ClientHandshake(t.Context(), raw, cfg)
}

// native connects and shakes hands as an app does.
func native(t testing.TB, r *xftptest.Relay) *peer {
	t.Helper()
	p := dialPeer(t, r, connection{alpn: []string{xftp.ALPN}})
	p.handshake(xftp.Versions.Max)
	return p
}

// handshake is that of a native client.
func (p *peer) handshake(v wire.Version) {
	p.t.Helper()
	content, err := wire.Unpad(p.post(nil, nil).body)
	if err != nil {
		p.t.Fatal("no hello")
	}
	hello, err := xftp.ParseServerHello(content)
	if err != nil || !bytes.Equal(hello.SessionID, p.session.ID) {
		p.t.Fatal("no hello of this session")
	}
	cert, err := x509.ParseCertificate(hello.Chain[0])
	if err != nil {
		p.t.Fatal(err)
	}
	leaf, err := key.Parse(cert.RawSubjectPublicKeyInfo)
	if err != nil {
		p.t.Fatal(err)
	}
	if p.key, err = auth.VerifySignedKey(leaf, hello.SignedKey); err != nil {
		p.t.Fatal(err)
	}
	if s := p.post(nil, p.clientHandshake(v)); len(s.body) > 0 {
		p.t.Fatal("handshake refused")
	}
}

// clientHandshake is the block that answers a hello.
func (p *peer) clientHandshake(v wire.Version) []byte {
	fingerprint := p.relay.Identity.Fingerprint()
	return pad(p.t, xftp.ClientHandshake{Version: v, KeyHash: fingerprint[:]}.AppendTo(nil))
}

func pad(t testing.TB, content []byte) []byte {
	t.Helper()
	block := make([]byte, xftp.BlockSize)
	if err := wire.Pad(block, content); err != nil {
		t.Fatal(err)
	}
	return block
}

// read takes what the relay sends until the connection ends.
func (p *peer) read() {
	for {
		f, err := p.framer.ReadFrame()
		p.mu.Lock()
		if err != nil {
			p.err = err
			p.moved.Broadcast()
			p.mu.Unlock()
			return
		}
		p.take(f)
		p.moved.Broadcast()
		p.mu.Unlock()
	}
}

// take notes one frame, under mu.
func (p *peer) take(f http2.Frame) {
	s := p.streams[f.Header().StreamID]
	switch f := f.(type) {
	case *http2.SettingsFrame:
		if f.IsAck() {
			return
		}
		if v, ok := f.Value(http2.SettingInitialWindowSize); ok {
			p.initial = int(v)
			for _, s := range p.streams {
				s.window += int(v) - 65535
			}
		}
		p.control[f.Type]++
		go p.write(func() error { return p.framer.WriteSettingsAck() })
	case *http2.WindowUpdateFrame:
		if s == nil {
			p.window += int(f.Increment)
		} else {
			s.window += int(f.Increment)
		}
	case *http2.MetaHeadersFrame:
		s.header = make(http.Header)
		s.status = f.PseudoValue("status")
		for _, field := range f.RegularFields() {
			s.header[field.Name] = append(s.header[field.Name], field.Value)
		}
		s.ended = f.StreamEnded()
	case *http2.DataFrame:
		s.body = append(s.body, f.Data()...)
		s.ended = f.StreamEnded()
		if len(f.Data()) == 0 && !f.StreamEnded() {
			p.control[f.Type]++
		}
	case *http2.RSTStreamFrame:
		p.control[f.Type]++
		if s != nil {
			s.reset, s.resetBy = true, f.ErrCode
		}
	default:
		p.control[f.Header().Type]++
	}
}

// write writes frames. Errors of a connection that the relay has closed show when it is read.
func (p *peer) write(frames func() error) {
	p.wmu.Lock()
	defer p.wmu.Unlock()
	_ = frames()
}

// open begins a request. header has names and values.
func (p *peer) open(method string, header []string, end bool) *stream {
	p.t.Helper()
	p.wmu.Lock()
	defer p.wmu.Unlock()
	p.mu.Lock()
	s := &stream{p: p, id: p.next, window: p.initial}
	p.streams[s.id] = s
	p.next += 2
	p.mu.Unlock()
	p.headers.Reset()
	fields := append([]string{":method", method, ":scheme", "https", ":path", "/", ":authority", "127.0.0.1"}, header...)
	for i := 0; i+1 < len(fields); i += 2 {
		_ = p.encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}) // into memory
	}
	_ = p.framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: s.id, BlockFragment: p.headers.Bytes(), EndStream: end, EndHeaders: true,
	})
	return s
}

// send sends a part of the body, as the relay's windows allow. It ends early when the connection or the stream does.
func (s *stream) send(b []byte, end bool) {
	p := s.p
	for len(b) > 0 {
		n := s.await(len(b))
		if n == 0 {
			return
		}
		part := b[:n]
		b = b[n:]
		last := end && len(b) == 0
		p.write(func() error { return p.framer.WriteData(s.id, last, part) })
		if last {
			return
		}
	}
	if end {
		p.write(func() error { return p.framer.WriteData(s.id, true, nil) })
	}
}

// await takes up to n bytes, and a frame's worth, from the windows. It returns 0 at the end.
func (s *stream) await(n int) int {
	p := s.p
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.err == nil && !s.ended && !s.reset && (p.window <= 0 || s.window <= 0) {
		p.moved.Wait()
	}
	if p.err != nil || s.ended || s.reset {
		return 0
	}
	n = min(n, p.window, s.window, 16384)
	p.window -= n
	s.window -= n
	return n
}

// wait waits for the end of the answer, which is the error of the connection if that comes first.
func (s *stream) wait() error {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	for !s.ended && !s.reset && s.p.err == nil {
		s.p.moved.Wait()
	}
	if s.ended {
		return nil
	}
	if s.reset {
		return errors.New("stream was reset: " + s.resetBy.String())
	}
	return s.p.err
}

// closed waits for the end of the connection.
func (p *peer) closed() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.err == nil {
		p.moved.Wait()
	}
	return p.err
}

// post makes a request and waits for the whole answer.
func (p *peer) post(header []string, body []byte) *stream {
	p.t.Helper()
	s := p.open(http.MethodPost, header, len(body) == 0)
	if len(body) > 0 {
		s.send(body, true)
	}
	if err := s.wait(); err != nil {
		p.t.Fatalf("no answer: %v", err)
	}
	return s
}

// head is the block of a command.
func (p *peer) head(k auth.Key, corrID, entity []byte, cmd xftp.Command) []byte {
	p.t.Helper()
	authorized := xftp.AppendAuthorized(nil, p.session.ID, corrID, entity, cmd.AppendCommand(nil))
	authorization, err := k.Authorize(p.key, corrID, authorized)
	if err != nil {
		p.t.Fatal(err)
	}
	var head [xftp.BlockSize]byte
	if err := xftp.PutBlock(&head, authorization, authorized); err != nil {
		p.t.Fatal(err)
	}
	return head[:]
}

// do sends a command with what follows it, and returns the response.
func (p *peer) do(k auth.Key, entity []byte, cmd xftp.Command, tail []byte) xftp.Response {
	p.t.Helper()
	return p.response(p.post(nil, append(p.head(k, nil, entity, cmd), tail...)), entity)
}

// response is what an answer begins with. It has to be for this entity, or for none.
func (p *peer) response(s *stream, entity []byte) xftp.Response {
	p.t.Helper()
	if s.status != "200" || len(s.body) < xftp.BlockSize {
		p.t.Fatalf("status %s with %d bytes", s.status, len(s.body))
	}
	t, err := xftp.ParseBlock(s.body[:xftp.BlockSize], p.session.ID)
	if err != nil {
		p.t.Fatalf("block: %v", err)
	}
	if len(t.EntityID) > 0 && !bytes.Equal(t.EntityID, entity) {
		p.t.Fatal("answer for another entity")
	}
	response, err := xftp.ParseResponse(t.Command)
	if err != nil {
		p.t.Fatalf("response: %v", err)
	}
	return response
}

// wireText is a response as text, without what is random in it.
func wireText(r xftp.Response) string { return string(r.AppendResponse(nil, xftp.Versions.Max)) }

// expect fails the test unless a response is this text.
func expect(t testing.TB, r xftp.Response, want string) {
	t.Helper()
	if got := wireText(r); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// quiet fails the test if the relay has sent frames that end the connections of native clients.
//
// Spec: xftp.md 4.1
func (p *peer) quiet() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		p.t.Errorf("connection ended: %v", p.err)
	}
	for kind, n := range p.control {
		if kind != http2.FrameSettings || n != 1 {
			p.t.Errorf("%d frames %v", n, kind)
		}
	}
}
