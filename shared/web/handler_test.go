package web

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"
)

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	text, err := io.ReadAll(r.Body)
	must(t, err)
	return string(text)
}

func TestHeadersOfEveryAnswer(t *testing.T) {
	h := handler(t, messages())
	for path, want := range map[string]struct {
		status          int
		mediaType, keep string
	}{
		"/":                        {200, "text/html; charset=utf-8", "public, max-age=300"},
		"/a":                       {200, "text/html; charset=utf-8", "public, max-age=300"},
		"/contact/":                {200, "text/html; charset=utf-8", "public, max-age=300"},
		"/robots.txt":              {200, "text/plain; charset=utf-8", "public, max-age=300"},
		"/favicon.ico":             {200, "image/svg+xml", "public, max-age=300"},
		"/.well-known/nothing":     {404, "text/html; charset=utf-8", "no-store"},
		"/A":                       {404, "text/html; charset=utf-8", "no-store"},
		"//":                       {404, "text/html; charset=utf-8", "no-store"},
		"/files":                   {404, "text/html; charset=utf-8", "no-store"},
		assetsPath + "style.css":   {200, "text/css; charset=utf-8", "public, max-age=31536000, immutable"},
		assetsPath + "link.mjs":    {200, "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"},
		assetsPath + "icon.svg":    {200, "image/svg+xml", "public, max-age=31536000, immutable"},
		assetsPath:                 {404, "text/html; charset=utf-8", "no-store"},
		"/assets/older/style.css":  {404, "text/html; charset=utf-8", "no-store"},
		"/.well-known/../index.go": {404, "text/html; charset=utf-8", "no-store"},
	} {
		t.Run(path, func(t *testing.T) {
			r := get(t, h, http.MethodGet, path)
			if r.StatusCode != want.status {
				t.Errorf("status %d, want %d", r.StatusCode, want.status)
			}
			for name, value := range map[string]string{
				"Content-Type": want.mediaType, "Cache-Control": want.keep, "Vary": "Accept-Encoding",
				"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
				"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
			} {
				if got := r.Header.Get(name); got != value {
					t.Errorf("%s: %q, want %q", name, got, value)
				}
			}
			checkPolicy(t, r.Header.Get("Content-Security-Policy"))
			if r.Header.Get("Permissions-Policy") == "" {
				t.Error("no Permissions-Policy")
			}
		})
	}
}

// checkPolicy expects that nothing is allowed but what comes from the same site.
func checkPolicy(t *testing.T, policy string) {
	t.Helper()
	got := make(map[string]string)
	for part := range strings.SplitSeq(policy, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), " ")
		got[name] = value
	}
	for name, want := range map[string]string{
		"default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "img-src": "'self'", "base-uri": "'none'",
		"form-action": "'none'", "frame-ancestors": "'none'",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") || strings.Contains(policy, "http") {
		t.Errorf("the policy %q", policy)
	}
}

func TestMethods(t *testing.T) {
	h := handler(t, messages())
	for _, path := range []string{"/", "/nothing"} {
		whole := get(t, h, http.MethodGet, path)
		head := get(t, h, http.MethodHead, path)
		if text := body(t, head); text != "" || head.StatusCode != whole.StatusCode {
			t.Errorf("HEAD %s: %d with %d bytes", path, head.StatusCode, len(text))
		}
		if got, want := head.Header.Get("Content-Length"), whole.Header.Get("Content-Length"); got != want || got == "" {
			t.Errorf("HEAD %s: length %q, want %q", path, got, want)
		}
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, "OTHER"} {
			r := get(t, h, method, path)
			if r.StatusCode != http.StatusMethodNotAllowed || r.Header.Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: %d, Allow: %q", method, path, r.StatusCode, r.Header.Get("Allow"))
			}
			checkPolicy(t, r.Header.Get("Content-Security-Policy"))
		}
	}
}

