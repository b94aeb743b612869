package description

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"errors"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"sotto/shared/address"
)

// Spec: xftp.md 13.5
func TestAppLink(t *testing.T) {
	d := exampleDescription(t)
	link := AppLink(d, "")
	if !strings.HasPrefix(link, "simplex:/file#/?desc=chunkSize%3A%2064kb%0Adigest%3A%20qXHftJr-RLh2B-BXTWsZ0") ||
		!strings.HasSuffix(link, "%40xftp.example.org%0Asize%3A%2064kb%0A") {
		t.Errorf("link %s", link)
	}
	for _, extra := range []string{"", "text", `{"a": "b&c=d+e%20é"}`, "\x00\xff#"} {
		link := AppLink(d, extra)
		if (extra != "") != strings.Contains(link, "&data=") {
			t.Errorf("link %s", link)
		}
		for name, link := range map[string]string{
			"as made":            link,
			"slash":              strings.Replace(link, "/file#", "/file/#", 1),
			"plus":               strings.ReplaceAll(link, "%20", "+"),
			"small digits":       strings.ReplaceAll(link, "%3A", "%3a"),
			"few are encoded":    strings.NewReplacer("%3A", ":", "%40", "@").Replace(link),
			"web":                strings.Replace(link, "simplex:", "https://simplex.chat", 1),
			"port":               strings.Replace(link, "simplex:", "https://localhost:8443", 1),
			"web and slash":      strings.Replace(link, "simplex:/file", "https://simplex.chat/file/", 1),
			"another parameter":  link + "&x=y",
			"parameters changed": strings.Replace(link, "?desc", "?x=y&desc", 1),
		} {
			got, gotExtra, err := ParseLink(link)
			if err != nil || gotExtra != extra || !reflect.DeepEqual(got, d) {
				t.Errorf("%s: extra %q, %v", name, gotExtra, err)
			}
		}
	}
}

func TestWebLinkPages(t *testing.T) {
	d := exampleDescription(t)
	for page, want := range map[string]string{
		"https://example.org":          "https://example.org/#",
		"https://example.org/":         "https://example.org/#",
		"http://localhost:5443":        "http://localhost:5443/#",
		"https://[2001:db8::1]:7":      "https://[2001:db8::1]:7/#",
		"https://example.org/app/":     "https://example.org/app/#",
		"https://example.org/app.html": "https://example.org/app.html#",
	} {
		link, err := WebLink(d, page)
		if err != nil || !strings.HasPrefix(link, want) || strings.Count(link, "#") != 1 {
			t.Errorf("%s becomes %s: %v", page, link, err)
			continue
		}
		if got, extra, err := ParseLink(link); err != nil || extra != "" || !reflect.DeepEqual(got, d) {
			t.Errorf("%s comes back as another: %v", page, err)
		}
	}
	for _, page := range []string{
		"", "example.org", "/app", "//example.org", "ftp://example.org", "simplex:/file", "https:///app", "https://a#b", "https://a/?b", "https://a b", "%",
	} {
		if _, err := WebLink(d, page); !errors.Is(err, ErrLink) {
			t.Errorf("%q is a page: %v", page, err)
		}
	}
}

func TestOrigin(t *testing.T) {
	for server, want := range map[string]string{
		"a.example,b.example":   "https://a.example",
		"a.example,b.example:7": "https://a.example:7",
		"a.example:443":         "https://a.example",
		"192.0.2.1:5443":        "https://192.0.2.1:5443",
		"2001:db8::1":           "https://[2001:db8::1]",
	} {
		d := exampleDescription(t)
		s, err := address.Parse(address.XFTP, "xftp://AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=@"+server)
		if err != nil {
			t.Fatal(err)
		}
		d.Chunks[0].Replicas[0].Server = s
		if got := d.Origin(); got != want {
			t.Errorf("%s has the page %s, want %s", server, got, want)
		}
	}
	for _, d := range []*Description{{}, {Chunks: []Chunk{{}}}, {Chunks: []Chunk{{Replicas: []Replica{{}}}}}} {
		if got := d.Origin(); got != "" {
			t.Errorf("nothing has the page %s", got)
		}
	}
}

