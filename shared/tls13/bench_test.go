package tls13

import (
	"crypto/tls"
	"io"
	"net"
	"runtime"
	"testing"

	"sotto/shared/key"
)

// goClient makes a handshake with crypto/tls's client, which checks the same and agrees on the same suite: servers of
// crypto/tls take the first that they know for the client's word on whether AES is preferred.
func goClient(raw net.Conn, own *Certificate) (net.Conn, error) {
	trusts := trusts(own)
	c := tls.Client(raw, &tls.Config{
		NextProtos:                  []string{"smp/1"},
		CipherSuites:                []uint16{tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256},
		CurvePreferences:            []tls.CurveID{tls.X25519},
		InsecureSkipVerify:          true,
		DynamicRecordSizingDisabled: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			return trusts([][]byte{state.PeerCertificates[0].Raw, state.PeerCertificates[1].Raw})
		},
	})
	return c, c.Handshake()
}

// compared are the clients that are compared, each against the server of crypto/tls.
func compared(b *testing.B, own *Certificate) map[string]func(net.Conn) (net.Conn, error) {
	cfg := &Config{VerifyChain: trusts(own), ALPN: []string{"smp/1"}}
	return map[string]func(net.Conn) (net.Conn, error){
		"crypto/tls": func(raw net.Conn) (net.Conn, error) { return goClient(raw, own) },
		"tls13":      func(raw net.Conn) (net.Conn, error) { return Client(b.Context(), raw, cfg) },
	}
}

// BenchmarkHandshake is what a handshake costs both its ends.
func BenchmarkHandshake(b *testing.B) {
	own := relay(b, key.Ed25519)
	config := goServer(own, nil)
	for name, connect := range compared(b, own) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				clientRaw, serverRaw := net.Pipe()
				go tls.Server(serverRaw, config).Handshake()
				if _, err := connect(clientRaw); err != nil {
					b.Fatal(err)
				}
				clientRaw.Close()
				serverRaw.Close()
			}
		})
	}
}

// BenchmarkWrite is the sending of blocks over loopback to a peer that drops them unopened.
func BenchmarkWrite(b *testing.B) {
	own := relay(b, key.Ed25519)
	config := goServer(own, nil)
	for name, connect := range compared(b, own) {
		b.Run(name, func(b *testing.B) {
			clientRaw, serverRaw := loopback(b)
			shaken := make(chan error, 1)
			go func() {
				shaken <- tls.Server(serverRaw, config).Handshake()
				io.Copy(io.Discard, serverRaw)
			}()
			c, err := connect(clientRaw)
			if err != nil || <-shaken != nil {
				b.Fatal(err)
			}
			block := make([]byte, maxContent)
			b.SetBytes(maxContent)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Write(block); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkIdle measures what one waiting connection keeps in memory, beside the connection below it.
func BenchmarkIdle(b *testing.B) {
	for b.Loop() {
		b.ReportMetric(idleBytes(b), "B/conn")
	}
}

// idleBytes returns what a connection keeps after a handshake and some data.
func idleBytes(t testing.TB) float64 {
	t.Helper()
	cfg, flight := recorded(t, &script{own: relay(t, key.Ed25519), after: data})
	const count = 500
	held := make([]*Conn, count)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.GC() // pools are emptied by the second
	runtime.ReadMemStats(&before)
	for i := range held {
		raw := &canned{in: &slowly{flight}}
		c, err := Client(t.Context(), raw, cfg)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		c.raw = nil
		held[i] = c
	}
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&after)
	kept := float64(after.HeapAlloc) - float64(before.HeapAlloc)
	runtime.KeepAlive(held)
	return kept / count
}

// TestIdle bounds what one waiting connection keeps in memory: the connection, its keys and the peer's chain, no buffer.
func TestIdle(t *testing.T) {
	const most = 2048
	if kept := idleBytes(t); kept > most {
		t.Errorf("%.0f bytes", kept)
	} else {
		t.Logf("%.0f bytes", kept)
	}
}
