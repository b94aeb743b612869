package server_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"net"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"sotto/services/xftp/internal/chunk"
	"sotto/services/xftp/internal/client"
	"sotto/services/xftp/internal/server"
	"sotto/services/xftp/internal/store/memstore"
	"sotto/services/xftp/internal/xftptest"
	"sotto/shared/auth"
	"sotto/shared/xftp"
)

// The log, at its most talkative, has nothing of what clients are, send and are told, while all goes well and while
// everything goes wrong.
func TestLog(t *testing.T) {
	var log safeBuffer
	logger := zerolog.New(&log).Level(zerolog.TraceLevel)
	store := &gateStore{Store: memstore.New(memstore.Options{})}
	const password = "pa55word-of-the-log-test"
	r := xftptest.Start(t, xftptest.Options{
		Log: &logger, Store: store, Web: xftptest.RSA, Config: func(c *server.Config) { c.CreatePassword = []byte(password) },
		Prepare: func(s *server.Server) { s.BreakVerification("panic") },
	})
	secrets := map[string][]byte{"password": []byte(password), "host name": []byte(xftptest.WebName)}
	see := func(c *client.Client, f file) {
		secrets["sender id "+string(rune('a'+len(secrets)))] = f.senderID
		secrets["recipient id "+string(rune('a'+len(secrets)))] = f.id
		secrets["body "+string(rune('a'+len(secrets)))] = f.body[:32]
		secrets["digest "+string(rune('a'+len(secrets)))] = f.digest
		secrets["session id "+string(rune('a'+len(secrets)))] = c.Relay().SessionID
		public := f.sender.Public()
		secrets["key "+string(rune('a'+len(secrets)))] = public.Raw()
		if tcp, ok := c.Conn().Session().Conn.LocalAddr().(*net.TCPAddr); ok {
			secrets["port "+string(rune('a'+len(secrets)))] = []byte(":" + strings.TrimPrefix(tcp.String(), tcp.IP.String()+":"))
		}
	}
	for _, o := range []client.Options{{}, {Web: r.Browser()}, {ALPN: []string{}}} {
		o.Password = []byte(password)
		c := r.Connect(t, o)
		f := upload(t, c, size)
		see(c, f)
		must(t, f.get(t.Context(), c))
		store.onRead = func(int) error { return errDisk }
		if err := f.get(t.Context(), c); err == nil {
			t.Error("a broken disk gives bodies")
		}
		store.onRead = nil
		c = r.Connect(t, o)
		must(t, c.Delete(t.Context(), f.senderID, f.sender))
		g := register(t, c, size)
		see(c, g)
		store.onCommit = func(chunk.ID) error { return errDisk }
		if err := g.put(t.Context(), c); err == nil {
			t.Error("a broken disk takes bodies")
		}
		store.onCommit = nil
	}
	p := browser(t, r)
	p.greet(t)
	s := p.open("POST", []string{"x-strange", "header-of-the-log-test", "connection", "close"}, false)
	s.send(p.head(auth.NewEd25519(), []byte("panic"), make([]byte, 16), xftp.FDEL{}), true)
	_ = s.wait()
	p = native(t, r)
	p.write(func() error { return p.framer.WriteGoAway(0, 7, []byte("debug-of-the-log-test")) })
	_ = p.closed()
	p = native(t, r)
	p.open("POST", nil, false).send(p.head(auth.NewEd25519(), []byte("panic"), make([]byte, 16), xftp.FDEL{}), true)
	_ = p.closed()
	_, _ = dialTLS(t, r, connection{alpn: []string{"alpn-of-the-log-test"}})
	r.Stop(t)

	text := log.String()
	if !strings.Contains(text, "this is a bug") {
		t.Error("the log is not this relay's")
	}
	secrets["client"], secrets["address"] = []byte("of-the-log-test"), []byte("127.0.0.1")
	for what, secret := range secrets {
		for _, form := range []string{
			string(secret), hex.EncodeToString(secret), base64.StdEncoding.EncodeToString(secret), base64.URLEncoding.EncodeToString(secret),
		} {
			if bytes.Contains([]byte(text), []byte(form)) {
				t.Errorf("the log has the %s", what)
			}
		}
	}
}
