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
	// againTime is the longest pause after certmagic has given up, or the storage has failed.
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
	again   time.Duration // pause after certmagic has given up, or the storage has failed
	kept    *kept
	tried   tried
}

// maxAnswers is how many answers to challenges are looked up at once: anybody can ask, and the storage is a database.
const maxAnswers = 8

func newAuthority(m *Manager, o Options, directory string, roots *x509.CertPool, public bool) (*authority, error) {
	quiet, port, err := holdPort()
	if err != nil {
		return nil, err
	}
	a := &authority{
		m: m, quiet: quiet, answers: make(chan struct{}, maxAnswers), log: o.Log, kept: &kept{Storage: o.Storage},
	}
	log := zap.New(bridge{log: o.Log, LevelEnabler: zap.DebugLevel, a: a})
	interval := publicInterval
	if !public {
		interval = privateInterval
	}
	if o.interval > 0 {
		interval = o.interval
	}
	a.again = min(againTime, interval)
	a.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert:   func(certmagic.Certificate) (*certmagic.Config, error) { return a.config, nil },
		RenewCheckInterval: interval, Logger: log,
	})
	a.config = certmagic.New(a.cache, certmagic.Config{
		Storage: a.kept, Logger: log, OnEvent: a.event, RenewalWindowRatio: renewalWindow,
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
		switch {
		case err == nil && time.Now().Before(cert.Leaf.NotAfter):
			a.m.statuses.succeeded(name)
			return
		case err == nil:
			err = a.config.RenewCertAsync(ctx, name, false) // it has ended while the relay was away
		case errors.Is(err, fs.ErrNotExist):
			err = a.config.ObtainCertAsync(ctx, name) // tries again by itself, with growing pauses
		}
		if err == nil || ctx.Err() != nil {
			continue
		}
		a.failed(name, err)
		select {
		case <-ctx.Done():
		case <-time.After(a.again):
		}
	}
}

// event takes what certmagic tells.
func (a *authority) event(_ context.Context, event string, data map[string]any) error {
	name, _ := data["identifier"].(string)
	switch event {
	case "cert_obtaining":
		a.tried.forget(name)
	case "cert_failed":
		err, _ := data["error"].(error)
		a.failed(name, err)
	case "cert_obtained":
		renewal, _ := data["renewal"].(bool)
		a.log.Info().Str("host", name).Bool("renewal", renewal).Msg("the certificate authority has given a certificate")
		a.m.statuses.succeeded(name)
	}
	return nil
}

// failed tells of a failure, if it is a new one.
func (a *authority) failed(name string, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	reason := a.explain(name, err)
	if !a.m.statuses.failed(name, reason) {
		return
	}
	text := "no certificate for browsers yet: it will be asked for again; messages and files are not affected"
	if a.certificate(name) != nil {
		text = "the certificate for browsers is not renewed yet: it will be asked for again; the old one is still good"
	}
	a.log.Error().Str("host", name).Str("cause", reason).Msg(text)
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

// complete adds to a status what the present certificate says.
func (a *authority) complete(status *Status) {
	if cert := a.certificate(status.Name); cert != nil {
		status.NotAfter = cert.Leaf.NotAfter
	} else if status.State == Valid {
		status.State, status.Reason = Waiting, "the certificate has ended, or is being loaded"
	}
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
