package web

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestInformation(t *testing.T) {
	closed, forever := bare(), files()
	forever.TTL, forever.Storage, forever.Password = 0, 0, false
	protected := messages()
	protected.Password = true
	for name, c := range map[string]struct {
		site       Site
		path       string
		has, lacks []string
	}{
		"messages": {messages(), "/", []string{
			messages().Address, "Message relay", "Open to everyone", "after 21 days", "room for 128 messages", "v1.2.3",
			`href="/files"`, "onion name", "Example Association, Germany", "Sweden", "Dedicated machine",
			`href="https://git.example.org/sotto"`, `href="https://example.org/conditions"`, `href="https://example.org/amendments"`,
			`href="mailto:admin@example.org"`, `href="simplex:/contact#/?v=2-7&amp;smp=`, `href="https://` + host + `/a#4Tv2`,
			"0123 4567 89AB CDEF", `href="https://example.org/key.asc"`, "Scan server QR code", "<svg",
		}, []string{"password", "nothing about themselves"}},
		"with a password": {protected, "/", []string{"New queues need a password", "smp://fingerprint:password@host"}, nil},
		"bare": {closed, "/", []string{
			closed.Address, "Closed to new queues", "stays until somebody does", "nothing about themselves", "takes no new queues",
		}, []string{"room for", "Source code", "File relay", "onion"}},
		"files": {files(), "/files", []string{
			files().Address, "File relay", "Uploads need a password", "after 48 hours", "room for 10 GB", "A. Example",
			`href="https://messages.example.org/"`, "Message relay",
		}, []string{"queue", "Hosting"}},
		"files for ever": {forever, "/", []string{"Kept until deleted", "Open to everyone"}, []string{"room for", "after"}},
	} {
		t.Run(name, func(t *testing.T) {
			text := body(t, get(t, handler(t, c.site), http.MethodGet, c.path))
			for _, want := range c.has {
				if !strings.Contains(text, want) {
					t.Errorf("lacks %q", want)
				}
			}
			for _, unwanted := range c.lacks {
				if strings.Contains(text, unwanted) {
					t.Errorf("has %q", unwanted)
				}
			}
		})
	}
}

