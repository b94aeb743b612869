package probe

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"sotto/services/xftp/internal/client"
	"sotto/services/xftp/internal/client/clienttest"
	"sotto/shared/address"
	"sotto/shared/identity"
	"sotto/shared/report"
	"sotto/shared/transport"
	"sotto/shared/wire"
	"sotto/shared/xftp"
)

// run tests a relay and returns what a person sees.
func run(t *testing.T, ctx context.Context, server address.Server, change func(*prober)) (string, error) {
	t.Helper()
	var out bytes.Buffer
	p := newProber(server, &out)
	p.host, _ = client.Address(server)
	if change != nil {
		change(p)
	}
	err := p.run(ctx)
	checkSecrets(t, server, out.String())
	if err != nil {
		checkSecrets(t, server, err.Error())
		var failure *report.Failure
		if !errors.As(err, &failure) || failure.Reason == "" || !strings.Contains(unwrap(out.String()), failure.Reason) {
			t.Errorf("the reason %q is not in the output", err)
		}
	}
	return out.String(), err
}

// unwrap puts text on one line.
func unwrap(s string) string { return strings.Join(strings.Fields(s), " ") }

// checkSecrets looks for the fingerprint and the password in s.
func checkSecrets(t *testing.T, server address.Server, s string) {
	t.Helper()
	for _, secret := range []string{
		base64.RawURLEncoding.EncodeToString(server.Fingerprint), hex.EncodeToString(server.Fingerprint), string(server.Password),
	} {
		if secret != "" && strings.Contains(s, secret) {
			t.Errorf("the output has a secret: %s", s)
		}
	}
}

// fails tests a relay, which must fail for this reason.
func fails(t *testing.T, server address.Server, change func(*prober), reason string) string {
	t.Helper()
	out, err := run(t, t.Context(), server, change)
	if err == nil || !strings.Contains(err.Error(), reason) {
		t.Fatalf("got %v, want %q, after\n%s", err, reason, out)
	}
	return out
}

// stepLine is a line of a step, or of the version.
var stepLine = regexp.MustCompile(`^  ok  \S.*\S +(\d+\.\d m?s|\d+)$`)

func TestRelayThatWorks(t *testing.T) {
	relay := clienttest.Start(t, clienttest.Options{})
	var out bytes.Buffer
	if err := Run(t.Context(), relay.Address().String(), nil, &out); err != nil {
		t.Fatalf("%v, after\n%s", err, out.String())
	}
	t.Logf("\n%s", out.String())
	checkSecrets(t, relay.Address(), out.String())
	steps, width := 0, 0
	for line := range strings.Lines(out.String()) {
		line = strings.TrimSuffix(line, "\n")
		if !strings.HasPrefix(line, " ") {
			continue
		}
		if !stepLine.MatchString(line) || (width != 0 && len(line) != width) {
			t.Errorf("line %q is not aligned", line)
		}
		steps, width = steps+1, len(line)
	}
	if steps != 12 {
		t.Errorf("%d steps", steps)
	}
	for _, want := range []string{"connect", "TLS", "handshake", "FNEW", "FPUT", "FGET", "FDEL", "4 MB", "The relay works"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s", want)
		}
	}
	if relay.Chunks() != 0 || relay.Dialed.Load() != 1 {
		t.Errorf("%d chunks were left behind, %d connections made", relay.Chunks(), relay.Dialed.Load())
	}
}

func TestOldRelay(t *testing.T) {
	relay := clienttest.Start(t, clienttest.Options{Versions: wire.VersionRange{Min: 1, Max: 1}})
	if _, err := run(t, t.Context(), relay.Address(), nil); err != nil {
		t.Error(err)
	}
	relay = clienttest.Start(t, clienttest.Options{Versions: wire.VersionRange{Min: 7, Max: 8}})
	fails(t, relay.Address(), nil, "none of the protocol versions 1 to 3")
}

func TestPassword(t *testing.T) {
	relay := clienttest.Start(t, clienttest.Options{Password: "a-good-one"})
	server := relay.Address()
	fails(t, server, nil, "needs a password")
	server.Password = address.Password("a-bad-one")
	fails(t, server, nil, "the password in the address is wrong")
	server.Password = address.Password("a-good-one")
	if _, err := run(t, t.Context(), server, nil); err != nil {
		t.Error(err)
	}
}

