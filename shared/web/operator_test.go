package web

import (
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

func TestOperator(t *testing.T) {
	if err := operator().Check(); err != nil {
		t.Fatal(err)
	}
	if err := (Operator{}).Check(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		field string
		bad   func(*Operator)
	}{
		{"SOURCE_CODE", func(o *Operator) { o.SourceCode = "javascript:alert(1)" }},
		{"SOURCE_CODE", func(o *Operator) { o.SourceCode = "https://" }},
		{"SOURCE_CODE", func(o *Operator) { o.SourceCode = "https://name:word@example.org/" }},
		{"USAGE_CONDITIONS", func(o *Operator) { o.UsageConditions = "example.org/conditions" }},
		{"USAGE_CONDITIONS", func(o *Operator) { o.UsageConditions = `https://example.org/"onclick="x` }},
		{"CONDITION_AMENDMENTS", func(o *Operator) { o.ConditionAmendments = "data:text/html,x" }},
		{"CONDITION_AMENDMENTS", func(o *Operator) { o.UsageConditions = "" }},
		{"SERVER_COUNTRY", func(o *Operator) { o.ServerCountry = "ZZ" }},
		{"SERVER_COUNTRY", func(o *Operator) { o.ServerCountry = "Sweden" }},
		{"OPERATOR", func(o *Operator) { o.Operator = "line\nbreak" }},
		{"OPERATOR", func(o *Operator) { o.Operator = " " }},
		{"OPERATOR", func(o *Operator) { o.Operator = "\xff" }},
		{"OPERATOR", func(o *Operator) { o.Operator = strings.Repeat("x", maxValue+1) }},
		{"OPERATOR_COUNTRY", func(o *Operator) { o.OperatorCountry = "D" }},
		{"OPERATOR_COUNTRY", func(o *Operator) { o.Operator = "" }},
		{"WEBSITE", func(o *Operator) { o.Website = "//example.org" }},
		{"ADMIN_SIMPLEX", func(o *Operator) { o.Admin.SimpleX = "https://example.org/a" }},
		{"ADMIN_SIMPLEX", func(o *Operator) { o.Admin.SimpleX = "http://example.org/a#x" }},
		{"ADMIN_SIMPLEX", func(o *Operator) { o.Admin.SimpleX = "simplex:/invitation#/?v=1" }},
		{"ADMIN_SIMPLEX", func(o *Operator) { o.Admin.SimpleX = "simplex:/i#x" }},
		{"ADMIN_SIMPLEX", func(o *Operator) { o.Admin.SimpleX = "javascript:/a#x" }},
		{"ADMIN_SIMPLEX", func(o *Operator) { o.Admin.SimpleX = "simplex:a#x" }},
		{"ADMIN_EMAIL", func(o *Operator) { o.Admin.Email = "Admin <admin@example.org>" }},
		{"ADMIN_EMAIL", func(o *Operator) { o.Admin.Email = "admin@example.org?bcc=x@example.org" }},
		{"ADMIN_PGP", func(o *Operator) { o.Admin.PGP = "-----BEGIN PGP PUBLIC KEY BLOCK-----" }},
		{"ADMIN_PGP", func(o *Operator) { o.Admin.PGPFingerprint = "" }},
		{"ADMIN_PGP_FINGERPRINT", func(o *Operator) { o.Admin.PGP = "" }},
		{"ADMIN_PGP_FINGERPRINT", func(o *Operator) { o.Admin.PGPFingerprint = "0123" }},
		{"ADMIN_PGP_FINGERPRINT", func(o *Operator) { o.Admin.PGPFingerprint = strings.Repeat("g", oldFingerprint) }},
		{"COMPLAINTS_SIMPLEX", func(o *Operator) { o.Complaints.SimpleX = "support" }},
		{"COMPLAINTS_EMAIL", func(o *Operator) { o.Complaints.Email = "abuse" }},
		{"COMPLAINTS_PGP", func(o *Operator) { o.Complaints.PGP = "https://example.org/key" }},
		{"COMPLAINTS_PGP_FINGERPRINT", func(o *Operator) { o.Complaints.PGPFingerprint = "x" }},
		{"HOSTING", func(o *Operator) { o.Hosting = "\x00" }},
		{"HOSTING_COUNTRY", func(o *Operator) { o.Hosting = "" }},
		{"HOSTING_COUNTRY", func(o *Operator) { o.HostingCountry = "??" }},
		{"HOSTING_TYPE", func(o *Operator) { o.HostingType = "cloud" }},
	} {
		o := operator()
		c.bad(&o)
		err := o.Check()
		var field FieldError
		if !errors.As(err, &field) || field.Field != c.field || field.Reason == "" {
			t.Errorf("%s: %v", c.field, err)
		}
	}
}

func TestAddressesThatAppsGive(t *testing.T) {
	for _, link := range []string{
		"https://" + host + "/a" + shortFragment, "simplex:/a" + shortFragment, "https://" + host + "/c#x", "simplex:/g#x?h=y",
		"https://simplex.chat/contact" + fullFragment, "https://simplex.chat/contact/" + fullFragment, "simplex:/contact" + fullFragment,
	} {
		if reason := checkSimpleX(link); reason != "" {
			t.Errorf("%.60s %s", link, reason)
		}
	}
}

// TestEveryFieldIsShown fills in one field after the other and finds it on the page.
func TestEveryFieldIsShown(t *testing.T) {
	fields := 0
	for _, f := range operator().fields() {
		if f.value != "" {
			fields++
		}
	}
	plain := body(t, get(t, handler(t, messages()), http.MethodGet, "/"))
	o := operator()
	shown := []string{
		o.SourceCode, o.UsageConditions, o.ConditionAmendments, "Sweden", o.Operator, "Germany", o.Website, o.Hosting,
		"Example Hosting, Sweden", "Dedicated machine", o.Admin.SimpleX[:60], o.Admin.Email, o.Admin.PGP, o.Admin.PGPFingerprint,
		o.Complaints.SimpleX[:25], o.Complaints.Email,
	}
	if len(shown) != fields {
		t.Errorf("%d values, %d fields", len(shown), fields)
	}
	for _, value := range shown {
		if !strings.Contains(plain, strings.ReplaceAll(value, "&", "&amp;")) {
			t.Errorf("%q is not shown", value)
		}
	}
}

// TestTextsStayTexts gives names that would be markup.
func TestTextsStayTexts(t *testing.T) {
	const evil = `<script>alert("1")</script>`
	s := messages()
	s.Operator.Operator, s.Operator.Hosting, s.Version = evil, evil, evil
	h := handler(t, s)
	text := body(t, get(t, h, http.MethodGet, "/"))
	if strings.Contains(text, "<script>") || strings.Count(text, "&lt;script&gt;") != 3 {
		t.Error("a name is markup")
	}
	if strings.Count(text, "<script") != 1 || strings.Contains(text, "<style") || strings.Contains(text, " style=") ||
		strings.Contains(text, " onclick") {
		t.Error("the page has more scripts than its own")
	}
}

func TestCountries(t *testing.T) {
	if len(countries) != 249 || country("se") != "Sweden" || country("ZW") != "Zimbabwe" || country("") != "" {
		t.Errorf("%d countries", len(countries))
	}
	for code := range countries {
		if len(code) != 2 || strings.ToUpper(code) != code {
			t.Errorf("the code %q", code)
		}
	}
	var types []string
	for _, name := range []string{"virtual", "dedicated", "colocation", "owned"} {
		if checkHostingType(name) == "" {
			types = append(types, name)
		}
	}
	if !reflect.DeepEqual(types, []string{"virtual", "dedicated", "colocation", "owned"}) {
		t.Errorf("types %v", types)
	}
}
