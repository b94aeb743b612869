package e2e

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"sotto/shared/relay"
)

// listenAndDo accepts connections on a port of its own and gives each to do.
func listenAndDo(t *testing.T, do func(net.Conn)) (address string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, "listen", err)
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go do(c)
		}
	}()
	return ln.Addr().String()
}

// TestTry runs `smp try` against relays that work and others that do not, and expects plain reasons.
func TestTry(t *testing.T) {
	r := startRelay(t)
	address := strings.TrimSpace(command(t, r.Env, "address", "--plain").stdout)
	works := command(t, nil, "try", address)
	works.expect(t, exitOK, "connect", "TLS", "NEW", "SKEY", "SEND", "MSG", "ACK", "DEL", "The relay works")
	t.Logf("it says:\n%s", works.stdout)

	fingerprint, location, _ := strings.Cut(strings.TrimPrefix(address, "smp://"), "@")
	at := func(location string) string { return "smp://" + fingerprint + "@" + location }
	closed, err := relay.FreePort()
	must(t, "port", err)
	silent := listenAndDo(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	web := listenAndDo(t, func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n"); _ = c.Close() })
	rude := listenAndDo(t, func(c net.Conn) { _ = c.Close() })
	cases := []struct {
		name, address string
		says          string
	}{
		{"nothing listens", at("127.0.0.1:" + closed), "refuses connections on port " + closed},
		{"another relay's fingerprint", "smp://" + strings.Repeat("A", 43) + "=@" + location, "another identity"},
		{"half a fingerprint", "smp://AAAA@" + location, "The test failed"},
		{"silence", at(silent), "The TLS handshake did not end"},
		{"no TLS", at(web), "does not speak TLS"},
		{"it hangs up", at(rude), "cut during the TLS handshake"},
		{"no such name", at("no-such-relay.invalid"), "no-such-relay.invalid"},
		{"only an onion host", at(strings.Repeat("a", 56) + ".onion"), "Tor"},
		{"no address", "relay.example.org", "This is no relay address"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { expectFailure(t, c.address, c.says) })
	}
}

// expectFailure runs `smp try`, which must end with code 1, soon, and this reason.
func expectFailure(t *testing.T, address, says string) {
	t.Helper()
	const appsWait = 15 * time.Second // for a connection
	r := command(t, nil, "try", address)
	r.expect(t, exitError, "The test failed", says)
	if r.took > appsWait+5*time.Second {
		t.Errorf("it took %v", r.took)
	}
	t.Logf("after %v:\n%s%s", r.took.Round(time.Millisecond), r.stdout, r.stderr)
}

// TestTryWithPassword needs the relay's password, and the right one.
func TestTryWithPassword(t *testing.T) {
	r := startRelay(t, "SMP_CREATE_PASSWORD=s3cret")
	right := strings.TrimSpace(command(t, r.Env, "address", "--plain").stdout)
	command(t, nil, "try", right).expect(t, exitOK)
	expectFailure(t, strings.Replace(right, ":s3cret@", ":guess@", 1), "the password in the address is wrong")
	expectFailure(t, strings.Replace(right, ":s3cret@", "@", 1), "needs a password")
}

// TestTryWhereNobodyMayCreate says so.
func TestTryWhereNobodyMayCreate(t *testing.T) {
	r := startRelay(t, "SMP_NEW_QUEUES=false")
	address := strings.TrimSpace(command(t, r.Env, "address", "--plain").stdout)
	expectFailure(t, address, "new queues are turned off")
}

// TestTryOldRelay tests a relay that speaks the oldest version only.
func TestTryOldRelay(t *testing.T) {
	r := startRelay(t, "SMP_MAX_VERSION=6")
	address := strings.TrimSpace(command(t, r.Env, "address", "--plain").stdout)
	command(t, nil, "try", address).expect(t, exitOK, "The relay works")
}