func TestWrongFingerprint(t *testing.T) {
	server := clienttest.Start(t, clienttest.Options{}).Address()
	server.Fingerprint[0] ^= 1
	out := fails(t, server, nil, "another identity")
	if !strings.Contains(out, "  ok  connect") || !strings.Contains(out, "  --  TLS and identity") {
		t.Errorf("it does not say where it failed:\n%s", out)
	}
	server.Fingerprint = server.Fingerprint[:20]
	fails(t, server, nil, "incomplete")
}

// TestFull is a relay with room for the app's chunk and not for the large one.
func TestFull(t *testing.T) {
	relay := clienttest.Start(t, clienttest.Options{Quota: 1 << 20})
	out := fails(t, relay.Address(), nil, "storage is full")
	if !strings.Contains(out, "  ok  delete it") || !strings.Contains(out, "  --  upload it") {
		t.Errorf("it does not say where it failed:\n%s", out)
	}
	if relay.Chunks() != 0 {
		t.Error("a chunk was left behind")
	}
}

// TestRelayWithFaults are relays that do not what they should with a chunk.
func TestRelayWithFaults(t *testing.T) {
	for reason, fault := range map[string]struct {
		step   string
		answer func(http.ResponseWriter, *clienttest.Request)
	}{
		"other bytes than were sent": {"FGET", func(w http.ResponseWriter, r *clienttest.Request) {
			file, sealed := clienttest.Seal(r, make([]byte, appSize))
			clienttest.Answer(w, r, file)
			_, _ = w.Write(sealed)
		}},
		"more or fewer bytes": {"FGET", func(w http.ResponseWriter, r *clienttest.Request) {
			file, _ := clienttest.Seal(r, nil)
			clienttest.Answer(w, r, file)
		}},
		"does not decrypt": {"FGET", func(w http.ResponseWriter, r *clienttest.Request) {
			file, _ := clienttest.Seal(r, nil)
			clienttest.Answer(w, r, file)
			_, _ = w.Write(make([]byte, appSize+16))
		}},
		"has not been finished (NO_FILE)": {"FGET", func(w http.ResponseWriter, r *clienttest.Request) {
			clienttest.Answer(w, r, xftp.ERR{Err: xftp.ErrNoFile})
		}},
		"does not take chunks of this size": {"FNEW", func(w http.ResponseWriter, r *clienttest.Request) {
			clienttest.Answer(w, r, xftp.ERR{Err: xftp.ErrSize})
		}},
		"does not fit the command": {"FDEL", func(w http.ResponseWriter, r *clienttest.Request) {
			clienttest.Answer(w, r, xftp.SIDS{SenderID: wire.EntityID("s"), RecipientIDs: []wire.EntityID{{1}}})
		}},
		"The relay did not answer (waited 200.0 ms)": {"FPUT", func(_ http.ResponseWriter, r *clienttest.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Request.Context().Done()
		}},
		"refuses the handshake": {"handshake", func(w http.ResponseWriter, _ *clienttest.Request) {
			var head [xftp.BlockSize]byte
			xftp.PutWord(&head, xftp.ErrHandshake)
			_, _ = w.Write(head[:])
		}},
		"speaks TLS and HTTP/2": {"hello", func(w http.ResponseWriter, _ *clienttest.Request) {
			_, _ = io.WriteString(w, "404 page not found")
		}},
		"says nothing after TLS": {"hello", func(_ http.ResponseWriter, r *clienttest.Request) {
			<-r.Request.Context().Done()
		}},
	} {
		t.Run(reason, func(t *testing.T) {
			relay := clienttest.Start(t, clienttest.Options{Hook: func(w http.ResponseWriter, r *clienttest.Request) bool {
				if r.Step == fault.step {
					fault.answer(w, r)
				}
				return r.Step == fault.step
			}})
			fails(t, relay.Address(), func(p *prober) {
				p.options.RequestTimeout, p.options.StallTimeout = 200*time.Millisecond, 200*time.Millisecond
			}, reason)
			if relay.Chunks() != 0 && fault.step != "FDEL" {
				t.Error("a chunk was left behind")
			}
		})
	}
}

// listen accepts connections for do, which ends when they are closed, and returns the address of this, which is no relay.
func listen(t *testing.T, do func(net.Conn)) address.Server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				do(c)
			}()
		}
	}()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	return address.Server{
		Scheme: address.XFTP, Fingerprint: bytes.Repeat([]byte{0xab}, 32), Hosts: []address.Host{"127.0.0.1"}, Port: port,
	}
}

