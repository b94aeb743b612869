package server_test

import (
	"runtime"
	"sync"
	"testing"

	"sotto/services/xftp/internal/chunk"
	"sotto/services/xftp/internal/client"
	"sotto/services/xftp/internal/server"
	"sotto/services/xftp/internal/store/memstore"
	"sotto/services/xftp/internal/xftptest"
	"sotto/shared/auth"
	"sotto/shared/xftp"
)

// Transfers of all kinds at once, several on each connection, with the least memory that there can be and a store that
// takes its time: nothing waits for what waits for it.
func TestPressure(t *testing.T) {
	store := &gateStore{Store: memstore.New(memstore.Options{}), onWrite: func(chunk.ID) error {
		for range 20 {
			runtime.Gosched()
		}
		return nil
	}}
	r := xftptest.Start(t, xftptest.Options{Store: store, Config: func(c *server.Config) { c.UploadMemory = 1 }})
	seed := upload(t, r.Connect(t, client.Options{}), 1<<20)
	var wg sync.WaitGroup
	for range 3 {
		p := native(t, r)
		for range 6 {
			f := p.create(1 << 20)
			wg.Go(func() { expect(t, p.put(f, f.body), "OK") })
			wg.Go(func() {
				s := p.post(nil, p.head(seed.recipient, nil, seed.id, xftp.FGET{Key: auth.NewX25519().Public()}))
				if len(s.body) != xftp.BlockSize+1<<20+16 {
					t.Errorf("%d bytes", len(s.body))
				}
			})
			wg.Go(func() { expect(t, p.do(auth.NewEd25519(), f.senderID, xftp.FPUT{}, f.body), "ERR AUTH") })
			wg.Go(func() { expect(t, p.do(auth.Key{}, nil, xftp.PING{}, nil), "PONG") })
		}
		t.Cleanup(p.quiet)
	}
	// An app sends frames of twice the size.
	c := r.Connect(t, client.Options{})
	f := upload(t, c, 4<<20)
	must(t, f.get(t.Context(), c))
	wg.Wait()
	if used := store.Usage(); used.Chunks != 20 || used.Reserved != 0 || r.Server.Ahead() != 0 {
		t.Errorf("usage %+v, %d ahead", used, r.Server.Ahead())
	}
}
