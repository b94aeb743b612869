package frontdoor_test

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"sotto/shared/transport"
)

const sameIdentity = "with the same identity"

func TestEveryClientGetsWhereItWants(t *testing.T) {
	h := new(house).open(t)
	h.says(t, sameIdentity)
	for _, tc := range []struct{ alpn, want string }{
		{"smp/1", "messages"}, {"", "messages"}, {"http/1.1", "messages"}, {"xftp/1", "files"}, {"smp/1 http/1.1", "messages"},
	} {
		t.Run("ALPN "+tc.alpn, func(t *testing.T) {
			session := h.dial(t, h.id, "", strings.Fields(tc.alpn)...)
			expect(t, session.Conn, tc.want)
			echo(t, session)
		})
	}
	for _, alpn := range [][]string{{"http/1.1"}, nil} {
		t.Run(fmt.Sprintf("files, ALPN %q", alpn), func(t *testing.T) {
			session := h.dial(t, h.id, "", alpn...)
			_, err := io.WriteString(session.Conn, preface)
			must(t, err)
			expect(t, session.Conn, "handed over")
			expect(t, session.Conn, strings.TrimSuffix(preface, "\n"))
			echo(t, session)
			if there := <-h.handedOver; !bytes.Equal(there.ID, session.ID) || there.ALPN != strings.Join(alpn, "") {
				t.Error("the file relay has another session")
			}
		})
	}
}

// echo sends more than fits any buffer through a session whose relay says everything again, and closes one direction.
func echo(t *testing.T, session *transport.Session) {
	t.Helper()
	sent := make([]byte, 1<<20)
	_, _ = rand.Read(sent)
	failed := make(chan error, 1)
	go func() {
		_, err := session.Conn.Write(sent)
		if err == nil {
			err = session.CloseWrite()
		}
		failed <- err
	}()
	got, err := io.ReadAll(session.Conn)
	must(t, err)
	must(t, <-failed)
	if !bytes.Equal(got, sent) {
		t.Errorf("%d bytes came back of %d", len(got), len(sent))
	}
}

func TestBrowsers(t *testing.T) {
	h := new(house).open(t)
	for _, version := range []string{"HTTP/1.1", "HTTP/2.0"} {
		client := &http.Client{Timeout: patience, Transport: &http.Transport{
			ForceAttemptHTTP2: version == "HTTP/2.0",
			TLSClientConfig:   &tls.Config{ServerName: h.own, InsecureSkipVerify: true},
		}}
		for range 3 {
			resp, err := client.Get("https://" + h.at + "/")
			must(t, err)
			body, err := io.ReadAll(resp.Body)
			must(t, err)
			_ = resp.Body.Close()
			if string(body) != "page by "+version {
				t.Errorf("%q, want %s", body, version)
			}
		}
		client.CloseIdleConnections()
	}
}

func TestOneName(t *testing.T) {
	h := (&house{own: "relay.example", files: "relay.example"}).open(t)
	session := h.dial(t, h.id, "Relay.Example", "h2", "http/1.1")
	expect(t, session.Conn, "files") // browsers are the file relay's
	expect(t, h.dial(t, h.id, "", "smp/1").Conn, "messages")
	must(t, h.filesLn.Close())
	eventually(t, "browsers get pages while the file relay is away", func() bool {
		conn, err := tls.Dial("tcp", h.at, &tls.Config{ServerName: h.own, InsecureSkipVerify: true})
		if err != nil {
			return false
		}
		defer conn.Close()
		return bytes.Equal(conn.ConnectionState().PeerCertificates[0].Raw, h.web.Certificate[0])
	})
}

func TestChallenge(t *testing.T) {
	h := new(house).open(t)
	conn, err := tls.Dial("tcp", h.at, &tls.Config{
		ServerName: h.own, NextProtos: []string{transport.ALPNACME}, InsecureSkipVerify: true,
	})
	must(t, err)
	defer conn.Close()
	if got := conn.ConnectionState(); !bytes.Equal(got.PeerCertificates[0].Raw, h.acme.Certificate[0]) ||
		got.NegotiatedProtocol != transport.ALPNACME {
		t.Error("another answer")
	}
	// The file relay answers for its own name.
	session := h.dial(t, h.id, h.files, transport.ALPNACME, "smp/1")
	expect(t, session.Conn, "files")
}

func TestIdentitiesDiffer(t *testing.T) {
	h := (&house{filesID: newIdentity(t)}).open(t)
	h.says(t, "an identity of its own")
	session := h.dial(t, h.id, "", "http/1.1")
	_, err := io.WriteString(session.Conn, preface)
	must(t, err)
	expect(t, session.Conn, "messages")
	expect(t, h.dial(t, h.filesID, "", "xftp/1").Conn, "files")
}