// TestGzip expects the same content both ways, and compression only for those who ask for it.
func TestGzip(t *testing.T) {
	h := handler(t, messages())
	for path := range h.(*site).pages {
		plain := body(t, get(t, h, http.MethodGet, path))
		r := get(t, h, http.MethodGet, path, "Accept-Encoding", "gzip, deflate, br")
		if r.Header.Get("Content-Encoding") != "gzip" {
			t.Fatalf("%s is not compressed", path)
		}
		z, err := gzip.NewReader(r.Body)
		must(t, err)
		text, err := io.ReadAll(z)
		must(t, err)
		if !bytes.Equal(text, []byte(plain)) || plain == "" {
			t.Errorf("%s differs, at %d and %d bytes", path, len(text), len(plain))
		}
	}
	for accept, want := range map[string]bool{
		"": false, "gzip": true, "GZIP": true, "x-gzip": true, "br": false, "br, gzip;q=0.5": true, "gzip;q=0": false,
		"gzip; q=0.000": false, "*": true, "*;q=0": false, "identity, *;q=0": false, "gzip;q=0, *": false, "*;q=0, gzip": true,
		"gzip;q=x": false, ";;,,": false, "gzipped": false, "gzip;level=9": true,
	} {
		r := get(t, h, http.MethodGet, "/", "Accept-Encoding", accept)
		if got := r.Header.Get("Content-Encoding") == "gzip"; got != want {
			t.Errorf("%q: compressed is %v", accept, got)
		}
	}
}

func TestTags(t *testing.T) {
	h := handler(t, messages())
	plain := get(t, h, http.MethodGet, "/").Header.Get("ETag")
	zipped := get(t, h, http.MethodGet, "/", "Accept-Encoding", "gzip").Header.Get("ETag")
	other := get(t, h, http.MethodGet, "/a").Header.Get("ETag")
	if plain == "" || plain == zipped || plain == other {
		t.Fatalf("tags %q, compressed %q, of another page %q", plain, zipped, other)
	}
	changed := messages()
	changed.Version = "v1.2.4"
	if tag := get(t, handler(t, changed), http.MethodGet, "/").Header.Get("ETag"); tag == plain {
		t.Error("another content has the same tag")
	}
	for value, want := range map[string]int{
		plain: 304, "W/" + plain: 304, `"x", ` + plain: 304, "*": 304, zipped: 200, other: 200, "": 200, strings.Trim(plain, `"`): 200,
	} {
		r := get(t, h, http.MethodGet, "/", "If-None-Match", value)
		text := body(t, r)
		if r.StatusCode != want || (want == 304) != (text == "") {
			t.Errorf("%q: %d with %d bytes", value, r.StatusCode, len(text))
		}
		if r.Header.Get("ETag") != plain || r.Header.Get("Cache-Control") == "" || r.Header.Get("Vary") == "" {
			t.Errorf("%q: headers %v", value, r.Header)
		}
	}
	if r := get(t, h, http.MethodGet, "/nothing", "If-None-Match", "*"); r.StatusCode != 404 || r.Header.Get("ETag") != "" {
		t.Errorf("a missing page: %d", r.StatusCode)
	}
}

// TestNothingOfARequestComesBack puts a word wherever a request has room for one.
func TestNothingOfARequestComesBack(t *testing.T) {
	const word = "pomegranate"
	for name, s := range map[string]Site{"messages": messages(), "files": files()} {
		h := handler(t, s)
		for _, method := range []string{http.MethodGet, http.MethodPost, word} {
			for _, path := range []string{"/" + word, "/?" + word, "/a?q=" + word, "/a/" + word, "/files/" + word} {
				r := get(t, h, method, path, "Host", word, "Referer", word, "User-Agent", word, "X-Forwarded-Host", word,
					"Accept-Encoding", word, "If-None-Match", `"`+word+`"`, "Cookie", word)
				var all bytes.Buffer
				must(t, r.Write(&all))
				if strings.Contains(strings.ToLower(all.String()), word) {
					t.Errorf("%s: %s %s answers %q", name, method, path, &all)
				}
				if r.Header.Get("Set-Cookie") != "" {
					t.Errorf("%s: a cookie", name)
				}
			}
		}
	}
}
