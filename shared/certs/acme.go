package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/rs/zerolog"
	"go.uber.org/zap"
)

const (
	// publicInterval is how often certificates are looked at that hold for weeks, and privateInterval those of an authority
	// of the operator's own, which may hold for minutes.
	publicInterval  = 10 * time.Minute
	privateInterval = 10 * time.Second
	// againTime is the pause after certmagic has given up, or the storage has failed.
	againTime = 30 * time.Second
	// renewalWindow is the part of a certificate's time that is left when it is renewed.
	renewalWindow = 1.0 / 3
)

// authority is one, asked through certmagic.
type authority struct {
	m       *Manager
	config  *certmagic.Config
	issuer  *certmagic.ACMEIssuer
	cache   *certmagic.Cache
	quiet   net.Listener // see holdPort
	answers chan struct{}
	log     zerolog.Logger
}

// maxAnswers is how many answers to challenges are looked up at once: anybody can ask, and the storage is a database.
const maxAnswers = 8

func newAuthority(m *Manager, o Options, directory string, roots *x509.CertPool, public bool) (*authority, error) {
	quiet, port, err := holdPort()
	if err != nil {
		return nil, err
	}
	log := zap.New(bridge{log: o.Log, LevelEnabler: zap.DebugLevel})
	a := &authority{m: m, quiet: quiet, answers: make(chan struct{}, maxAnswers), log: o.Log}
	interval := publicInterval
	if !public {
		interval = privateInterval
	}
	a.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert:   func(certmagic.Certificate) (*certmagic.Config, error) { return a.config, nil },
		RenewCheckInterval: interval, Logger: log,
	})
	a.config = certmagic.New(a.cache, certmagic.Config{
		Storage: o.Storage, Logger: log, OnEvent: a.event, RenewalWindowRatio: renewalWindow,
		KeySource: certmagic.StandardKeyGenerator{KeyType: certmagic.P256},
		// Stapling would ask an authority's other server at times when the relay is to start.
		OCSP: certmagic.OCSPConfig{DisableStapling: true},
	})
	a.issuer = certmagic.NewACMEIssuer(a.config, certmagic.ACMEIssuer{
		CA: directory, Email: o.Email, Agreed: true, TrustedRoots: roots, Logger: log,
		ListenHost: "127.0.0.1", AltHTTPPort: port, AltTLSALPNPort: port,
	})
	a.config.Issuers = []certmagic.Issuer{a.issuer}
	return a, nil
}

// holdPort opens a port of the loopback interface that says nothing. certmagic answers challenges on a port of its own,
// unless something listens there; here challenges come through the relay's ports, and no other is to be opened.
func holdPort() (net.Listener, int, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, 0, err
	}
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	}()
	return ln, ln.Addr().(*net.TCPAddr).Port, nil
}

// manage gets the certificate of a name, however long that takes. Afterwards certmagic renews it.
func (a *authority) manage(ctx context.Context, name string) {
	for ctx.Err() == nil {
		cert, err := a.config.CacheManagedCertificate(ctx, name)
		if err == nil {
			a.m.statuses.set(Status{Name: name, State: Valid, NotAfter: cert.Leaf.NotAfter})
			return
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = a.config.ObtainCertAsync(ctx, name) // tries again by itself, with growing pauses
		}
		if err == nil {
			continue
		}
		a.failed(name, err)
		select {
		case <-ctx.Done():
		case <-time.After(againTime):
		}
	}
}

// event takes what certmagic tells.
func (a *authority) event(_ context.Context, event string, data map[string]any) error {
	name, _ := data["identifier"].(string)
	switch event {
	case "cert_failed":
		err, _ := data["error"].(error)
		a.failed(name, err)
	case "cert_obtained":
		renewal, _ := data["renewal"].(bool)
		a.log.Info().Str("host", name).Bool("renewal", renewal).Msg("the certificate authority has given a certificate")
	case "cached_managed_cert":
		names, _ := data["sans"].([]string)
		for _, name := range names {
			if cert := a.certificate(name); cert != nil {
				a.m.statuses.set(Status{Name: name, State: Valid, NotAfter: cert.Leaf.NotAfter})
			}
		}
	}
	return nil
}

// failed tells of a failure, if it is a new one.
func (a *authority) failed(name string, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	reason := explain(name, err)
	if a.m.statuses.failed(name, reason) {
		a.log.Error().Str("host", name).Str("cause", reason).
			Msg("no certificate for browsers yet: it will be asked for again; messages and files are not affected")
	}
}

// certificate is what there is for a name; nil: nothing that is valid.
func (a *authority) certificate(name string) *tls.Certificate {
	var best *certmagic.Certificate
	for _, cert := range a.cache.AllMatchingCertificates(name) {
		if time.Now().Before(cert.Leaf.NotAfter) && (best == nil || cert.Leaf.NotAfter.After(best.Leaf.NotAfter)) {
			best = &cert
		}
	}
	if best == nil {
		return nil
	}
	return &best.Certificate
}

// challenge looks up the answer to a challenge, in memory or in the storage.
func (a *authority) challenge(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	select {
	case a.answers <- struct{}{}:
		defer func() { <-a.answers }()
	case <-hello.Context().Done():
		return nil, errNoChallenge
	}
	cert, err := a.config.GetCertificate(hello)
	if err != nil {
		return nil, errNoChallenge
	}
	return cert, nil
}

// close ends certmagic's own work. What it does at the moment may go on for a little.
func (a *authority) close() {
	if a.quiet.Close() == nil { // the first time
		a.cache.Stop()
	}
}
