package probe

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sotto/services/smp/internal/client"
	"sotto/services/smp/internal/queue"
	"sotto/services/smp/internal/server"
	"sotto/services/smp/internal/smptest"
	"sotto/services/smp/internal/store/memstore"
	"sotto/shared/identity"
	"sotto/shared/smp"
	"sotto/shared/transport"
	"sotto/shared/wire"
)

// run tests a relay and returns what a person sees.
func run(t *testing.T, ctx context.Context, address smp.Server, change func(*prober)) (string, error) {
	t.Helper()
	var out bytes.Buffer
	p := newProber(address, &out)
	p.host, _ = client.Address(address)
	if change != nil {
		change(p)
	}
	err := p.run(ctx)
	checkSecrets(t, address, out.String())
	if err != nil {
		checkSecrets(t, address, err.Error())
		var failure *Failure
		if !errors.As(err, &failure) || failure.Reason == "" || !strings.Contains(unwrap(out.String()), failure.Reason) {
			t.Errorf("the reason %q is not in the output", err)
		}
	}
	return out.String(), err
}

// unwrap puts text on one line.
func unwrap(s string) string { return strings.Join(strings.Fields(s), " ") }

// checkSecrets looks for the fingerprint and the password in s.
func checkSecrets(t *testing.T, address smp.Server, s string) {
	t.Helper()
	for _, secret := range []string{
		base64.RawURLEncoding.EncodeToString(address.Fingerprint), hex.EncodeToString(address.Fingerprint), string(address.Password),
	} {
		if secret != "" && strings.Contains(s, secret) {
			t.Errorf("the output has a secret: %s", s)
		}
	}
}

// fails tests a relay, which must fail for this reason.
func fails(t *testing.T, address smp.Server, change func(*prober), reason string) string {
	t.Helper()
	out, err := run(t, context.Background(), address, change)
	if err == nil || !strings.Contains(err.Error(), reason) {
		t.Fatalf("got %v, want %q, after\n%s", err, reason, out)
	}
	return out
}

// stepLine is a line of a step, or of the version.
var stepLine = regexp.MustCompile(`^  ok  \S.*\S +(\d+\.\d m?s|\d+)$`)

func TestRelayThatWorks(t *testing.T) {
	relay := smptest.Start(t, smptest.Options{})
	var out bytes.Buffer
	if err := Run(context.Background(), relay.Address().String(), nil, &out); err != nil {
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
	if steps != 14 {
		t.Errorf("%d steps", steps)
	}
	for _, want := range []string{"connect", "TLS", "hello", "NEW", "SKEY", "KEY", "SEND", "MSG", "ACK", "DEL", "The relay works"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s", want)
		}
	}
	if relay.Server.Subscriptions() != 0 {
		t.Error("a queue was left behind")
	}
}

func TestOldRelays(t *testing.T) {
	for _, v := range []wire.Version{6, 8, 9, 11, 17} {
		relay := smptest.Start(t, smptest.Options{Config: func(c *server.Config) { c.Versions.Max = v }})
		out, err := run(t, context.Background(), relay.Address(), nil)
		if err != nil {
			t.Errorf("version %d: %v", v, err)
		}
		if strings.Contains(out, "SKEY") != (v >= 9) {
			t.Errorf("version %d:\n%s", v, out)
		}
	}
}

func TestPassword(t *testing.T) {
	relay := smptest.Start(t, smptest.Options{Config: func(c *server.Config) { c.CreatePassword = []byte("a-good-one") }})
	address := relay.Address()
	fails(t, address, nil, "needs a password")
	address.Password = smp.BasicAuth("a-bad-one")
	fails(t, address, nil, "the password in the address is wrong")
	address.Password = smp.BasicAuth("a-good-one")
	if _, err := run(t, context.Background(), address, nil); err != nil {
		t.Error(err)
	}
	closed := smptest.Start(t, smptest.Options{Config: func(c *server.Config) { c.NewQueues = false }})
	fails(t, closed.Address(), nil, "new queues are turned off")
}

