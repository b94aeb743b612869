package server_test

import (
	"bytes"
	"crypto/ecdh"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"sotto/services/xftp/internal/chunk"
	"sotto/services/xftp/internal/server"
	"sotto/services/xftp/internal/store/memstore"
	"sotto/services/xftp/internal/xftptest"
	"sotto/shared/auth"
	"sotto/shared/identity"
	"sotto/shared/transport"
	"sotto/shared/wire"
	"sotto/shared/xftp"
)

// dummySession is that of handlers without a network.
func dummySession() *transport.Session { return &transport.Session{ID: make([]byte, 32)} }

// states are those that a connection can be in before a request.
var states = []func(*server.Server, *ecdh.PrivateKey) http.Handler{
	func(s *server.Server, _ *ecdh.PrivateKey) http.Handler {
		return s.Handler(dummySession().ID, "", false)
	},
	func(s *server.Server, _ *ecdh.PrivateKey) http.Handler {
		return s.Handler(dummySession().ID, xftp.ALPN, false)
	},
	func(s *server.Server, _ *ecdh.PrivateKey) http.Handler {
		return s.Handler(dummySession().ID, xftp.ALPNHTTP2, true)
	},
	func(s *server.Server, _ *ecdh.PrivateKey) http.Handler {
		h := s.Handler(dummySession().ID, xftp.ALPNHTTP2, true)
		ask(h, marksHello, nil)
		return h
	},
	func(s *server.Server, k *ecdh.PrivateKey) http.Handler {
		h := s.Handler(dummySession().ID, xftp.ALPN, false)
		server.Accept(h, k, 3)
		return h
	},
	func(s *server.Server, k *ecdh.PrivateKey) http.Handler {
		h := s.Handler(dummySession().ID, xftp.ALPNHTTP2, true)
		server.Accept(h, k, 1)
		ask(h, marksHello, nil)
		return h
	},
}

// FuzzRequest feeds whole requests to the relay, in every state of a connection: the content of a block, or with the bit 4
// of mark all there is, and bytes behind it. The bits 1 and 2 are a browser's markers. Whatever comes is answered with
// 200, and with nothing, or one block, or one block and a chunk.
func FuzzRequest(f *testing.F) {
	id, err := identity.Create(f.TempDir(), "localhost", time.Now())
	must(f, err)
	store := memstore.New(memstore.Options{Quota: 1 << 20})
	s := server.New(xftptest.Defaults(), id, nil, store, zerolog.Nop())
	f.Cleanup(func() { _ = s.Shutdown(f.Context()) })
	private, err := ecdh.X25519().NewPrivateKey(bytes.Repeat([]byte{7}, 32))
	must(f, err)
	k := auth.NewEd25519()
	body, digest := content(size)
	c := &chunk.Chunk{SenderID: chunk.ID{1}, SenderKey: k.Public(), Size: size, Digest: digest, Created: 1 << 40}
	must(f, store.Create(f.Context(), c, []chunk.Recipient{{ID: chunk.ID{2}, Key: k.Public()}}))
	p := &peer{t: f, session: dummySession()}
	sender, recipient := chunk.ID{1}, chunk.ID{2}
	add := func(state, mark uint8, block []byte, tail uint32) {
		content, err := wire.Unpad(block)
		must(f, err)
		f.Add(state, mark, content, tail)
	}
	for _, cmd := range []xftp.Command{xftp.FPUT{}, xftp.FADD{Recipients: keysOf(k)}, xftp.FDEL{}} {
		add(4, 0, p.head(k, nil, sender[:], cmd), size)
	}
	add(4, 0, p.head(k, nil, recipient[:], xftp.FGET{Key: auth.NewX25519().Public()}), 0)
	add(4, 0, p.head(k, nil, nil, xftp.FNEW{File: xftp.FileInfo{SenderKey: k.Public(), Size: size}, Recipients: keysOf(k)}), 0)
	add(5, 0, p.head(auth.Key{}, nil, nil, xftp.PING{}), 0)
	f.Add(uint8(2), uint8(1), []byte("0"), uint32(0))
	f.Add(uint8(3), uint8(4), []byte{0, 1, '0'}, uint32(3))
	fingerprint := id.Fingerprint()
	f.Add(uint8(3), uint8(2), xftp.ClientHandshake{Version: 2, KeyHash: fingerprint[:]}.AppendTo(nil), uint32(0))
	f.Fuzz(func(t *testing.T, state, mark uint8, content []byte, tail uint32) {
		h := states[int(state)%len(states)](s, private)
		request := content
		if block := make([]byte, xftp.BlockSize); mark&4 == 0 && wire.Pad(block, content) == nil {
			request = block
		}
		request = append(request, body[:min(int(tail), len(body))]...)
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(request))
		if mark&1 != 0 {
			r.Header.Set(xftp.HeaderHello, "")
		}
		if mark&2 != 0 {
			r.Header.Set(xftp.HeaderHandshake, "")
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if n := w.Body.Len(); w.Code != http.StatusOK || (n != 0 && n != xftp.BlockSize && n != xftp.BlockSize+size+16) {
			t.Errorf("status %d with %d bytes", w.Code, n)
		}
		if used := store.Usage(); used.Reserved != 0 || s.Ahead() != 0 {
			t.Errorf("left behind: %+v, %d", used, s.Ahead())
		}
	})
}
