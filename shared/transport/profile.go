// Package transport carries SMP over TCP: the TLS profile that apps and relays agree on, the session id both ends
// derive from the handshake, a listener with limits, and connections that speak in blocks of 16384 bytes.
//
// A relay accepts from a [Listener], runs [ServerHandshake] on what it gets, and wraps the result in a [BlockConn]:
// first for the two hellos, then, with the keys agreed there, for transmissions.
//
// Spec: smp.md 3
package transport

import (
	"crypto/tls"
	"crypto/x509"

	"sotto/shared/identity"
)

// The ALPN protocols of SMP, in the relay's order of preference. Apps offer [ALPN], or [ALPNHTTP1] in web port mode.
//
// Spec: smp.md 3.5
const (
	ALPN      = "smp/1"
	ALPNHTTP2 = "h2"
	ALPNHTTP1 = "http/1.1"
)

// ServerConfig returns the TLS profile of a relay that presents id.
//
// Apps send a key share for X448 alone; crypto/tls asks them for X25519 with a HelloRetryRequest. Client
// certificates are not requested, because a client whose certificate is Ed448 would break off the handshake, while
// without the request it goes on as an ordinary client.
//
// Spec: smp.md 3.1
// Spec: smp.md 3.5
// Spec: smp.md 16
func ServerConfig(id *identity.Identity) *tls.Config {
	return &tls.Config{
		Certificates:           []tls.Certificate{id.TLSCertificate()},
		NextProtos:             []string{ALPN, ALPNHTTP2, ALPNHTTP1},
		MinVersion:             tls.VersionTLS12,
		MaxVersion:             tls.VersionTLS13,
		CipherSuites:           []uint16{tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256},
		CurvePreferences:       []tls.CurveID{tls.X25519},
		ClientAuth:             tls.NoClientCert,
		SessionTicketsDisabled: true,
		// A block is one record and one write, instead of a dozen small ones at the start of a connection.
		DynamicRecordSizingDisabled: true,
	}
}

// WithWeb returns the configuration for a port shared with HTTPS: a client that sends SNI, whatever the name, gets
// web, and one without gets relay. [Session.SNI] tells the two apart after the handshake.
//
// Spec: smp.md 3.6
func WithWeb(relay, web *tls.Config) *tls.Config {
	shared := relay.Clone()
	shared.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if hello.ServerName != "" {
			return web, nil
		}
		return relay, nil
	}
	return shared
}

// clientConfig returns the TLS profile of a client, without the check of the relay's chain.
//
// TLS 1.3 suites cannot be chosen in crypto/tls. What can be: the TLS 1.2 suites, which are listed before them. A Go
// relay takes the first suite it knows as the client's word on whether AES is preferred. With ChaCha20-Poly1305 as the
// only TLS 1.2 suite it answers TLS_CHACHA20_POLY1305_SHA256, which apps and other relays offer alone.
//
// Spec: smp.md 3.1
func clientConfig(alpn []string) *tls.Config {
	return &tls.Config{
		NextProtos:                  alpn,
		MinVersion:                  tls.VersionTLS12,
		MaxVersion:                  tls.VersionTLS13,
		CipherSuites:                []uint16{tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256},
		CurvePreferences:            []tls.CurveID{tls.X25519},
		InsecureSkipVerify:          true, // the chain is checked against the fingerprint in VerifyConnection
		DynamicRecordSizingDisabled: true,
	}
}

// rawChain returns the certificates as they were sent.
func rawChain(certs []*x509.Certificate) [][]byte {
	chain := make([][]byte, len(certs))
	for i, cert := range certs {
		chain[i] = cert.Raw
	}
	return chain
}
