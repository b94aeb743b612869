package server_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"sotto/services/xftp/internal/client"
	"sotto/services/xftp/internal/xftptest"
	"sotto/shared/auth"
	"sotto/shared/key"
	"sotto/shared/wire"
	"sotto/shared/xftp"
)

func wireVersion(v uint16) wire.Version { return wire.Version(v) }

// What is spoken by the name of the protocol that TLS agreed on.
//
// Spec: xftp.md 3.3
func TestALPN(t *testing.T) {
	r := xftptest.Start(t, xftptest.Options{Web: xftptest.ECDSA})
	t.Run("18.7/60 http/1.1 is the native protocol over HTTP/2", func(t *testing.T) {
		c := r.Connect(t, client.Options{ALPN: []string{xftp.ALPNHTTP1}})
		f := upload(t, c, size)
		must(t, f.get(t.Context(), c))
	})
	t.Run("18.7/60 h2 without SNI is answered with nothing", func(t *testing.T) {
		p := dialPeer(t, r, connection{alpn: []string{xftp.ALPNHTTP2}})
		for _, body := range [][]byte{nil, make([]byte, 100), make([]byte, size)} {
			s := p.post(nil, body)
			if s.status != "200" || len(s.body) != 0 {
				t.Errorf("status %s with %d bytes", s.status, len(s.body))
			}
			headers(t, s, http.Header{})
		}
		p.quiet()
	})
	t.Run("18.7/60 unknown protocol", func(t *testing.T) {
		_, err := dialTLS(t, r, connection{alpn: []string{"smtp"}})
		if err == nil || !strings.Contains(err.Error(), "no application protocol") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("18.3/29 no protocol is version 1 without a handshake", func(t *testing.T) {
		c := r.Connect(t, client.Options{ALPN: []string{}})
		if c.Version() != 1 {
			t.Errorf("version %d", c.Version())
		}
		f := upload(t, c, size)
		must(t, f.get(t.Context(), r.Connect(t, client.Options{})))
		must(t, c.Delete(t.Context(), f.senderID, f.sender))
	})
	t.Run("18.7/61 a client that offers another group first", func(t *testing.T) {
		raw, err := r.Dialer(t.Context(), "", "")
		must(t, err)
		conn := tls.Client(raw, &tls.Config{
			InsecureSkipVerify: true, NextProtos: []string{xftp.ALPN}, //nolint:gosec // the handshake is looked at, not the identity
			CurvePreferences: []tls.CurveID{tls.CurveP521, tls.X25519},
		})
		must(t, conn.Handshake())
		if !conn.ConnectionState().HelloRetryRequest && conn.ConnectionState().CurveID != tls.X25519 {
			t.Error("another group")
		}
		_ = conn.Close()
	})
	t.Run("18.7/62 X25519 keys", func(t *testing.T) {
		c := r.Connect(t, client.Options{})
		f := file{sender: auth.NewX25519(), recipient: auth.NewX25519()}
		f.body, f.digest = content(size)
		id, ids, err := c.Create(t.Context(), f.sender, size, f.digest, []key.Public{f.recipient.Public()})
		must(t, err)
		f.senderID, f.id = id, ids[0]
		must(t, f.put(t.Context(), c))
		must(t, f.get(t.Context(), c))
		must(t, c.Acknowledge(t.Context(), f.id, f.recipient))
		must(t, c.Delete(t.Context(), f.senderID, f.sender))
	})
	t.Run("18.7/62 X25519 keys without ALPN", func(t *testing.T) {
		p := dialPeer(t, r, connection{})
		p.key = auth.NewX25519().Public() // there is no right one
		k := auth.NewX25519()
		expect(t, p.do(k, nil, xftp.FNEW{
			File: xftp.FileInfo{SenderKey: k.Public(), Size: size}, Recipients: []key.Public{k.Public()},
		}, nil), "ERR AUTH")
		p.quiet()
	})
	t.Run("18.7/63 255 recipients", func(t *testing.T) {
		c := r.Connect(t, client.Options{})
		body, digest := content(size)
		k := auth.NewEd25519()
		recipients := make([]auth.Key, xftp.MaxRecipients)
		keys := make([]key.Public, len(recipients))
		for i := range recipients {
			recipients[i] = auth.NewEd25519()
			keys[i] = recipients[i].Public()
		}
		id, ids, err := c.Create(t.Context(), k, size, digest, keys)
		must(t, err)
		must(t, c.Upload(t.Context(), id, k, bytes.NewReader(body), size))
		for _, i := range []int{0, 100, 254} {
			must(t, c.Download(t.Context(), ids[i], recipients[i], size, digest, io.Discard))
		}
	})
}

// Many requests at once, with bodies both ways, and nothing that ends a native client's connection.
//
// Spec: xftp.md 4.1
func TestFrames(t *testing.T) {
	t.Run("18.7/64 100 streams at once", func(t *testing.T) {
		p := native(t, xftptest.Start(t, xftptest.Options{}))
		var files []file
		for range 50 {
			files = append(files, p.create(size))
		}
		var wg sync.WaitGroup
		for _, f := range files {
			wg.Go(func() { expect(t, p.put(f, f.body), "OK") })
			wg.Go(func() { expect(t, p.do(auth.Key{}, nil, xftp.PING{}, nil), "PONG") })
		}
		wg.Wait()
		for _, f := range files {
			wg.Go(func() {
				s := p.post(nil, p.head(f.recipient, nil, f.id, xftp.FGET{Key: auth.NewX25519().Public()}))
				if len(s.body) != xftp.BlockSize+size+16 {
					t.Errorf("%d bytes", len(s.body))
				}
			})
			wg.Go(func() { expect(t, p.do(auth.NewEd25519(), f.senderID, xftp.FPUT{}, f.body), "ERR AUTH") })
		}
		wg.Wait()
		p.quiet()
	})
	t.Run("answers have no headers, nor more than the block", func(t *testing.T) {
		p := native(t, xftptest.Start(t, xftptest.Options{}))
		s := p.post(nil, p.head(auth.Key{}, nil, nil, xftp.PING{}))
		headers(t, s, http.Header{})
		if len(s.body) != xftp.BlockSize {
			t.Errorf("%d bytes", len(s.body))
		}
		f := p.create(size)
		headers(t, p.post(nil, append(p.head(f.sender, nil, f.senderID, xftp.FPUT{}), f.body...)), http.Header{})
		headers(t, p.post(nil, p.head(f.recipient, nil, f.id, xftp.FGET{Key: auth.NewX25519().Public()})), http.Header{})
		p.quiet()
	})
	t.Run("refused bodies take no window away", func(t *testing.T) {
		p := native(t, xftptest.Start(t, xftptest.Options{}))
		id, body := make([]byte, xftp.IDSize), make([]byte, 4<<20)
		for range 8 {
			expect(t, p.do(auth.NewEd25519(), id, xftp.FPUT{}, body), "ERR AUTH")
		}
		f := p.create(4 << 20)
		expect(t, p.put(f, f.body), "OK")
		p.quiet()
	})
	t.Run("methods and paths do not matter to native clients", func(t *testing.T) {
		p := native(t, xftptest.Start(t, xftptest.Options{}))
		for _, method := range []string{http.MethodGet, http.MethodOptions, http.MethodPut, "ANYTHING"} {
			s := p.open(method, nil, false)
			s.send(p.head(auth.Key{}, nil, nil, xftp.PING{}), true)
			must(t, s.wait())
			expect(t, p.response(s, nil), "PONG")
		}
		p.quiet()
	})
}