// afterTLS is listen for something with an identity that takes these protocols.
func afterTLS(t *testing.T, do func(*tls.Conn), protocols ...string) address.Server {
	t.Helper()
	id, err := identity.Create(t.TempDir(), "localhost", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	cfg := transport.ServerConfig(id)
	cfg.NextProtos = protocols
	server := listen(t, func(raw net.Conn) {
		s, err := transport.ServerHandshake(context.Background(), raw, cfg)
		if err != nil {
			return
		}
		do(s.Conn.(*tls.Conn))
		_ = s.Conn.Close()
	})
	fingerprint := id.Fingerprint()
	server.Fingerprint = fingerprint[:]
	return server
}

func TestNoRelay(t *testing.T) {
	hurry := func(p *prober) { p.options.ConnectTimeout = 200 * time.Millisecond }
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := listen(t, func(net.Conn) {})
	_, gone.Port, _ = net.SplitHostPort(ln.Addr().String())
	_ = ln.Close()
	fails(t, gone, nil, "refuses connections on port")
	fails(t, listen(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }), hurry, "The TLS handshake did not end (waited 200.0 ms)")
	fails(t, listen(t, func(net.Conn) {}), nil, "cut during the TLS handshake")
	fails(t, listen(t, func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") }), nil, "does not speak TLS")
	fails(t, afterTLS(t, func(*tls.Conn) {}, "smp/1"), nil, "does not take the protocol xftp/1")
	fails(t, afterTLS(t, func(*tls.Conn) {}), nil, "does not take the protocol xftp/1")
	fails(t, afterTLS(t, func(*tls.Conn) {}, "xftp/1"), nil, "closed the connection instead of a hello")
	fails(t, afterTLS(t, func(c *tls.Conn) { _, _ = io.Copy(io.Discard, c) }, "xftp/1"), hurry, "says nothing after TLS")
}

func TestNoNetwork(t *testing.T) {
	server := address.Server{Scheme: address.XFTP, Fingerprint: make([]byte, 32), Hosts: []address.Host{"xftp.example.org"}}
	for reason, err := range map[string]error{
		"There is no host named xftp.example.org in DNS": &net.DNSError{IsNotFound: true},
		"DNS does not answer":                            &net.DNSError{IsTimeout: true},
		"There is no way to xftp.example.org":            &net.OpError{Op: "dial", Err: syscall.ENETUNREACH},
		"does not answer on port 443 (waited 45.0 s)":    context.DeadlineExceeded,
		"No connection to xftp.example.org, port 443":    errors.New("the reason names 192.0.2.1"),
	} {
		out := fails(t, server, func(p *prober) {
			p.options.Dialer = func(context.Context, string, string) (net.Conn, error) { return nil, err }
		}, reason)
		if strings.Contains(out, "192.0.2.1") {
			t.Errorf("an error is quoted:\n%s", out)
		}
	}
}

func TestAddresses(t *testing.T) {
	onion := "xftp://" + strings.Repeat("A", 43) + "=@" + strings.Repeat("a", 56) + ".onion"
	for relay, reason := range map[string]string{
		"xftp.example.org":            "This is no relay address",
		"":                            "This is no relay address",
		"smp://AAAA@smp.example.org":  "This is no relay address",
		"xftp://AAAA@":                "a host is missing",
		"xftp://\x1b[31m@example.org": "the fingerprint is not base64url",
		onion:                         "only .onion hosts",
	} {
		var out bytes.Buffer
		err := Run(t.Context(), relay, nil, &out)
		if err == nil || !strings.Contains(err.Error(), reason) || !strings.Contains(unwrap(out.String()), reason) {
			t.Errorf("%q: got %v", relay, err)
		}
		if strings.Contains(out.String(), "\x1b") {
			t.Errorf("%q moves the cursor", relay)
		}
	}
}

func TestCanceled(t *testing.T) {
	relay := clienttest.Start(t, clienttest.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := run(t, ctx, relay.Address(), nil); err == nil || err.Error() != "The test was stopped." {
		t.Errorf("got %v", err)
	}
}

func TestExplain(t *testing.T) {
	p := newProber(address.Server{}, io.Discard)
	for reason, err := range map[string]error{
		"did not answer (waited 30.0 s)": context.DeadlineExceeded,
		"The test was stopped.":          &client.DialError{Stage: client.StageHello, Err: context.Canceled},
		"it needs a password":            errRefused,
		"other bytes than were sent":     errBody,
	} {
		if got := p.explain(err); !strings.Contains(got, reason) {
			t.Errorf("got %q, want %q", got, reason)
		}
	}
}
