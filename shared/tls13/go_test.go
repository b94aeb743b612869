package tls13

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"sotto/shared/key"
)

// written keeps what is written to a connection.
type written struct {
	net.Conn
	kept  bytes.Buffer
	calls int
}

func (w *written) Write(p []byte) (int, error) {
	w.calls++
	w.kept.Write(p)
	return w.Conn.Write(p)
}

// goServer returns what crypto/tls needs to be a relay, with the log of its secrets.
func goServer(own *Certificate, log io.Writer) *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: own.Chain, PrivateKey: own.Key}},
		NextProtos:   []string{"smp/1"},
		KeyLogWriter: log,
	}
}

// TestGo makes handshakes with crypto/tls, and opens what the client has sent with the secret that crypto/tls logs.
func TestGo(t *testing.T) {
	own := relay(t, key.Ed25519)
	for _, id := range []uint16{ChaCha20Poly1305, AES128GCM, AES256GCM} {
		for _, ask := range []bool{false, true} {
			var log bytes.Buffer
			config := goServer(own, &log)
			if ask {
				config.ClientAuth = tls.RequireAnyClientCert
			}
			clientRaw, serverRaw := loopback(t)
			server := tls.Server(serverRaw, config)
			failed := make(chan error, 1)
			go func() { failed <- server.Handshake() }()
			raw := &written{Conn: clientRaw}
			client, err := Client(t.Context(), raw, &Config{
				VerifyChain: trusts(own), Certificate: relay(t, key.Ed25519), ALPN: []string{"smp/1"}, Suites: []uint16{id},
			})
			if serverErr := <-failed; err != nil || serverErr != nil {
				t.Fatalf("client: %v, server: %v", err, serverErr)
			}
			state, theirs := client.State(), server.ConnectionState()
			if theirs.CipherSuite != id || theirs.NegotiatedProtocol != state.ALPN || ask != (len(theirs.PeerCertificates) == 2) {
				t.Errorf("suite %x, ALPN %q and %q, %d certificates",
					theirs.CipherSuite, theirs.NegotiatedProtocol, state.ALPN, len(theirs.PeerCertificates))
			}
			sent := openHandshake(t, raw.kept.Bytes(), log.String(), id)
			if !bytes.HasSuffix(sent, marshalFinished(state.ClientFinished)) {
				t.Errorf("session id %x, sent %x", state.ClientFinished, sent)
			}
			checkGo(t, client, server)
		}
	}
}

// openHandshake returns the messages under keys in what a client has sent.
func openHandshake(t *testing.T, sent []byte, log string, id uint16) (messages []byte) {
	t.Helper()
	_, line, _ := strings.Cut(log, "CLIENT_HANDSHAKE_TRAFFIC_SECRET ")
	secret, err := hex.DecodeString(strings.Fields(line)[1])
	if err != nil {
		t.Fatal(err)
	}
	var open half
	open.protect(suiteOf(id), secret)
	for len(sent) > 0 {
		n := recordHeader + int(binary.BigEndian.Uint16(sent[3:]))
		if sent[0] == recordData {
			kind, content, err := open.open(bytes.Clone(sent[:n]))
			if err != nil || kind != recordHandshake {
				t.Fatalf("type %d, %v", kind, err)
			}
			messages = append(messages, content...)
		}
		sent = sent[n:]
	}
	return messages
}

// checkGo sends data both ways until both have said farewell.
func checkGo(t *testing.T, client *Conn, server *tls.Conn) {
	t.Helper()
	data := bytes.Repeat([]byte("block"), 10000)
	go func() {
		io.Copy(server, server)
		server.CloseWrite()
	}()
	go func() {
		client.Write(data)
		client.CloseWrite()
	}()
	got, err := io.ReadAll(client)
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes came back, %v", len(got), err)
	}
}

// TestGoRefuses meets servers of crypto/tls with which there is nothing in common.
func TestGoRefuses(t *testing.T) {
	own := relay(t, key.Ed25519)
	for name, c := range map[string]struct {
		change func(*tls.Config)
		want   error
	}{
		"TLS 1.2":       {func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, alertProtocolVersion},
		"another group": {func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.CurveP256} }, alertHandshakeFailure},
		"other ALPN":    {func(c *tls.Config) { c.NextProtos = []string{"h3"} }, alertNoApplicationProtocol},
	} {
		t.Run(name, func(t *testing.T) {
			config := goServer(own, nil)
			c.change(config)
			clientRaw, serverRaw := loopback(t)
			go tls.Server(serverRaw, config).Handshake()
			_, err := Client(t.Context(), clientRaw, &Config{VerifyChain: trusts(own), ALPN: []string{"smp/1"}})
			if !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
}
