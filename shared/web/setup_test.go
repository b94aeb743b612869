package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const (
	host        = "relay.example.org"
	onionHost   = "mbvsxoefxk2kvu3bnqfy4ylgbvqmnbpevkvd4h7vmlngqxgdpxxmyzad.onion"
	fingerprint = "0BwuyvBi97wZ4GEmv0NUqbC8jNx2rw-t5RWqTbCpV6Q="
)

// Fragments as apps make them: of a short link, and of a full one with two queues and keys.
var (
	shortFragment = "#4Tv2tUyN6hC1lbSWqXzTg0yjJcfEm7uxxX6mXcfI8rE?h=" + onionHost + "&p=5223"
	fullFragment  = "#/?v=2-7&smp=smp%3A%2F%2F" + strings.Repeat("q1W2e3R4t5", 40) +
		"&e2e=v%3D2-3%26x3dh%3D" + strings.Repeat("z9Y8x7W6v5", 150)
)

// messages is a message relay that tells everything.
func messages() Site {
	return Site{
		Kind: Messages, Address: "smp://" + fingerprint + "@" + host + "," + onionHost,
		Version: "v1.2.3", Open: true, TTL: 21 * 24 * time.Hour, Quota: 128, Other: FilesPath, Operator: operator(),
	}
}

// files is a file relay that needs a password.
func files() Site {
	return Site{
		Kind: Files, Address: "xftp://" + fingerprint + "@" + host, Version: "v1.2.3", Password: true, Open: true,
		TTL: 48 * time.Hour, Storage: 10 << 30, Other: "https://messages.example.org/", Operator: Operator{Operator: "A. Example"},
	}
}

// bare is a message relay that tells as little as it can.
func bare() Site { return Site{Address: "smp://" + fingerprint + "@192.0.2.7:15223", Version: "dev"} }

func operator() Operator {
	return Operator{
		SourceCode: "https://git.example.org/sotto", UsageConditions: "https://example.org/conditions",
		ConditionAmendments: "https://example.org/amendments", ServerCountry: "SE", Operator: "Example Association",
		OperatorCountry: "de", Website: "https://example.org/",
		Admin: Contact{
			SimpleX: "https://" + host + "/a" + shortFragment, Email: "admin@example.org", PGP: "https://example.org/key.asc",
			PGPFingerprint: "0123 4567 89AB CDEF 0123 4567 89AB CDEF 0123 4567",
		},
		Complaints: Contact{SimpleX: "simplex:/contact" + fullFragment, Email: "abuse@example.org"},
		Hosting:    "Example Hosting", HostingCountry: "SE", HostingType: "dedicated",
	}
}

// handler makes the pages of a site.
func handler(t *testing.T, s Site) http.Handler {
	t.Helper()
	h, err := New(s)
	must(t, err)
	return h
}

// serve serves the pages of a site.
func serve(t *testing.T, s Site) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handler(t, s))
	t.Cleanup(server.Close)
	return server
}

// get asks a handler for a path, with these headers as names and values.
func get(t *testing.T, h http.Handler, method, path string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "http://"+host+path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}
