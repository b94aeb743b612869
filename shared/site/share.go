package site

import (
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"

	"sotto/shared/web"
)

// Bounds of asking another relay for its pages, which it has in memory.
const (
	shareTime   = 5 * time.Second
	shareHeader = 16 << 10 // of an answer
	// shareConns is how many connections to it may be open; more requests wait.
	shareConns = 32
)

// Share returns own pages, and for paths that they do not have those of another relay, whose URL is at: for two relays with
// one host name. Nothing about the client is told to the other relay.
func Share(own http.Handler, at string) http.Handler {
	target, err := url.Parse(at)
	if err != nil {
		return own
	}
	other := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			header := http.Header{}
			for _, name := range []string{"Accept-Encoding", "If-None-Match"} {
				if values := r.In.Header.Values(name); values != nil {
					header[name] = values
				}
			}
			r.Out.Header = header
			r.Out.Body, r.Out.ContentLength = nil, 0
			r.SetURL(target)
		},
		Transport: &http.Transport{
			DisableCompression: true, MaxConnsPerHost: shareConns, MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute,
			ResponseHeaderTimeout: shareTime, MaxResponseHeaderBytes: shareHeader,
		},
		ErrorHandler: away,
		ErrorLog:     log.New(io.Discard, "", 0),
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case web.Has(own, r.URL.Path):
			own.ServeHTTP(w, r)
		case r.Method == http.MethodGet || r.Method == http.MethodHead:
			other.ServeHTTP(w, r)
		default:
			own.ServeHTTP(w, r)
		}
	})
}

// away is the answer while the other relay does not answer. The own page is still there.
func away(w http.ResponseWriter, _ *http.Request, _ error) {
	header := w.Header()
	header.Set("Content-Type", "text/plain; charset=utf-8")
	header.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusBadGateway)
	_, _ = io.WriteString(w, "The message relay is away. The file relay's page is at "+web.FilesPath+".\n")
}
