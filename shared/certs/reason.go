package certs

import (
	"errors"
	"strings"

	"github.com/mholt/acmez/v3/acme"

	"sotto/shared/pg"
	"sotto/shared/transport"
)

// problems tell the cause and the fix of what authorities complain about, by the end of the problem's type.
//
// Source: RFC 8555 6.7
var problems = map[string]string{
	"connection": "the certificate authority cannot connect to NAME: let ports 80 and 443 of the internet lead to this relay, and " +
		"check that the DNS entries of NAME, A and AAAA, are this machine's",
	"dns": "the certificate authority finds no DNS entry for NAME: add an A or AAAA entry with this machine's address",
	"unauthorized": "something else answers for NAME: its DNS entries, A and AAAA, lead to another machine, or a proxy in front " +
		"of this relay ends TLS",
	"incorrectResponse":  "something else answers for NAME: check what its DNS entries and ports 80 and 443 lead to",
	"tls":                "the certificate authority gets no TLS from NAME: a proxy in front of this relay may be in its way",
	"rateLimited":        "the certificate authority has had too many requests for NAME: wait, some hours or a week, or try ACME_DIRECTORY=staging meanwhile",
	"caa":                "a CAA entry in the DNS of NAME forbids this certificate authority: add it there, or remove the entry",
	"rejectedIdentifier": "the certificate authority gives no certificates for NAME: use another name, or your own certificate in WEB_CERT",
	"invalidContact":     "the certificate authority does not take the e-mail address: mend ACME_EMAIL",
	"unsupportedContact": "the certificate authority does not take the e-mail address: mend ACME_EMAIL",
	"serverInternal":     "the certificate authority has trouble of its own: nothing to do but wait",
}

// problemPrefix is what the types of problems begin with.
const problemPrefix = "urn:ietf:params:acme:error:"

// explain tells an operator why there is no certificate. It quotes nothing that comes from elsewhere.
func explain(name string, err error) string {
	var problem acme.Problem
	if errors.As(err, &problem) {
		kind := strings.TrimPrefix(problem.Type, problemPrefix)
		for _, sub := range problem.Subproblems {
			if _, known := problems[kind]; !known {
				kind = strings.TrimPrefix(sub.Type, problemPrefix)
			}
		}
		if text, known := problems[kind]; known {
			return strings.ReplaceAll(text, "NAME", name)
		}
		return "the certificate authority refuses, with the problem " + printable(kind)
	}
	var database *pg.Error
	if errors.As(err, &database) {
		return "the database of certificates fails: " + database.Error()
	}
	return "the certificate authority cannot be reached, check this machine's way to the internet, and ACME_DIRECTORY: " +
		transport.Safe(err)
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
