package server_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"sotto/services/xftp/internal/server"
	"sotto/services/xftp/internal/xftptest"
	"sotto/shared/handover"
	"sotto/shared/transport"
	"sotto/shared/xftp"
)

// TestPagesByHTTP1 shows that programs which do not speak HTTP/2 get pages, and that clients which speak it whatever the
// handshake says go on doing so.
func TestPagesByHTTP1(t *testing.T) {
	pages := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) })
	r := xftptest.Start(t, xftptest.Options{Web: xftptest.ECDSA, Config: func(c *server.Config) { c.Pages = pages }})
	for _, alpn := range [][]string{{"http/1.1"}, nil} {
		client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
			DialContext:     r.Dialer,
			TLSClientConfig: &tls.Config{ServerName: xftptest.WebName, RootCAs: r.Web().Roots, NextProtos: alpn},
		}}
		for range 2 {
			resp, err := client.Get("https://" + xftptest.WebName + "/")
			must(t, err)
			body, err := io.ReadAll(resp.Body)
			must(t, err)
			_ = resp.Body.Close()
			if string(body) != "HTTP/1.1" {
				t.Errorf("ALPN %q: the page is %q", alpn, body)
			}
		}
		client.CloseIdleConnections()
	}
}

// TestChallenge shows that a certificate authority gets its answer, and nothing more.
func TestChallenge(t *testing.T) {
	answer := xftptest.NewCertificate(t, xftptest.ECDSA)
	r := xftptest.Start(t, xftptest.Options{Config: func(c *server.Config) {
		c.Challenge = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &answer.TLS, nil }
	}})
	raw, err := r.Dialer(t.Context(), "", "")
	must(t, err)
	conn := tls.Client(raw, &tls.Config{
		ServerName: xftptest.WebName, RootCAs: answer.Roots, NextProtos: []string{transport.ALPNACME},
	})
	must(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	must(t, conn.Handshake())
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("the relay has something to say")
	}
}

// TestHandedOver shows a conversation on a session whose TLS ended before it reached the relay.
func TestHandedOver(t *testing.T) {
	r := xftptest.Start(t, xftptest.Options{})
	inner, err := transport.Listen(t.Context(), "127.0.0.1:0", transport.Limits{})
	must(t, err)
	defer inner.Close()
	served := make(chan error, 1)
	go func() { served <- r.Server.Serve(handover.Listener{Listener: inner}) }()
	conn, err := net.Dial("tcp", inner.Addr().String())
	must(t, err)
	id := make([]byte, 32)
	id[0] = 1
	must(t, handover.Write(conn, &transport.Session{ID: id, ALPN: xftp.ALPNHTTP1}))
	p := peerOn(t, r, &transport.Session{Conn: conn, ID: id, ALPN: xftp.ALPNHTTP1}, 0)
	p.handshake(xftp.Versions.Max)
	f := p.create(size)
	expect(t, p.do(f.sender, f.senderID, xftp.FPUT{}, f.body), "OK")
	must(t, conn.Close())
	must(t, inner.Close())
	must(t, <-served)
}
