package certs

import (
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/mholt/acmez/v3/acme"

	"sotto/shared/transport"
)

// problems tell the cause and the fix of what authorities complain about, by the end of the problem's type.
//
// Source: RFC 8555 6.7
var problems = map[string]string{
	"dns": "the certificate authority finds no DNS entry for NAME: add an A or AAAA entry with this machine's address",
	"rateLimited": "the certificate authority has had too many requests for NAME: wait, some hours or a week, or try " +
		"ACME_DIRECTORY=staging meanwhile",
	"caa": "a CAA entry in the DNS of NAME forbids this certificate authority: add it there, or remove the entry",
	"rejectedIdentifier": "the certificate authority gives no certificates for NAME: use another name, or your own " +
		"certificate in WEB_CERT",
	"invalidContact":     "the certificate authority does not take the e-mail address: mend ACME_EMAIL",
	"unsupportedContact": "the certificate authority does not take the e-mail address: mend ACME_EMAIL",
	"externalAccountRequired": "the certificate authority wants an account made beforehand: set ACME_DIRECTORY to one " +
		"that does not",
	"serverInternal": "the certificate authority has trouble of its own: nothing to do but wait",
}

// outcomes are what an authority got when it asked NAME, in place of the right answer, by the end of the problem's type.
var outcomes = map[string]string{
	"connection": "no connection", "unauthorized": "no answer of this relay", "incorrectResponse": "no answer of this relay",
	"tls": "no TLS", "malformed": "no answer",
}

// ports are what a challenge asks.
var ports = map[string]string{acme.ChallengeTypeTLSALPN01: "port 443", acme.ChallengeTypeHTTP01: "port 80"}

// problemPrefix is what the types of problems begin with.
const problemPrefix = "urn:ietf:params:acme:error:"

// tried are the challenges that have failed in the last attempt, by name. An error tells of the last one only.
type tried struct {
	mu     sync.Mutex // guards byName
	byName map[string]map[string]string
}

func (t *tried) forget(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.byName, name)
}

// failed notes the kind of problem with a challenge. Of challenges that this package does not know there are none.
func (t *tried) failed(name, challenge, kind string) {
	if ports[challenge] == "" {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byName == nil {
		t.byName = make(map[string]map[string]string)
	}
	if t.byName[name] == nil {
		t.byName[name] = make(map[string]string)
	}
	t.byName[name][challenge] = kind
}

// kinds lists the kinds of problems, and what they mean at which port.
func (t *tried) kinds(name string) (kinds, words []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for challenge, kind := range t.byName[name] {
		kinds = append(kinds, kind)
		words = append(words, ports[challenge]+": "+outcome(kind))
	}
	slices.Sort(words)
	return kinds, words
}

func outcome(kind string) string {
	if text, known := outcomes[kind]; known {
		return text
	}
	return printable(kind)
}

// explain tells an operator why there is no certificate. It quotes nothing that comes from elsewhere.
func (a *authority) explain(name string, err error) string {
	var problem acme.Problem
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	switch {
	case err == nil:
		return "the cause is not known"
	case strings.Contains(err.Error(), keptTrouble): // certmagic has made text of some
		return "the database of certificates fails: " + a.kept.cause()
	case errors.As(err, &problem):
		return a.complaint(name, problem)
	case errors.As(err, &unknown):
		return "nobody vouches for the certificate authority's own certificate: set ACME_ROOTS to the file with its roots"
	case errors.As(err, &invalid):
		return "the certificate authority's own certificate is not valid: look at this machine's clock"
	}
	return "the certificate authority cannot be reached, check this machine's way to the internet, and ACME_DIRECTORY: " +
		transport.Safe(err)
}

// complaint tells what an authority complains about.
func (a *authority) complaint(name string, problem acme.Problem) string {
	kinds := []string{strings.TrimPrefix(problem.Type, problemPrefix)}
	for _, sub := range problem.Subproblems {
		kinds = append(kinds, strings.TrimPrefix(sub.Type, problemPrefix))
	}
	failed, words := a.tried.kinds(name)
	for _, kind := range append(kinds, failed...) {
		if text, known := problems[kind]; known {
			return strings.ReplaceAll(text, "NAME", name)
		}
	}
	if len(words) == 0 && outcomes[kinds[0]] != "" {
		words = []string{outcome(kinds[0])}
	}
	if len(words) == 0 {
		return "the certificate authority refuses, with the problem " + printable(kinds[0])
	}
	return "the certificate authority asks " + name + " and gets no right answer (" + strings.Join(words, ", ") + "): let ports " +
		"80 and 443 of the internet lead to this relay, check that the DNS entries, A and AAAA, are this machine's, and that " +
		"no proxy in front of this relay ends TLS"
}

// maxKind bounds what is told of a problem that is not known.
const maxKind = 60

// printable keeps letters of a problem's type.
func printable(kind string) string {
	kept := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == ':' {
			return r
		}
		return -1
	}, kind)
	return kept[:min(len(kept), maxKind)]
}
