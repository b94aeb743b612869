package transport

import (
	"context"
	"crypto/tls"
	"net"
	"slices"

	"sotto/shared/identity"
)

// FileTLS is the TLS profile of a relay for files: its identity for native clients, and a web certificate for those who
// name a host, as browsers do. It is safe for concurrent use.
//
// Spec: xftp.md 3.1
// Spec: xftp.md 3.2
type FileTLS struct {
	own      *tls.Config
	browsers *tls.Config // without its certificate
	web      func(*tls.ClientHelloInfo) *tls.Certificate
	acme     *tls.Config // nil: certificate authorities are not answered
}

// ALPNACME is the protocol of a certificate authority that checks who has the port.
//
// Source: RFC 8737 4
const ALPNACME = "acme-tls/1"

// browserSuites are those of TLS 1.2 that HTTP/2 permits, for web certificates of every kind.
var browserSuites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// NewFileTLS returns the profile of a relay that presents id and speaks the protocols of alpn, in its order of preference.
// web is asked at every ClientHello with a host name for the certificate to show; as long as it, or what it returns, is
// nil, these clients are shown the identity too.
//
// Native clients send a key share for X448 alone; crypto/tls asks them for X25519. Browsers may have no suite with
// ChaCha20, and prefer other groups. Session ids must be of one connection alone, so there is no resumption.
//
// Spec: xftp.md 3.1
// Spec: xftp.md 3.3
func NewFileTLS(id *identity.Identity, alpn []string, web func(*tls.ClientHelloInfo) *tls.Certificate) *FileTLS {
	own := ServerConfig(id)
	own.NextProtos = alpn
	browsers := own.Clone()
	browsers.Certificates = nil
	browsers.CipherSuites = browserSuites
	browsers.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384}
	if web == nil {
		web = func(*tls.ClientHelloInfo) *tls.Certificate { return nil }
	}
	return &FileTLS{own: own, browsers: browsers, web: web}
}

// Challenge makes the profile answer certificate authorities that ask who has the port, with the certificate that answer
// returns. It is called before the first handshake. The session has the protocol [ALPNACME] then, and nothing more to say.
func (f *FileTLS) Challenge(answer func(*tls.ClientHelloInfo) (*tls.Certificate, error)) {
	f.acme = &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{ALPNACME}, GetCertificate: answer}
}

// Handshake is [ServerHandshake] with this profile. web tells that the client was shown the web certificate: the
// connection is a browser's.
//
// Spec: xftp.md 3.2
func (f *FileTLS) Handshake(ctx context.Context, raw net.Conn) (s *Session, web bool, err error) {
	config := f.own.Clone()
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if f.acme != nil && slices.Contains(hello.SupportedProtos, ALPNACME) {
			return f.acme, nil
		}
		if hello.ServerName == "" {
			return nil, nil
		}
		cert := f.web(hello)
		if cert == nil {
			return nil, nil
		}
		web = true
		chosen := f.browsers.Clone()
		chosen.Certificates = []tls.Certificate{*cert}
		return chosen, nil
	}
	s, err = ServerHandshake(ctx, raw, config)
	return s, web, err
}
