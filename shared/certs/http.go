package certs

import (
	"io"
	"net"
	"net/http"
	"slices"

	"github.com/caddyserver/certmagic"

	"sotto/shared/address"
)

// HTTP returns a handler that answers authorities which look for an answer on port 80, also when it was another instance
// with the same storage that asked for the certificate. Everything else goes to next.
//
// Source: RFC 8555 8.3
func (m *Manager) HTTP(next http.Handler) http.Handler {
	if m.authority == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !certmagic.LooksLikeHTTPChallenge(r) || !m.authority.answer(w, r) {
			next.ServeHTTP(w, r)
		}
	})
}

// answer looks up the answer to a challenge, and reports whether there is one.
func (a *authority) answer(w http.ResponseWriter, r *http.Request) bool {
	select {
	case a.answers <- struct{}{}:
		defer func() { <-a.answers }()
	case <-r.Context().Done():
		return false
	}
	return a.issuer.HandleHTTPChallenge(w, r)
}

// Redirect returns a handler that leads browsers from plain HTTP to HTTPS: to the host that they ask for if it is one of
// names, or else to the first. port is that of HTTPS, empty for the usual one. Without names there is nowhere to lead to.
func Redirect(names []string, port string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(names) == 0 || r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, "This port only leads to HTTPS.\n")
			return
		}
		to := *r.URL
		to.Scheme, to.User, to.Host = "https", nil, names[0]
		if host := hostOf(r.Host); slices.Contains(names, host) {
			to.Host = host
		}
		if port != "" {
			to.Host = net.JoinHostPort(to.Host, port)
		}
		w.Header().Set("Cache-Control", "no-store")
		http.Redirect(w, r, to.String(), http.StatusPermanentRedirect)
	})
}

// hostOf is the host that a request names, without its port.
func hostOf(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return address.CanonicalName(host)
}
