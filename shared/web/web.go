// Package web has the pages of a relay for people with a browser: what the relay is and who runs it, where links lead
// that apps make with the relay's host name, and the files by which the apps claim such links. All of it is made and
// compressed once, and served from memory. Nothing of a request comes back in an answer.
package web

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"sotto/shared/address"
)

// Kind is what a relay passes on.
type Kind int

// Kinds of relays.
const (
	Messages Kind = iota
	Files
)

// FilesPath is where a file relay's page is, besides the root of its site.
const FilesPath = "/files"

// Site is what the pages tell of a relay.
type Site struct {
	Kind Kind
	// Address of the relay, without the password.
	Address string
	// Version of the program.
	Version string
	// Password: new queues or uploads need one.
	Password bool
	// Open: new queues or uploads are allowed at all.
	Open bool
	// TTL: messages or files are removed after this time; 0: kept until they are delivered or deleted.
	TTL time.Duration
	// Quota: messages that a queue holds. Of no meaning for files.
	Quota int
	// Storage: bytes that all files may take, 0: not bounded. Of no meaning for messages.
	Storage int64
	// Other is the path on this site, or the URL, of the other relay's page; empty: there is none.
	Other string
	// Shared: a file relay has its host name in common with a message relay. It then has no root page, and nothing else
	// that the message relay has, only [FilesPath] and its assets; see [Has].
	Shared bool
	// Operator is who runs the relay.
	Operator Operator
}

// New makes the pages of a site. They hold for any host name, and for HTTP as well as HTTPS; a
// Strict-Transport-Security header is for the caller to add, who knows what else the host name has. The error names
// what is wrong with the site; that of the operator's information is a [FieldError].
func New(s Site) (http.Handler, error) {
	server, err := s.check()
	if err != nil {
		return nil, err
	}
	b := builder{site: s, server: server, pages: make(map[string]*page)}
	b.addAssets()
	b.addInformation()
	if s.Kind == Messages {
		b.addLinks()
		b.addAppFiles()
	}
	if !s.Shared {
		b.addSiteFiles()
	}
	missing := b.missing()
	if b.err != nil {
		return nil, b.err
	}
	return &site{pages: b.pages, missing: missing}, nil
}

// Has reports whether a handler that [New] returned has something at this path. A file relay that shares its host name
// serves what it has, and passes every other request on to the message relay. Assets have their content's hash in their
// path, so that neither relay ever answers for the other's with something else, whatever their versions.
func Has(h http.Handler, path string) bool {
	s, ok := h.(*site)
	return ok && s.pages[path] != nil
}

func (s Site) check() (address.Server, error) {
	scheme := address.SMP
	if s.Kind == Files {
		scheme = address.XFTP
	}
	server, err := address.Parse(scheme, s.Address)
	switch {
	case err != nil:
		return server, fmt.Errorf("pages: %w", err)
	case server.Password != nil:
		return server, fmt.Errorf("pages: the address has a password, which is not for everybody")
	case s.Shared && s.Kind != Files:
		return server, fmt.Errorf("pages: only a file relay leaves the root of a site to another")
	case !validOther(s.Other):
		return server, fmt.Errorf("pages: the other relay's page is neither a path nor a URL of http or https")
	}
	return server, s.Operator.Check()
}

// validOther accepts nothing, a path on this site, or a URL.
func validOther(other string) bool {
	if path, ok := strings.CutPrefix(other, "/"); ok {
		u, err := url.Parse(other)
		return err == nil && u.Host == "" && !strings.HasPrefix(path, "/")
	}
	return other == "" || checkURL(other) == ""
}