// TestWantsRedirect: links of many characters to many chunks.
//
// Spec: xftp.md 13.5
func TestWantsRedirect(t *testing.T) {
	one, two := &Description{Chunks: make([]Chunk, 1)}, &Description{Chunks: make([]Chunk, 2)}
	for _, c := range []struct {
		d    *Description
		n    int
		want bool
	}{{one, 401, false}, {two, 400, false}, {two, 401, true}} {
		if got := WantsRedirect(c.d, "https://example.org/#"+strings.Repeat("A", c.n)); got != c.want {
			t.Errorf("%d characters for %d chunks: %v", c.n, len(c.d.Chunks), got)
		}
	}
}

// deflate returns the fragment for a text.
func deflate(t testing.TB, text []byte) string {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return base64.URLEncoding.EncodeToString(b.Bytes())
}

func TestParseLinkRefuses(t *testing.T) {
	d := exampleDescription(t)
	app := AppLink(d, "extra")
	compressed, err := base64.URLEncoding.DecodeString(exampleFragment)
	if err != nil {
		t.Fatal(err)
	}
	bomb := deflate(t, make([]byte, 4*MaxText))
	for name, link := range map[string]string{
		"nothing":                "",
		"no fragment":            "https://example.org/",
		"empty fragment":         "https://example.org/#",
		"only a fragment":        "#" + exampleFragment,
		"description alone":      exampleText,
		"another scheme":         "ftp://example.org/#" + exampleFragment,
		"no host":                "https:///#" + exampleFragment,
		"page of spaces":         "https://a b/#" + exampleFragment,
		"web link for apps":      "simplex:/file#" + exampleFragment,
		"standard base64":        "https://example.org/#" + strings.ReplaceAll(exampleFragment, "_", "/"),
		"fragment cut":           "https://example.org/#" + exampleFragment[:400],
		"something behind":       "https://example.org/#" + base64.URLEncoding.EncodeToString(append(compressed, 0)),
		"not a description":      "https://example.org/#" + deflate(t, []byte("hello")),
		"decompression bomb":     "https://example.org/#" + bomb,
		"too long":               app + "&x=" + strings.Repeat("A", maxLink),
		"app, no description":    "simplex:/file#/?data=extra",
		"app, empty description": "simplex:/file#/?desc=",
		"app, two descriptions":  app + "&desc=x",
		"app, two extras":        app + "&data=x",
		"app, broken percent":    strings.Replace(app, "%0A", "%0", 1),
		"app, not a description": "simplex:/file#/?desc=hello",
		"app, another path":      strings.Replace(app, "/file#", "/contact#", 1),
		"app, two slashes":       strings.Replace(app, "/file#", "/file//#", 1),
		"app, another scheme":    strings.Replace(app, "simplex:", "smp:", 1),
		"app, no host":           strings.Replace(app, "simplex:", "https://", 1),
		"app, without TLS":       strings.Replace(app, "simplex:", "http://example.org", 1),
		"app, deeper path":       strings.Replace(app, "simplex:", "https://example.org/a", 1),
		"app, query":             strings.Replace(app, "simplex:/file", "https://example.org/file?a=b", 1),
		"app, no slash":          strings.Replace(app, "#/?", "#?", 1),
		"app in capitals":        strings.Replace(app, "desc=", "DESC=", 1),
	} {
		got, extra, err := ParseLink(link)
		if got != nil || extra != "" || !errors.Is(err, ErrLink) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if inside := name == "not a description" || name == "app, not a description"; inside && !errors.Is(err, ErrDescription) {
			t.Errorf("%s: %v", name, err)
		}
		for _, secret := range []string{"example.org", "AAEC", "extra", "hello", "bZHJ"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%s: the error quotes the link: %v", name, err)
			}
		}
	}
}

// TestInflateIsBounded: a bomb is given up at the bound of descriptions.
func TestInflateIsBounded(t *testing.T) {
	for _, c := range []struct {
		n    int
		want bool
	}{{MaxText, true}, {MaxText + 1, false}, {16 * MaxText, false}} {
		b, err := base64.URLEncoding.DecodeString(deflate(t, make([]byte, c.n)))
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		text, err := inflate(b)
		runtime.ReadMemStats(&after)
		if (err == nil) != c.want || err == nil && len(text) != c.n {
			t.Errorf("%d bytes: %v", c.n, err)
		}
		if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 8*MaxText {
			t.Errorf("%d bytes allocate %d", c.n, allocated)
		}
	}
}
