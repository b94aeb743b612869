package web

import (
	"encoding/base64"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// picturesVariable names a directory that gets a picture of every page that is opened; without it there are none.
const picturesVariable = "SOTTO_TEST_PICTURES"

var views = []view{{360, 740, "light"}, {360, 740, "dark"}, {1280, 900, "light"}, {1280, 900, "dark"}}

// TestPagesInBrowser opens all pages as people do, and expects the browser to have no complaint, to ask no other site
// for anything, and to fit all of it into the window.
func TestPagesInBrowser(t *testing.T) {
	b := startBrowser(t)
	sites := map[string]*httptest.Server{
		"messages": serve(t, messages()), "files": serve(t, files()), "bare": serve(t, bare()),
	}
	for name, at := range map[string][2]string{
		"messages": {"messages", "/"}, "files": {"files", "/files"}, "bare": {"bare", "/"},
		"address": {"messages", "/a" + shortFragment}, "invitation": {"messages", "/invitation" + fullFragment},
		"incomplete": {"messages", "/g"}, "missing": {"messages", "/nothing"},
	} {
		server := sites[at[0]]
		for _, v := range views {
			t.Run(name+"-"+v.String(), func(t *testing.T) {
				b.t = t
				b.show(v)
				b.open(server.URL + at[1])
				var wide int
				b.evaluate("document.documentElement.scrollWidth", &wide)
				if wide > v.width {
					t.Errorf("the page is %d wide", wide)
				}
				complaints, requests := b.complaints()
				for _, c := range complaints {
					if name != "missing" || !strings.Contains(c, "404 (Not Found)") {
						t.Errorf("the browser complains: %s", c)
					}
				}
				for _, url := range requests {
					if !strings.HasPrefix(url, server.URL+"/") && url != "about:blank" {
						t.Errorf("the page asks for %s", url)
					}
				}
				if len(requests) < 2 {
					t.Errorf("%d requests were seen", len(requests))
				}
				b.picture(name + "-" + v.String())
			})
		}
	}
	b.t = t
}

// picture keeps what is on the page, all of its height, if somebody wants it.
func (b *browser) picture(name string) {
	b.t.Helper()
	dir := os.Getenv(picturesVariable)
	if dir == "" {
		return
	}
	must(b.t, os.MkdirAll(dir, 0o755))
	var shot struct{ Data string }
	b.call("Page.captureScreenshot", map[string]any{"captureBeyondViewport": true, "format": "png"}, &shot)
	png, err := base64.StdEncoding.DecodeString(shot.Data)
	must(b.t, err)
	must(b.t, os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644))
}
