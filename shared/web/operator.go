package web

import (
	"fmt"
	"net/mail"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Operator is what operators tell of themselves. Everything may be left out.
type Operator struct {
	// SourceCode is the URL of the program's source code, which users of changed versions have a right to.
	SourceCode string
	// UsageConditions and ConditionAmendments are URLs.
	UsageConditions, ConditionAmendments string
	// ServerCountry is where the machine is, in two letters, like all countries here.
	ServerCountry string
	// Operator is the name of a person or an organization.
	Operator, OperatorCountry string
	// Website is a URL.
	Website string
	// Admin is for questions about the relay, Complaints for those about what it is used for.
	Admin, Complaints Contact
	// Hosting is the name of the provider.
	Hosting, HostingCountry string
	// HostingType is virtual, dedicated, colocation or owned.
	HostingType string
}

// Contact is how to reach somebody.
type Contact struct {
	// SimpleX is an address as the app gives it.
	SimpleX string
	Email   string
	// PGP is the URL of a public key, and its fingerprint.
	PGP, PGPFingerprint string
}

// FieldError is a value of [Operator] that makes no sense.
type FieldError struct {
	// Field is the name of the setting, such as SERVER_COUNTRY.
	Field string
	// Reason completes a sentence that begins with the setting. It does not quote the value.
	Reason string
}

// Error returns the sentence.
func (e FieldError) Error() string { return e.Field + " " + e.Reason }

// maxValue bounds a value, in bytes: full contact addresses are the longest, at about 1 KB when they have two queues.
const maxValue = 4096

// field is a value with its name and what is wrong with it, if it is not empty.
type field struct {
	name, value string
	check       func(string) string
	needs       string // another field, without which it means nothing
}

// Check finds values that make no sense. The error is a [FieldError].
func (o Operator) Check() error {
	fields := o.fields()
	values := make(map[string]string)
	for _, f := range fields {
		values[f.name] = f.value
	}
	for _, f := range fields {
		if f.value == "" {
			continue
		}
		reason := checkText(f.value)
		if reason == "" {
			reason = f.check(f.value)
		}
		if reason == "" && f.needs != "" && values[f.needs] == "" {
			reason = fmt.Sprintf("means nothing without a value for %s", f.needs)
		}
		if reason != "" {
			return FieldError{Field: f.name, Reason: reason}
		}
	}
	return nil
}

func (o Operator) fields() []field {
	fields := []field{
		{"SOURCE_CODE", o.SourceCode, checkURL, ""},
		{"USAGE_CONDITIONS", o.UsageConditions, checkURL, ""},
		{"CONDITION_AMENDMENTS", o.ConditionAmendments, checkURL, "USAGE_CONDITIONS"},
		{"SERVER_COUNTRY", o.ServerCountry, checkCountry, ""},
		{"OPERATOR", o.Operator, checkText, ""},
		{"OPERATOR_COUNTRY", o.OperatorCountry, checkCountry, "OPERATOR"},
		{"WEBSITE", o.Website, checkURL, ""},
		{"HOSTING", o.Hosting, checkText, ""},
		{"HOSTING_COUNTRY", o.HostingCountry, checkCountry, "HOSTING"},
		{"HOSTING_TYPE", o.HostingType, checkHostingType, ""},
	}
	return append(append(fields, o.Admin.fields("ADMIN")...), o.Complaints.fields("COMPLAINTS")...)
}

func (c Contact) fields(prefix string) []field {
	return []field{
		{prefix + "_SIMPLEX", c.SimpleX, checkSimpleX, ""},
		{prefix + "_EMAIL", c.Email, checkEmail, ""},
		{prefix + "_PGP", c.PGP, checkURL, prefix + "_PGP_FINGERPRINT"},
		{prefix + "_PGP_FINGERPRINT", c.PGPFingerprint, checkFingerprint, prefix + "_PGP"},
	}
}

func checkText(text string) string {
	switch {
	case len(text) > maxValue:
		return fmt.Sprintf("is longer than %d bytes", maxValue)
	case !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl):
		return "has characters that cannot be shown"
	case strings.TrimSpace(text) == "":
		return "has nothing but spaces"
	}
	return ""
}

func checkURL(text string) string {
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.User != nil ||
		strings.ContainsAny(text, " <>\"\\^`{|}") {
		return "is not a URL of http or https"
	}
	return ""
}

func checkCountry(code string) string {
	if country(code) == "" {
		return "is not a country code of ISO 3166 in two letters, such as SE"
	}
	return ""
}

// hostingTypes are those that there are, and how they read.
var hostingTypes = map[string]string{
	"virtual": "virtual machine", "dedicated": "dedicated machine", "colocation": "own machine in a data center",
	"owned": "own machine on own premises",
}

func checkHostingType(name string) string {
	if hostingTypes[name] == "" {
		return "is not virtual, dedicated, colocation or owned"
	}
	return ""
}

// checkSimpleX accepts contact addresses, short and full, on a relay's host name and without one. Invitations, which
// only work once, are none.
func checkSimpleX(link string) string {
	const wrong = "is not a SimpleX address, such as https://<host>/a#… or simplex:/contact#…"
	u, err := url.Parse(link)
	switch {
	case err != nil || u.Fragment == "" || u.User != nil || u.RawQuery != "":
		return wrong
	case u.Scheme == "https" && u.Hostname() == "" || u.Scheme == "simplex" && u.Host != "":
		return wrong
	case u.Scheme != "https" && u.Scheme != "simplex":
		return wrong
	}
	if l, ok := linkAt(u.Path); !ok || l.once {
		return wrong
	}
	return ""
}

func checkEmail(text string) string {
	a, err := mail.ParseAddress(text)
	if err != nil || a.Address != text || strings.ContainsAny(text, " \"<>\\?&#%") {
		return "is not an email address"
	}
	return ""
}

// Hexadecimal digits of a fingerprint: of a SHA-1 hash in keys of version 4, and of SHA-256 in newer ones.
const (
	oldFingerprint = 40
	newFingerprint = 64
)

func checkFingerprint(text string) string {
	digits := strings.NewReplacer(" ", "", ":", "").Replace(text)
	known := len(digits) == oldFingerprint || len(digits) == newFingerprint
	if !known || strings.Trim(digits, "0123456789abcdefABCDEF") != "" {
		return "is not the fingerprint of a PGP key, in 40 or 64 hexadecimal digits"
	}
	return ""
}
