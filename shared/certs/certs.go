// Package certs gets a relay the certificates that browsers trust: from files of the operator's, or from an ACME certificate
// authority such as Let's Encrypt, by itself. Trouble with certificates stops nothing: it is told, and tried again.
package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/rs/zerolog"

	"sotto/shared/address"
)

// Directories that have names.
const (
	LetsEncrypt = "letsencrypt"
	Staging     = "staging" // Let's Encrypt's, for trying: browsers do not trust it
)

// Options are what a manager needs to know.
type Options struct {
	// Names of the relay, in lower case. Those that no authority would certify are left alone.
	Names []string
	// ACME: an authority may be asked.
	ACME bool
	// Email for the account with it; may be empty.
	Email string
	// Directory is [LetsEncrypt], which is also what is meant by nothing, [Staging], or a URL.
	Directory string
	// Roots is a PEM file with the roots of that URL's own certificate; empty: those of the system.
	Roots string
	// Storage is where certificates, keys, accounts and challenges are kept. It is not needed without ACME.
	Storage certmagic.Storage
	// CertFile and KeyFile are the operator's own certificate, of any kind. They are read again when they change.
	CertFile, KeyFile string
	// Log takes what an operator acts on.
	Log zerolog.Logger

	interval time.Duration // how often certificates are looked at; 0: what fits the authority
}

// OptionError is a mistake of the operator's.
type OptionError struct {
	// Option is the end of the setting's name: WEB_CERT, ACME_EMAIL, ACME_DIRECTORY, ACME_ROOTS.
	Option string
	Err    error
}

// Error tells the mistake, without the setting.
func (e OptionError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e OptionError) Unwrap() error { return e.Err }

// Manager has a relay's certificates. Its methods are safe for concurrent use.
type Manager struct {
	names     []string // of the relay
	asked     []string // of these, names that an authority is asked about
	log       zerolog.Logger
	file      *file      // nil: the operator has none
	authority *authority // nil: none is asked
	fallback  *tls.Certificate
	statuses  statuses

	stop context.CancelFunc // of what Start began
	wg   sync.WaitGroup
	mu   sync.Mutex // guards stop
}

// New returns a manager. Mistakes of the operator's are an [OptionError].
func New(o Options) (*Manager, error) {
	m := &Manager{names: o.Names, log: o.Log}
	directory, public, err := directoryURL(o.Directory)
	if err != nil {
		return nil, OptionError{"ACME_DIRECTORY", err}
	}
	roots, err := readRoots(o.Roots)
	if err != nil {
		return nil, OptionError{"ACME_ROOTS", err}
	}
	if o.Email != "" {
		if parsed, err := mail.ParseAddress(o.Email); err != nil || parsed.Address != o.Email {
			return nil, OptionError{"ACME_EMAIL", errors.New("is not an e-mail address such as me@example.org")}
		}
	}
	if o.CertFile != "" {
		if m.file, err = openFile(o.CertFile, o.KeyFile, o.Log); err != nil {
			return nil, OptionError{"WEB_CERT", err}
		}
	}
	if m.fallback, err = SelfSigned(o.Names); err != nil {
		return nil, err
	}
	m.choose(o, public)
	if len(m.asked) > 0 {
		if m.authority, err = newAuthority(m, o, directory, roots, public); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// choose decides for each name where its certificate comes from.
func (m *Manager) choose(o Options, public bool) {
	for _, name := range m.names {
		switch reason := unfit(name, public); {
		case m.file != nil:
			m.statuses.set(Status{Name: name, State: Own})
		case !o.ACME:
			m.statuses.set(Status{Name: name, State: NotAsked, Reason: "none is asked for"})
		case reason != "":
			m.statuses.set(Status{Name: name, State: NotAsked, Reason: reason})
		default:
			m.asked = append(m.asked, name)
			m.statuses.set(Status{Name: name, State: Waiting})
		}
	}
}

// directoryURL returns where an authority's directory is, and whether it is one for everybody.
func directoryURL(name string) (at string, public bool, err error) {
	switch name {
	case "", LetsEncrypt:
		return certmagic.LetsEncryptProductionCA, true, nil
	case Staging:
		return certmagic.LetsEncryptStagingCA, true, nil
	}
	u, err := url.Parse(name)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return "", false, errors.New("is not letsencrypt, staging or a URL that begins with https://")
	}
	return name, false, nil
}

// readRoots reads certificates that are trusted; nil: those of the system.
func readRoots(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, errors.New("holds no certificates in PEM form")
	}
	return pool, nil
}

// Start begins to obtain, renew and watch certificates, until ctx ends or Close. It is called once.
func (m *Manager) Start(ctx context.Context) {
	ctx, stop := context.WithCancel(ctx)
	m.mu.Lock()
	m.stop = stop
	m.mu.Unlock()
	if m.file != nil {
		m.file.warn(m.names)
		m.wg.Go(func() { m.file.watch(ctx, func() { m.file.warn(m.names) }) })
	}
	if m.authority != nil {
		for _, name := range m.asked {
			m.wg.Go(func() { m.authority.manage(ctx, name) })
		}
	}
}

// closeTime bounds Close. What is not finished then ends with the process.
const closeTime = 5 * time.Second

// Close ends what Start began. It may be called more than once.
func (m *Manager) Close() {
	m.mu.Lock()
	stop := m.stop
	m.stop = nil
	m.mu.Unlock()
	if stop != nil {
		stop()
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		m.wg.Wait()
		if m.authority != nil {
			m.authority.close()
		}
	}()
	select {
	case <-closed:
	case <-time.After(closeTime):
	}
}

// Certificate chooses what web clients are shown: the operator's file, or the certificate of the name that they ask for, or
// any other, or one that nobody trusts, so that pages open at least after a warning.
func (m *Manager) Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if cert := m.trusted(hello.ServerName); cert != nil {
		return cert, nil
	}
	return m.fallback, nil
}

// trusted is the certificate for a name that somebody vouches for, or nil.
func (m *Manager) trusted(name string) *tls.Certificate {
	if m.file != nil {
		return m.file.certificate()
	}
	if m.authority == nil {
		return nil
	}
	for _, name := range append([]string{address.CanonicalName(name)}, m.asked...) {
		if cert := m.authority.certificate(name); cert != nil {
			return cert
		}
	}
	return nil
}

// errNoChallenge: nobody has asked for such an answer.
var errNoChallenge = errors.New("no challenge for this name")

// Challenge chooses what an authority is shown that offers the protocol acme-tls/1, also when it was another instance with
// the same storage that asked for the certificate.
//
// Source: RFC 8737 3
func (m *Manager) Challenge(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if m.authority == nil || !slices.Contains(m.asked, address.CanonicalName(hello.ServerName)) {
		return nil, errNoChallenge
	}
	return m.authority.challenge(hello)
}

// Status tells how it is about each name.
func (m *Manager) Status() []Status {
	all := m.statuses.of(m.names)
	for i := range all {
		switch status := &all[i]; {
		case m.file != nil:
			status.NotAfter, status.Reason = m.file.expires(), m.file.trouble(status.Name)
		case m.authority != nil:
			m.authority.complete(status)
		}
	}
	return all
}

// isIP reports whether a name is an address.
func isIP(name string) bool { return net.ParseIP(name) != nil }
