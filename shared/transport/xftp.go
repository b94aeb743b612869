package transport

import (
	"crypto/tls"

	"sotto/shared/identity"
)

// FileConfig returns the TLS profile of a relay for files that presents id, and to clients which name a host, as browsers
// do, the certificate that web returns, unless that is nil. Session ids must be of one connection alone, so there is no
// resumption.
//
// Native clients send a key share for X448 alone; crypto/tls asks them for X25519. Browsers may have no suite with
// ChaCha20, and prefer other groups.
//
// Spec: xftp.md 3.1
// Spec: xftp.md 3.2
// Spec: xftp.md 3.3
func FileConfig(id *identity.Identity, alpn []string, web func() *tls.Certificate) *tls.Config {
	own := ServerConfig(id)
	own.NextProtos = alpn
	own.DynamicRecordSizingDisabled = true
	if web == nil {
		return own
	}
	browsers := own.Clone()
	browsers.CipherSuites = nil // crypto/tls's own, which are all sound
	browsers.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384}
	browsers.Certificates = nil
	browsers.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return web(), nil }
	shared := own.Clone()
	shared.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if hello.ServerName != "" && web() != nil {
			return browsers, nil
		}
		return own, nil
	}
	return shared
}
