package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
)

// How long browsers and proxies may keep an answer. What operators change shows up within minutes; an asset never
// changes under its name.
const (
	cacheShort   = "public, max-age=300"
	cacheForever = "public, max-age=31536000, immutable"
	cacheNever   = "no-store"
)

// policy allows what the pages consist of, which is scripts, a style sheet and an icon of the same site, and nothing
// else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; base-uri 'none'; " +
	"form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// headers are those of every answer.
var headers = map[string]string{
	"Content-Security-Policy":      policy,
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Permissions-Policy":           "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
	"Referrer-Policy":              "no-referrer",
	"X-Content-Type-Options":       "nosniff",
}

// page is one answer, in both encodings.
type page struct {
	mediaType, cache string
	plain, zipped    []byte
	tag              string
}

// newPage compresses content.
func newPage(mediaType, cache string, content []byte) *page {
	sum := sha256.Sum256(append([]byte(mediaType+"\n"), content...))
	return &page{
		mediaType: mediaType, cache: cache, plain: content, zipped: compress(content), tag: hex.EncodeToString(sum[:tagSize]),
	}
}

// tagSize is the part of a hash that tells contents apart: 128 bits.
const tagSize = 16

// compress cannot fail: the level is valid, and a buffer takes everything.
func compress(content []byte) []byte {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
	_, _ = z.Write(content)
	_ = z.Close()
	return b.Bytes()
}

// site serves pages by their paths.
type site struct {
	pages   map[string]*page
	missing *page
}

// ServeHTTP answers a request.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for name, value := range headers {
		w.Header().Set(name, value)
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		w.Header().Set("Cache-Control", cacheNever)
		http.Error(w, "This site can only be read.", http.StatusMethodNotAllowed)
		return
	}
	if p := s.pages[r.URL.Path]; p != nil {
		p.serve(w, r, http.StatusOK)
		return
	}
	s.missing.serve(w, r, http.StatusNotFound)
}

func (p *page) serve(w http.ResponseWriter, r *http.Request, status int) {
	body, tag := p.plain, `"`+p.tag+`"`
	h := w.Header()
	h.Set("Cache-Control", p.cache)
	h.Set("Vary", "Accept-Encoding")
	zip := acceptsGzip(r.Header.Values("Accept-Encoding"))
	if zip {
		body, tag = p.zipped, `"`+p.tag+`-gzip"`
	}
	if status == http.StatusOK {
		h.Set("ETag", tag)
		if matches(r.Header.Values("If-None-Match"), tag) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	if zip {
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Content-Type", p.mediaType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method == http.MethodGet {
		_, _ = w.Write(body) // a client that has gone misses nothing
	}
}

// acceptsGzip reads the header Accept-Encoding: gzip by name, or else any encoding, with a weight above zero.
func acceptsGzip(values []string) bool {
	anything := false
	for _, value := range values {
		for part := range strings.SplitSeq(value, ",") {
			name, parameters, _ := strings.Cut(part, ";")
			switch strings.ToLower(strings.TrimSpace(name)) {
			case "gzip", "x-gzip":
				return weighty(parameters)
			case "*":
				anything = weighty(parameters)
			}
		}
	}
	return anything
}

// weighty reports that the weight is missing, or a number above zero.
func weighty(parameters string) bool {
	name, value, _ := strings.Cut(parameters, "=")
	if strings.ToLower(strings.TrimSpace(name)) != "q" {
		return true
	}
	q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	return err == nil && q > 0
}

// matches reads the header If-None-Match.
func matches(values []string, tag string) bool {
	for _, value := range values {
		for part := range strings.SplitSeq(value, ",") {
			if part = strings.TrimSpace(part); part == "*" || strings.TrimPrefix(part, "W/") == tag {
				return true
			}
		}
	}
	return false
}
