package e2e

import (
	"io"
	"net"
	"strings"
	"testing"
)

// proxy passes TCP connections on to another address, with a PROXY header that names a client.
func proxy(t *testing.T, to string) (address string) {
	t.Helper()
	return listenAndDo(t, func(client net.Conn) {
		defer client.Close()
		relay, err := net.Dial("tcp", to)
		if err != nil {
			return
		}
		defer relay.Close()
		if _, err := io.WriteString(relay, "PROXY TCP4 192.0.2.77 192.0.2.1 40000 443\r\n"); err != nil {
			return
		}
		go func() {
			_, _ = io.Copy(relay, client)
			_ = relay.Close()
		}()
		_, _ = io.Copy(client, relay)
	})
}

// TestBehindProxy tests a relay whose ports take connections of a proxy, with the client's address in front.
func TestBehindProxy(t *testing.T) {
	relayBinary(t)
	front := "127.0.0.1:" + freePort(t)
	r := startRelay(t, "SMP_PROXY_PROTOCOL=true", "SMP_FRONT_LISTEN="+front, "SMP_ACME=false")
	server, err := r.Server()
	must(t, "address", err)
	fingerprint, _, _ := strings.Cut(server.String(), "@")
	for name, port := range map[string]string{"own port": "127.0.0.1:" + r.Port, "front door": front} {
		for _, road := range []string{"", "--web-port", "--old"} {
			args := appendRoad("try", road, fingerprint+"@"+proxy(t, port))
			command(t, nil, args...).expect(t, exitOK, "The relay works")
		}
		if c := command(t, nil, "try", fingerprint+"@"+port); c.code == exitOK {
			t.Errorf("%s: a connection without the header is taken", name)
		}
	}
	command(t, r.Env, "health").expect(t, exitOK, "ready")
	if log := r.Stdout.String() + r.Stderr.String(); strings.Contains(log, "192.0.2.77") {
		t.Error("the log has the client's address")
	}
}
