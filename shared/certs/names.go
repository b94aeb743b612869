package certs

import (
	"slices"
	"strings"

	"github.com/caddyserver/certmagic"
)

// private are the ends of names that are nobody's in public.
//
// Source: RFC 2606, RFC 6761, RFC 6762, RFC 7686, RFC 8375
var private = []string{".local", ".internal", ".test", ".example", ".invalid", ".localhost", ".onion", ".home.arpa", ".lan"}

// unfit tells why an authority would not certify a name; "" if it might.
func unfit(name string, public bool) string {
	switch {
	case isIP(name):
		return "the host is an IP address: give the relay a name for a certificate"
	case name == "localhost", strings.HasSuffix(name, ".onion"):
		return "nobody certifies " + name + ": set a public host name"
	case !public:
		return ""
	case !strings.Contains(name, "."), !certmagic.SubjectQualifiesForPublicCert(name),
		slices.ContainsFunc(private, func(end string) bool { return strings.HasSuffix(name, end) }):
		return name + " is no public host name"
	}
	return ""
}