func TestWrongFingerprint(t *testing.T) {
	relay := smptest.Start(t, smptest.Options{})
	address := relay.Address()
	address.Fingerprint[0] ^= 1
	out := fails(t, address, nil, "another identity")
	if !strings.Contains(out, "  ok  connect") || !strings.Contains(out, "  --  TLS and identity") {
		t.Errorf("it does not say where it failed:\n%s", out)
	}
	address.Fingerprint = address.Fingerprint[:20]
	fails(t, address, nil, "incomplete")
}

// at is the address of something that is no relay.
func at(ln net.Listener) smp.Server {
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	return smp.Server{Fingerprint: bytes.Repeat([]byte{0xab}, 32), Hosts: []smp.Host{"127.0.0.1"}, Port: port}
}

// listen accepts connections for do, which ends when they are closed.
func listen(t *testing.T, do func(net.Conn)) smp.Server {
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
	return at(ln)
}

// afterTLS is listen for a relay that has an identity and no manners.
func afterTLS(t *testing.T, do func(*transport.Session)) smp.Server {
	t.Helper()
	id, err := identity.Create(t.TempDir(), "localhost", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	address := listen(t, func(raw net.Conn) {
		s, err := transport.ServerHandshake(context.Background(), raw, transport.ServerConfig(id))
		if err != nil {
			return
		}
		do(s)
		_ = s.Conn.Close()
	})
	fingerprint := id.Fingerprint()
	address.Fingerprint = fingerprint[:]
	return address
}

func silent(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// hurry shortens the wait for connections.
func hurry(p *prober) { p.connect = 200 * time.Millisecond }

func TestNoRelay(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	fails(t, at(ln), nil, "refuses connections on port")
	fails(t, listen(t, silent), hurry, "The TLS handshake did not end (waited 200.0 ms)")
	fails(t, listen(t, func(net.Conn) {}), nil, "cut during the TLS handshake")
	fails(t, listen(t, func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") }), nil, "does not speak TLS")
	fails(t, afterTLS(t, func(*transport.Session) {}), nil, "closed the connection instead of a hello")
	fails(t, afterTLS(t, func(s *transport.Session) {
		_, _ = io.WriteString(s.Conn, strings.Repeat("HTTP/1.1 400 Bad Request\r\n", 1000))
		silent(s.Conn)
	}), nil, "What answers is no relay")
	fails(t, afterTLS(t, func(s *transport.Session) {
		hello := smp.ServerHello{Versions: wire.VersionRange{Min: 20, Max: 21}, SessionID: []byte("other"), Chain: [][]byte{{}, {}}}
		_ = transport.NewBlockConn(s.Conn).WriteHello(hello.AppendTo(nil))
		silent(s.Conn)
	}), nil, "another TLS session")
}

func TestNoNetwork(t *testing.T) {
	address := smp.Server{Fingerprint: make([]byte, 32), Hosts: []smp.Host{"smp.example.org"}}
	for reason, err := range map[string]error{
		"There is no host named smp.example.org in DNS": &net.DNSError{IsNotFound: true},
		"DNS does not answer":                           &net.DNSError{IsTimeout: true},
		"There is no way to smp.example.org":            &net.OpError{Op: "dial", Err: syscall.ENETUNREACH},
		"does not answer on port 5223 (waited 15.0 s)":  context.DeadlineExceeded,
		"No connection to smp.example.org, port 5223":   errors.New("the reason names 192.0.2.1"),
	} {
		out := fails(t, address, func(p *prober) {
			p.options.Dialer = func(context.Context, string, string) (net.Conn, error) { return nil, err }
		}, reason)
		if strings.Contains(out, "192.0.2.1") {
			t.Errorf("an error is quoted:\n%s", out)
		}
	}
}

func TestAddresses(t *testing.T) {
	onion := "smp://" + strings.Repeat("A", 43) + "=@" + strings.Repeat("a", 56) + ".onion"
	for address, reason := range map[string]string{
		"smp.example.org":            "This is no relay address",
		"":                           "This is no relay address",
		"smp://AAAA@":                "a host is missing",
		"smp://\x1b[31m@example.org": "the fingerprint is not base64url",
		onion:                        "only .onion hosts",
	} {
		var out bytes.Buffer
		err := Run(context.Background(), address, nil, &out)
		if err == nil || !strings.Contains(err.Error(), reason) || !strings.Contains(unwrap(out.String()), reason) {
			t.Errorf("%q: got %v", address, err)
		}
		if strings.Contains(out.String(), "\x1b") {
			t.Errorf("%q moves the cursor", address)
		}
	}
}

func TestCanceled(t *testing.T) {
	relay := smptest.Start(t, smptest.Options{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := run(t, ctx, relay.Address(), nil); err == nil || err.Error() != "The test was stopped." {
		t.Errorf("got %v", err)
	}
}

// faulty is a store with a fault, which counts the queues that are left.
type faulty struct {
	*memstore.Store
	queues atomic.Int32
	change func(*queue.Message) *queue.Message
	err    error
}

func (s *faulty) Create(ctx context.Context, q *queue.Queue, link *queue.Link) error {
	s.queues.Add(1)
	return s.Store.Create(ctx, q, link)
}

func (s *faulty) Delete(ctx context.Context, q queue.Ref) error {
	s.queues.Add(-1)
	return s.Store.Delete(ctx, q)
}

func (s *faulty) Append(ctx context.Context, in []queue.NewMessage, results []queue.Appended) {
	if s.err != nil {
		for i := range results {
			results[i].Err = s.err
		}
		return
	}
	for i := range in {
		in[i].Message = s.change(in[i].Message)
	}
	s.Store.Append(ctx, in, results)
}

func TestRelayWithFaults(t *testing.T) {
	cases := []struct {
		name, reason string
		store        faulty
	}{
		{"another message", "delivered another message", faulty{change: func(m *queue.Message) *queue.Message {
			other := *m
			other.Body = bytes.Repeat([]byte("x"), len(m.Body))
			return &other
		}}},
		{"full", "refused this step with the error QUOTA", faulty{err: queue.ErrQuota}},
	}
	for i := range cases {
		tc := &cases[i]
		t.Run(tc.name, func(t *testing.T) {
			tc.store.Store = memstore.New(smptest.DefaultQuota)
			relay := smptest.Start(t, smptest.Options{Store: &tc.store})
			fails(t, relay.Address(), nil, tc.reason)
			if n := tc.store.queues.Load(); n != 0 {
				t.Errorf("%d queues were left behind", n)
			}
		})
	}
}

func TestExplain(t *testing.T) {
	p := newProber(smp.Server{}, io.Discard)
	p.host = "smp.example.org:5223"
	for reason, err := range map[string]error{
		"did not answer (waited 10.0 s)":              context.DeadlineExceeded,
		"closed the connection (closed by peer)":      &client.ConnError{Err: io.EOF},
		"not of this protocol":                        &client.ConnError{Err: client.ErrMalformed},
		"does not fit the command":                    &client.ResponseError{Tag: "PONG"},
		"error STORE ?[2Jx":                           smp.StoreError("\x1b[2Jx"),
		"error BLOCKED reason=spam":                   smp.BlockedError{Reason: smp.ReasonSpam},
		"expired or not yet valid":                    &client.DialError{Stage: client.StageTLS, Err: identity.ErrDates},
		"no TLS parameters in common":                 &client.DialError{Stage: client.StageTLS, Err: &net.OpError{Op: "remote error", Err: errors.New("x")}},
		"Is it a web server":                          &client.DialError{Stage: client.StageTLS, Err: identity.ErrChainLength},
		"The TLS handshake failed":                    &client.DialError{Stage: client.StageTLS, Err: errors.New("x")},
		"none of the protocol versions 6 to 18":       &client.DialError{Stage: client.StageHello, Err: client.ErrVersion},
		"not signed by its certificate":               &client.DialError{Stage: client.StageHello, Err: client.ErrIdentity},
		"The relay says nothing after TLS":            &client.DialError{Stage: client.StageHello, Err: context.DeadlineExceeded},
		"The hello failed":                            &client.DialError{Stage: client.StageHello, Err: errors.New("x")},
		"The test could not go on":                    errors.New("x"),
		"The test was stopped.":                       &client.DialError{Stage: client.StageHello, Err: context.Canceled},
		"refuses to create queues: it needs a passwo": errRefused,
	} {
		if got := p.explain(err); !strings.Contains(got, reason) {
			t.Errorf("got %q, want %q", got, reason)
		}
	}
}
