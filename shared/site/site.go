// Package site is what a relay is to browsers: its certificate, its pages, plain HTTP for those who look for HTTPS and for
// certificate authorities, and pages for a reverse proxy.
package site

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"sotto/shared/address"
	"sotto/shared/certs"
	"sotto/shared/certs/pgcerts"
	"sotto/shared/run"
	"sotto/shared/settings"
	"sotto/shared/transport"
	"sotto/shared/web"
)

// Options are what a relay's site is made of.
type Options struct {
	// Prefix is that of the relay's settings, for errors.
	Prefix string
	// Web and Information are the operator's settings.
	Web         settings.Web
	Information settings.Information
	// Server is the relay's address.
	Server address.Server
	// Facts are what the pages tell of the relay, without address and operator.
	Facts web.Site
	// DatabaseURL is the relay's own database, where certificates are kept if there is no other for them.
	DatabaseURL string
	// Public: the port for HTTPS is the one that everybody expects, so a certificate authority can find it.
	Public bool
	// Also are names of another relay, whose browsers come to this relay's port for plain HTTP too.
	Also []string
	// Handler makes the handler of requests out of the pages; nil: they are it.
	Handler func(pages http.Handler) http.Handler
	// Log takes what an operator acts on.
	Log zerolog.Logger
}

// Site is a relay's site.
type Site struct {
	// Pages answers browsers.
	Pages http.Handler

	certs   *certs.Manager
	storage *pgcerts.Storage
	names   []string
	asks    bool
	own     bool // the certificate is in files of the operator's
	parts   []run.Part
}

// Open makes the site and opens its ports. Certificates are asked for after Start.
func Open(ctx context.Context, o Options) (*Site, error) {
	s := &Site{names: names(o.Server), own: o.Web.WebCert != ""}
	s.asks = o.Web.ACME && !s.own && (o.Public || len(o.Web.HTTPListen) > 0)
	if err := s.openPages(o); err != nil {
		return nil, err
	}
	if err := s.openCertificates(ctx, o); err != nil {
		return nil, err
	}
	if err := s.openPorts(ctx, o); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// names lists the hosts of an address that may be in a certificate, which are not IP addresses and not onion services.
func names(server address.Server) []string {
	var names []string
	for _, host := range server.Hosts {
		if net.ParseIP(string(host)) == nil && host.Kind() != address.Onion {
			names = append(names, strings.ToLower(string(host)))
		}
	}
	return names
}

// openPages makes the pages.
func (s *Site) openPages(o Options) error {
	facts := o.Facts
	public := o.Server
	public.Password = nil
	facts.Address, facts.Operator = public.String(), operator(o.Information)
	pages, err := web.New(facts)
	var wrong web.FieldError
	if errors.As(err, &wrong) {
		return settings.Bad("%s_%s %s", o.Prefix, wrong.Field, wrong.Reason)
	}
	if err != nil {
		return err
	}
	s.Pages = pages
	if o.Handler != nil {
		s.Pages = o.Handler(pages)
	}
	return nil
}

// operator is what the pages tell of the operator.
func operator(i settings.Information) web.Operator {
	return web.Operator{
		SourceCode: i.SourceCode, UsageConditions: i.UsageConditions, ConditionAmendments: i.ConditionAmendments,
		ServerCountry: i.ServerCountry, Operator: i.Operator, OperatorCountry: i.OperatorCountry, Website: i.Website,
		Admin: web.Contact{
			SimpleX: i.AdminSimpleX, Email: i.AdminEmail, PGP: i.AdminPGP, PGPFingerprint: i.AdminPGPFingerprint,
		},
		Complaints: web.Contact{
			SimpleX: i.ComplaintsSimpleX, Email: i.ComplaintsEmail, PGP: i.ComplaintsPGP,
			PGPFingerprint: i.ComplaintsPGPFingerprint,
		},
		Hosting: i.Hosting, HostingCountry: i.HostingCountry, HostingType: i.HostingType,
	}
}

// openCertificates makes the manager of certificates. Their database need not be there yet.
func (s *Site) openCertificates(ctx context.Context, o Options) error {
	c := certs.Options{
		Names: s.names, ACME: s.asks, Email: o.Web.ACMEEmail, Directory: o.Web.ACMEDirectory, Roots: o.Web.ACMERoots,
		CertFile: o.Web.WebCert, KeyFile: o.Web.WebKey, Log: o.Log,
	}
	if s.asks {
		url, name := o.Web.CertDatabaseURL, o.Prefix+"_CERT_DATABASE_URL"
		if url == "" {
			url, name = o.DatabaseURL, o.Prefix+"_DATABASE_URL"
		}
		storage, err := pgcerts.Open(ctx, pgcerts.Options{URL: url, Log: o.Log})
		if err != nil {
			return settings.Bad("%s: %v", name, err)
		}
		s.storage, c.Storage = storage, storage
	}
	manager, err := certs.New(c)
	var wrong certs.OptionError
	if errors.As(err, &wrong) {
		s.Close()
		return settings.Bad("%s_%s %v", o.Prefix, wrong.Option, wrong.Err)
	}
	if err != nil {
		s.Close()
		return err
	}
	s.certs = manager
	return nil
}

// limits of the ports for plain HTTP: they are for moments.
var limits = transport.Limits{Connections: 1000, Handshakes: 1000}

// openPorts opens the ports for plain HTTP.
func (s *Site) openPorts(ctx context.Context, o Options) error {
	redirect := s.certs.HTTP(certs.Redirect(append(s.Names(), o.Also...), ""))
	for _, port := range []struct {
		setting string
		at      []string
		handler http.Handler
	}{
		{o.Prefix + "_HTTP_LISTEN", o.Web.HTTPListen, redirect},
		{o.Prefix + "_PAGES_LISTEN", o.Web.PagesListen, s.Pages},
	} {
		listeners, err := run.Listen(ctx, port.setting, port.at, limits)
		if err != nil {
			return err
		}
		for _, ln := range listeners {
			s.parts = append(s.parts, newPlain(ln, port.handler))
		}
	}
	return nil
}

// Start begins to look for certificates, until ctx ends.
func (s *Site) Start(ctx context.Context) { s.certs.Start(ctx) }

// Certificate chooses what browsers are shown.
func (s *Site) Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return s.certs.Certificate(hello)
}

