package certs

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"github.com/mholt/acmez/v3/acme"

	"sotto/shared/pg"
)

// TestReasons: each names a cause and what to do, and quotes nothing that comes from elsewhere.
func TestReasons(t *testing.T) {
	problem := func(kind string) acme.Problem {
		return acme.Problem{Type: problemPrefix + kind, Detail: "192.0.2.7: s3cret", Instance: "s3cret"}
	}
	refused := &url.Error{Op: "Post", URL: "https://s3cret", Err: syscall.ECONNREFUSED}
	for name, tc := range map[string]struct {
		err  error
		says []string
	}{
		"DNS":        {problem("dns"), []string{"no DNS entry for relay.example", "add an A or AAAA entry"}},
		"connection": {problem("connection"), []string{"no connection", "80 and 443 of the internet"}},
		"proxy":      {problem("unauthorized"), []string{"no answer of this relay", "proxy"}},
		"CAA":        {problem("caa"), []string{"CAA entry", "remove the entry"}},
		"limit":      {fmt.Errorf("[relay.example] %w", problem("rateLimited")), []string{"too many requests", "wait"}},
		"name":       {problem("rejectedIdentifier"), []string{"use another name"}},
		"e-mail":     {problem("invalidContact"), []string{"mend ACME_EMAIL"}},
		"account":    {problem("externalAccountRequired"), []string{"set ACME_DIRECTORY"}},
		"authority":  {problem("serverInternal"), []string{"trouble of its own"}},
		"unknown":    {problem("odd"), []string{"the problem odd"}},
		"not a type": {acme.Problem{Type: "https://192.0.2.7/?s3cret"}, []string{"the problem https:s"}},
		"in a subproblem": {acme.Problem{
			Type: problemPrefix + "malformed", Subproblems: []acme.Subproblem{{Problem: problem("caa")}},
		}, []string{"CAA entry"}},
		"network": {fmt.Errorf("attempt 1: %w", refused), []string{"cannot be reached", "connection refused"}},
		"roots":   {x509.UnknownAuthorityError{}, []string{"set ACME_ROOTS"}},
		"clock":   {x509.CertificateInvalidError{Reason: x509.Expired}, []string{"clock"}},
		"nothing": {nil, []string{"not known"}},
	} {
		reason := new(authority).explain("relay.example", tc.err)
		for _, says := range tc.says {
			if !strings.Contains(reason, says) {
				t.Errorf("%s: %q is not in %q", name, says, reason)
			}
		}
		if strings.Contains(reason, "s3cret") || strings.Contains(reason, "192.0.2.7") {
			t.Errorf("%s: %q quotes", name, reason)
		}
	}
}

// TestBothChallengesAreInTheReason, though an error tells of one only.
func TestBothChallengesAreInTheReason(t *testing.T) {
	a := new(authority)
	a.tried.failed("relay.example", acme.ChallengeTypeTLSALPN01, "unauthorized")
	a.tried.failed("relay.example", acme.ChallengeTypeHTTP01, "connection")
	a.tried.failed("relay.example", "dns-01", "unauthorized")
	a.tried.failed("other.example", acme.ChallengeTypeHTTP01, "tls")
	reason := a.explain("relay.example", acme.Problem{Type: problemPrefix + "connection"})
	if !strings.Contains(reason, "(port 443: no answer of this relay, port 80: no connection)") {
		t.Errorf("the reason is %q", reason)
	}
	a.tried.failed("relay.example", acme.ChallengeTypeHTTP01, "dns")
	if reason := a.explain("relay.example", acme.Problem{Type: problemPrefix + "malformed"}); !strings.Contains(reason, "add an A or AAAA") {
		t.Errorf("the reason is %q", reason)
	}
	a.tried.forget("relay.example")
	if reason := a.explain("relay.example", acme.Problem{Type: problemPrefix + "tls"}); !strings.Contains(reason, "(no TLS)") {
		t.Errorf("the reason is %q", reason)
	}
}

// TestStorageIsKnownInText: certmagic makes text of errors in between.
func TestStorageIsKnownInText(t *testing.T) {
	a := &authority{kept: new(kept)}
	err := a.kept.note(pg.Wrap("store a certificate's file", errors.New("s3cret")))
	reason := a.explain("relay.example", fmt.Errorf("failed storage check: %v - storage is probably misconfigured", err))
	if !strings.Contains(reason, "database of certificates fails: store a certificate's file") || strings.Contains(reason, "s3cret") {
		t.Errorf("the reason is %q", reason)
	}
}