func TestSpans(t *testing.T) {
	for d, want := range map[time.Duration]string{
		21 * 24 * time.Hour: "21 days", 48 * time.Hour: "48 hours", 72 * time.Hour: "3 days", time.Hour: "1 hour",
		50 * time.Hour: "50 hours", 90 * time.Minute: "90 minutes", time.Second: "1s",
	} {
		if got := span(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

// TestSharedHost expects a file relay beside a message relay to leave everything to it but its own page.
func TestSharedHost(t *testing.T) {
	s := files()
	s.Shared = true
	shared, whole, other := handler(t, s), handler(t, files()), handler(t, messages())
	for path, want := range map[string]bool{
		"/files": true, "/files/": true, assetsPath + "style.css": true, "/": false, "/a": false, "/robots.txt": false,
		"/favicon.ico": false, "/.well-known/assetlinks.json": false, "/assets/other/style.css": false,
	} {
		if got := Has(shared, path); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
		if status := get(t, shared, http.MethodGet, path).StatusCode; (status == 200) != want {
			t.Errorf("%s: status %d", path, status)
		}
	}
	for path, p := range shared.(*site).pages {
		if o := other.(*site).pages[path]; o != nil && o.tag != p.tag {
			t.Errorf("both relays have something else at %s", path)
		}
	}
	for _, path := range []string{"/", "/files", "/robots.txt", "/favicon.ico"} {
		if !Has(whole, path) {
			t.Errorf("a file relay with a host name of its own lacks %s", path)
		}
	}
	if Has(whole, "/.well-known/assetlinks.json") || Has(whole, "/a") {
		t.Error("a file relay has pages of links")
	}
	if Has(http.NotFoundHandler(), "/") {
		t.Error("another handler has a page")
	}
}

func TestAppFiles(t *testing.T) {
	h := handler(t, messages())
	var apple struct {
		Applinks struct {
			Details []struct {
				AppIDs     []string
				Components []map[string]string
			}
		}
	}
	read(t, h, "/.well-known/apple-app-site-association", &apple)
	details := apple.Applinks.Details
	if len(details) != 1 || !reflect.DeepEqual(details[0].AppIDs, []string{"5NN7GUYB6T.chat.simplex.app"}) {
		t.Fatalf("details %v", details)
	}
	claimed := make(map[string]bool)
	for _, c := range details[0].Components {
		claimed[c["/"]] = true
	}
	want := make(map[string]bool)
	for _, path := range []string{"/contact", "/invitation", "/a", "/c", "/g", "/i"} {
		want[path], want[path+"/*"] = true, true
	}
	if !reflect.DeepEqual(claimed, want) {
		t.Errorf("paths %v", claimed)
	}
	var android []struct {
		Relation []string
		Target   struct {
			Namespace    string
			Package      string   `json:"package_name"`
			Certificates []string `json:"sha256_cert_fingerprints"`
		}
	}
	read(t, h, "/.well-known/assetlinks.json", &android)
	if len(android) != 1 || !reflect.DeepEqual(android[0].Relation, []string{"delegate_permission/common.handle_all_urls"}) {
		t.Fatalf("statements %v", android)
	}
	target := android[0].Target
	if target.Namespace != "android_app" || target.Package != "chat.simplex.app" || len(target.Certificates) != 3 {
		t.Errorf("target %v", target)
	}
	for _, c := range target.Certificates {
		if !regexp.MustCompile(`^[0-9A-F]{2}(:[0-9A-F]{2}){31}$`).MatchString(c) {
			t.Errorf("certificate %q", c)
		}
	}
}

// read reads a file of JSON.
func read(t *testing.T, h http.Handler, path string, into any) {
	t.Helper()
	r := get(t, h, http.MethodGet, path)
	if r.StatusCode != 200 || r.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%s: status %d, type %q", path, r.StatusCode, r.Header.Get("Content-Type"))
	}
	must(t, json.Unmarshal([]byte(body(t, r)), into))
}

var reference = regexp.MustCompile(`(?:href|src)="([^"]*)"|from '([^']*)'`)

// TestReferences follows everything that pages and scripts refer to on their own site.
func TestReferences(t *testing.T) {
	m := messages()
	m.Other = ""
	for name, s := range map[string]Site{"messages": m, "files": files(), "bare": bare()} {
		h, found := handler(t, s), 0
		for path, p := range h.(*site).pages {
			for _, match := range reference.FindAllStringSubmatch(string(p.plain), -1) {
				to := match[1]
				if module, ok := strings.CutPrefix(match[2], "./"); ok {
					to = path[:strings.LastIndex(path, "/")+1] + module
				}
				if strings.HasPrefix(to, "/") {
					found++
					if !Has(h, to) {
						t.Errorf("%s: %s refers to %s", name, path, to)
					}
				}
			}
		}
		if found < len(assets) {
			t.Errorf("%s: %d references", name, found)
		}
	}
}

// most bounds all that a visitor can load of a site, uncompressed.
const most = 150_000

func TestSize(t *testing.T) {
	for name, s := range map[string]Site{"messages": messages(), "files": files()} {
		plain, zipped, seen := 0, 0, make(map[*page]bool)
		for _, p := range handler(t, s).(*site).pages {
			if !seen[p] {
				seen[p], plain, zipped = true, plain+len(p.plain), zipped+len(p.zipped)
			}
		}
		t.Logf("%s: %d bytes, %d compressed", name, plain, zipped)
		if plain > most || plain < most/20 {
			t.Errorf("%s: %d bytes", name, plain)
		}
	}
}

var (
	definition = regexp.MustCompile(`(?m)^ +--([a-z-]+): #([0-9a-f]{6});$`)
	// pairs are text and what it is written on.
	pairs = [][2]string{
		{"ink", "paper"},
		{"ink", "card"},
		{"ink", "wash"},
		{"soft", "paper"},
		{"soft", "card"},
		{"accent", "paper"},
		{"accent", "card"},
		{"accent", "wash"},
		{"on-accent", "accent"},
		{"warm", "warm-wash"},
	}
)

// TestColours expects every colour in the light and in the dark, and texts that can be read: WCAG 2.2 asks for 4.5.
func TestColours(t *testing.T) {
	css, err := assetFiles.ReadFile("assets/style.css")
	must(t, err)
	light, dark, ok := strings.Cut(string(css), "prefers-color-scheme: dark")
	if !ok {
		t.Fatal("there is no dark")
	}
	names := make(map[string]int)
	for mode, text := range map[string]string{"light": light, "dark": dark} {
		colours := make(map[string]float64)
		for _, match := range definition.FindAllStringSubmatch(text, -1) {
			colours[match[1]] = luminance(t, match[2])
			names[match[1]]++
		}
		for _, p := range pairs {
			a, b := colours[p[0]], colours[p[1]]
			if ratio := (max(a, b) + 0.05) / (min(a, b) + 0.05); ratio < 4.5 {
				t.Errorf("%s: the contrast of %s on %s is %.2f", mode, p[0], p[1], ratio)
			}
		}
	}
	for name, times := range names {
		if times != 2 {
			t.Errorf("--%s is defined %d times", name, times)
		}
	}
	if len(names) < len(pairs) {
		t.Errorf("%d colours", len(names))
	}
}

func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	sum := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(hex[2*i:2*i+2], 16, 8)
		must(t, err)
		c := float64(n) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}

func TestSitesThatMakeNoSense(t *testing.T) {
	change := func(f func(*Site)) Site {
		s := messages()
		f(&s)
		return s
	}
	for name, s := range map[string]Site{
		"password":      change(func(s *Site) { s.Address = "smp://" + fingerprint + ":s3cret@" + host }),
		"no address":    change(func(s *Site) { s.Address = "" }),
		"other scheme":  change(func(s *Site) { s.Address = files().Address }),
		"shared":        change(func(s *Site) { s.Shared = true }),
		"other script":  change(func(s *Site) { s.Other = "javascript:alert(1)" }),
		"other host":    change(func(s *Site) { s.Other = "//example.org/" }),
		"other address": change(func(s *Site) { s.Other = "files" }),
		"operator":      change(func(s *Site) { s.Operator.Website = "ftp://example.org" }),
	} {
		h, err := New(s)
		if err == nil || h != nil {
			t.Errorf("%s: accepted", name)
		}
		if err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: the error tells the password", name)
		}
		var field FieldError
		if errors.As(err, &field) != (name == "operator") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