// Challenge chooses what a certificate authority is shown that asks who has the port.
func (s *Site) Challenge(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return s.certs.Challenge(hello)
}

// Names lists the host names of the relay.
func (s *Site) Names() []string { return slices.Clone(s.names) }

// Parts are the ports for plain HTTP.
func (s *Site) Parts() []run.Part { return s.parts }

// Close closes what is open. It may be called more than once.
func (s *Site) Close() {
	for _, part := range s.parts {
		part.(*plain).close()
	}
	if s.certs != nil {
		s.certs.Close()
	}
	if s.storage != nil {
		s.storage.Close()
	}
}

// State tells the operator about the certificate, at the start.
func (s *Site) State() string {
	var lines []string
	for _, status := range s.certs.Status() {
		text := status.Name + ": " + status.State.String()
		if !status.NotAfter.IsZero() {
			text += " until " + status.NotAfter.Format(time.DateOnly)
		}
		if status.Reason != "" {
			text += " (" + status.Reason + ")"
		}
		lines = append(lines, text)
	}
	if len(lines) == 0 {
		return "none that browsers trust: the relay has no host name"
	}
	return strings.Join(lines, "; ")
}

// Expiries tells when each name's certificate ends; zero: it has none.
func (s *Site) Expiries(yield func(name string, ends time.Time)) {
	for _, status := range s.certs.Status() {
		yield(status.Name, status.NotAfter)
	}
}

// Dial connects to an address.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// Health tells if browsers have a reason to complain about what the relay's port at local shows them, which makes the relay
// no less ready.
func Health(ctx context.Context, w io.Writer, dial Dial, local, server address.Server) error {
	trouble := Trouble(ctx, dial, net.JoinHostPort(string(local.Hosts[0]), local.Port), server)
	if trouble == "" {
		return nil
	}
	_, err := fmt.Fprintln(w, "note: "+trouble)
	return err
}

// Trouble tells what is wrong with the certificate that a relay shows to browsers; "" if nothing is, or if the relay has no
// name that could be certified. It makes a handshake with the relay's port at this address.
func Trouble(ctx context.Context, dial Dial, at string, server address.Server) string {
	names := names(server)
	if len(names) == 0 || names[0] == "localhost" {
		return ""
	}
	raw, err := dial(ctx, "tcp", at)
	if err != nil {
		return "the port for browsers does not answer: " + transport.Safe(err)
	}
	conn := tls.Client(raw, &tls.Config{ServerName: names[0], MinVersion: tls.VersionTLS12})
	defer func() { _ = conn.Close() }()
	err = conn.HandshakeContext(ctx)
	var invalid *tls.CertificateVerificationError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &invalid):
		return fmt.Sprintf("browsers do not trust the certificate of %s (%v); the log tells more", names[0], invalid.Err)
	}
	return "browsers cannot use the port for them: " + transport.Safe(err)
}