func TestFileRelayDown(t *testing.T) {
	h := new(house).open(t)
	h.says(t, sameIdentity)
	must(t, h.filesLn.Close())
	must(t, h.inner.Close())
	raw, err := net.Dial("tcp", h.at)
	must(t, err)
	defer raw.Close()
	must(t, raw.SetDeadline(time.Now().Add(patience)))
	err = tls.Client(raw, &tls.Config{NextProtos: []string{"xftp/1"}, InsecureSkipVerify: true}).Handshake()
	if err == nil || !strings.Contains(err.Error(), "internal error") {
		t.Errorf("refused with %v", err)
	}
	session := h.dial(t, h.id, "", "http/1.1")
	_, err = io.WriteString(session.Conn, preface)
	must(t, err)
	if n, err := session.Conn.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("%d bytes, %v, want the end", n, err)
	}
	expect(t, h.dial(t, h.id, "", "smp/1").Conn, "messages")
	expect(t, h.dial(t, h.id, "", "http/1.1").Conn, "messages")
	if log := h.log.String(); strings.Count(log, "cannot be reached") != 1 || strings.Contains(log, "127.0.0.1") {
		t.Errorf("the log: %s", log)
	}
}

func TestNoFileRelay(t *testing.T) {
	h := (&house{noFiles: true}).open(t)
	_, err := tls.Dial("tcp", h.at, &tls.Config{NextProtos: []string{"xftp/1"}, InsecureSkipVerify: true})
	if err == nil || !strings.Contains(err.Error(), "no application protocol") {
		t.Errorf("refused with %v", err)
	}
	expect(t, h.dial(t, h.id, "", "http/1.1").Conn, "messages")
}

func TestBadBeginnings(t *testing.T) {
	h := new(house).open(t)
	for sent, want := range map[string]string{
		"":                                     "",
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n":    "400 Bad Request",
		"EHLO mail\r\n":                        "",
		"\x16\x03\x01\x00\x04\x02\x00\x00\x00": "\x15\x03\x03\x00\x02\x02\x32",
		"\x16\x03\x01\x00\x04\x01\x01\x00\x00": "\x15\x03\x03\x00\x02\x02\x16",
	} {
		conn, err := net.Dial("tcp", h.at)
		must(t, err)
		must(t, conn.SetDeadline(time.Now().Add(patience)))
		_, err = io.WriteString(conn, sent)
		must(t, err)
		if sent == "" {
			must(t, conn.(*net.TCPConn).CloseWrite())
		}
		got, err := io.ReadAll(conn)
		if err != nil || !strings.Contains(string(got), want) || want == "" && len(got) > 0 {
			t.Errorf("after %q: %q, %v, want %q", sent, got, err, want)
		}
		_ = conn.Close()
	}
	eventually(t, "all are gone", func() bool { return h.listener.Stats().Connections == 0 })
}

func TestCounts(t *testing.T) {
	h := new(house).open(t)
	for i := range 5 {
		for _, alpn := range []string{"smp/1", "xftp/1", "http/1.1"} {
			session := h.dial(t, h.id, "", alpn)
			_, err := session.Conn.Read(make([]byte, 1))
			must(t, err)
		}
		eventually(t, "handshakes are over", func() bool {
			s := h.listener.Stats()
			return s.Handshakes == 0 && s.Connections == 3*(i+1)
		})
	}
}

func TestGoroutinesOfSplices(t *testing.T) {
	h := new(house).open(t)
	before := goroutinesIn("frontdoor.forward")
	const n = 20
	var open []*transport.Session
	for range n {
		session := h.dial(t, h.id, "", "xftp/1")
		expect(t, session.Conn, "files")
		open = append(open, session)
	}
	if got := goroutinesIn("frontdoor.forward") - before; got != 2*n {
		t.Errorf("%d goroutines for %d connections", got, n)
	}
	for _, session := range open {
		must(t, session.Abort())
	}
	eventually(t, "they end", func() bool { return goroutinesIn("frontdoor.forward") == before })
}

// goroutinesIn counts goroutines that are in a function.
func goroutinesIn(name string) int {
	var b bytes.Buffer
	writeStacks(&b)
	n := 0
	for stack := range strings.SplitSeq(b.String(), "\n\n") {
		if strings.Contains(stack, name) {
			n++
		}
	}
	return n
}

func TestLogNamesNobody(t *testing.T) {
	h := (&house{filesID: newIdentity(t)}).open(t)
	h.says(t, "")
	session := h.dial(t, h.id, "", "smp/1")
	expect(t, session.Conn, "messages")
	log := h.log.String()
	for _, secret := range []string{"127.0.0.1", session.Conn.LocalAddr().String(), fmt.Sprintf("%x", session.ID), h.own, h.files} {
		if strings.Contains(log, secret) {
			t.Errorf("the log has %q: %s", secret, log)
		}
	}
}
