package web

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"rsc.io/qr"
	"rsc.io/qr/coding"
)

// linkState is what the page of a link shows.
type linkState struct {
	Complete, Incomplete, Long, Figure, Copy bool
	Text, Href, Path                         string
	Images                                   int
}

const linkStateScript = `(() => {
	const get = (id) => document.getElementById(id), shown = (e) => e.getClientRects().length > 0;
	return {
		complete: shown(get('complete')), incomplete: shown(get('incomplete')), long: shown(get('long')),
		figure: shown(get('figure')), copy: shown(document.querySelector('[data-copy]')), text: get('text').textContent,
		href: get('open').getAttribute('href') ?? '', path: get('code').querySelector('path')?.getAttribute('d') ?? '',
		images: document.querySelectorAll('img, iframe, object').length,
	};
})()`

// TestLinksInBrowser opens links of all kinds, and expects the form that apps take.
func TestLinksInBrowser(t *testing.T) {
	b, server := startBrowser(t), serve(t, messages())
	const here = "127.0.0.1"
	for name, c := range map[string]struct{ path, fragment, app string }{
		"short":            {"a", "#test", "simplex:/a#test?h=" + here},
		"with hosts":       {"g", "#x?h=y.onion&p=5223", "simplex:/g#x?h=" + here + ",y.onion&p=5223"},
		"with a port":      {"c/", "#x?p=5223&c=z", "simplex:/c#x?h=" + here + "&p=5223&c=z"},
		"short invitation": {"i", "#id/key", "simplex:/i#id/key?h=" + here},
		"chat relay":       {"r", "#x", "simplex:/r#x?h=" + here},
		"full":             {"contact", "#/?v=2-7&smp=x", "simplex:/contact#/?v=2-7&smp=x"},
		"full invitation":  {"invitation/", fullFragment, "simplex:/invitation" + fullFragment},
		"markup":           {"a", `#"><img/src=x/onerror=alert(1)>`, `simplex:/a#%22%3E%3Cimg/src=x/onerror=alert(1)%3E?h=` + here},
		"script":           {"contact", "#javascript:alert(1)", "simplex:/contact#javascript:alert(1)"},
		"other letters":    {"contact", "#ä", "simplex:/contact#%C3%A4"},
	} {
		t.Run(name, func(t *testing.T) {
			b.t = t
			b.open(server.URL + "/" + c.path + c.fragment)
			var got linkState
			b.evaluate(linkStateScript, &got)
			if !got.Complete || got.Incomplete || got.Long || !got.Figure || !got.Copy || got.Images != 0 {
				t.Errorf("the page shows %+v", got)
			}
			if got.Href != c.app {
				t.Errorf("the button leads to %q, want %q", got.Href, c.app)
			}
			kind, _, _ := strings.Cut(strings.TrimPrefix(c.app, "simplex:/"), "#")
			_, fragment, _ := strings.Cut(b.location(), "#")
			if want := "https://" + here + "/" + kind + "#" + fragment; got.Text != want {
				t.Errorf("the link is %q, want %q", got.Text, want)
			}
			checkCode(t, readModules(t, got.Path), got.Text)
			b.expectNoComplaint()
		})
	}
	b.t = t
}

// TestChangingLinks goes from an incomplete link to others without loading the page again.
func TestChangingLinks(t *testing.T) {
	b, server := startBrowser(t), serve(t, messages())
	b.open(server.URL + "/a")
	var got linkState
	b.evaluate(linkStateScript, &got)
	if got.Complete || !got.Incomplete || got.Href != "" {
		t.Errorf("without a fragment the page shows %+v", got)
	}
	for _, length := range []int{10, 2900, 3000, 100_000, 10} {
		fragment := strings.Repeat("x", length)
		b.evaluate(fmt.Sprintf(`new Promise((done) => {
			addEventListener('hashchange', done, { once: true });
			location.hash = %q;
		}).then(() => 1)`, fragment), nil)
		b.evaluate(linkStateScript, &got)
		if long := length > 2953; !got.Complete || got.Incomplete || got.Long != long || got.Figure == long {
			t.Errorf("with %d characters the page shows %v %v %v %v", length, got.Complete, got.Incomplete, got.Long, got.Figure)
		}
		if !strings.HasPrefix(got.Href, "simplex:/a#"+fragment) || !strings.HasSuffix(got.Text, "#"+fragment) {
			t.Errorf("with %d characters the page has %d and %d", length, len(got.Href), len(got.Text))
		}
		if length < 2953 {
			checkCode(t, readModules(t, got.Path), got.Text)
		}
	}
	b.expectNoComplaint()
}

// TestCopying presses the buttons with the keyboard, which shows where it is.
func TestCopying(t *testing.T) {
	b, server := startBrowser(t), serve(t, messages())
	b.call("Browser.grantPermissions", map[string]any{
		"permissions": []string{"clipboardReadWrite", "clipboardSanitizedWrite"}, "origin": server.URL,
	}, nil)
	for path, id := range map[string]string{"/": "address", "/a#test": "text"} {
		b.open(server.URL + path)
		var outline, copied, status, want string
		b.evaluate("document.querySelector('[data-copy]').focus({ focusVisible: true })", nil)
		b.evaluate("getComputedStyle(document.activeElement).outlineStyle", &outline)
		if outline != "solid" {
			t.Errorf("%s: the outline of the button is %s", path, outline)
		}
		for _, kind := range []string{"keyDown", "keyUp"} {
			b.call("Input.dispatchKeyEvent", map[string]any{
				"type": kind, "key": " ", "code": "Space", "text": " ", "windowsVirtualKeyCode": 32,
			}, nil)
		}
		b.evaluate(`new Promise((done) => {
			const status = document.querySelector('[role=status]'), tell = () => status.textContent && done(status.textContent);
			new MutationObserver(tell).observe(status, { childList: true, characterData: true, subtree: true });
			tell();
		})`, &status)
		b.evaluate("document.getElementById('"+id+"').textContent", &want)
		b.evaluate("navigator.clipboard.readText()", &copied)
		if status != "Copied" || copied != want || want == "" {
			t.Errorf("%s: %q was copied of %q: %s", path, copied, want, status)
		}
		b.expectNoComplaint()
	}
}

// TestWithoutScripts expects both pages to be of use in a browser that runs none.
func TestWithoutScripts(t *testing.T) {
	b, server := startBrowser(t), serve(t, messages())
	b.call("Emulation.setScriptExecutionDisabled", map[string]any{"value": true}, nil)
	for path, want := range map[string]string{"/": messages().Address, "/a#test": "Copy the whole link from the address bar"} {
		b.open(server.URL + path)
		var text string
		var buttons int
		b.evaluate("document.body.innerText", &text)
		b.evaluate("[...document.querySelectorAll('button')].filter((e) => e.getClientRects().length).length", &buttons)
		if !strings.Contains(text, want) || buttons != 0 || strings.Contains(text, "incomplete") {
			t.Errorf("%s: %d buttons, and the text %q", path, buttons, text)
		}
	}
}

var drawing = regexp.MustCompile(`viewBox="0 0 (\d+) (\d+)" role="img"[^>]*><rect width="(\d+)" height="(\d+)" ` +
	`fill="#fff"/><path fill="#000" d="([^"]*)"/>`)

// TestCodeOfTheAddress compares the code on the information page, and its margin.
func TestCodeOfTheAddress(t *testing.T) {
	for name, s := range map[string]Site{"messages": messages(), "files": files(), "bare": bare()} {
		text := body(t, get(t, handler(t, s), http.MethodGet, "/"))
		code := drawing.FindStringSubmatch(text)
		if code == nil {
			t.Fatalf("%s: no code", name)
		}
		want, err := qr.Encode(s.Address, qr.M)
		must(t, err)
		side := fmt.Sprint(want.Size + 2*quietZone)
		for _, got := range code[1:5] {
			if got != side {
				t.Errorf("%s: a side of %s, want %s", name, got, side)
			}
		}
		compare(t, readModules(t, code[5]), want.Size, want.Black)
	}
	if _, err := drawQR(strings.Repeat("x", 5000)); err == nil {
		t.Error("5000 characters fit a code")
	}
}

// modules are those of a code that are dark, without the margin.
type modules map[[2]int]bool

func (m modules) size() int {
	size := 0
	for at := range m {
		size = max(size, at[0]+1, at[1]+1)
	}
	return size
}

// readModules reads a drawing of runs, one row high each.
func readModules(t *testing.T, path string) modules {
	t.Helper()
	m := make(modules)
	for part := range strings.SplitSeq(strings.TrimSuffix(path, "z"), "z") {
		var x, y, n, back int
		_, err := fmt.Sscanf(part, "M%d %dh%dv1h%d", &x, &y, &n, &back)
		if err != nil || back != -n || x < quietZone || y < quietZone {
			t.Fatalf("the drawing has %q: %v", part, err)
		}
		for i := range n {
			m[[2]int{x + i - quietZone, y - quietZone}] = true
		}
	}
	return m
}

// checkCode builds the code for a text with the level and the mask that a drawing names, and compares them.
func checkCode(t *testing.T, m modules, text string) {
	t.Helper()
	format := 0
	for x := range 5 {
		format <<= 1
		if m[[2]int{x, 8}] {
			format |= 1
		}
	}
	format ^= 0b10101 // the mask of the format itself
	level := []coding.Level{coding.M, coding.L, coding.H, coding.Q}[format>>3]
	plan, err := coding.NewPlan(coding.Version((m.size()-17)/4), level, coding.Mask(format&7))
	must(t, err)
	want, err := plan.Encode(coding.String(text))
	must(t, err)
	compare(t, m, want.Size, want.Black)
}

func compare(t *testing.T, m modules, size int, black func(x, y int) bool) {
	t.Helper()
	if m.size() != size {
		t.Fatalf("a code of %d modules, want %d", m.size(), size)
	}
	for y := range size {
		for x := range size {
			if m[[2]int{x, y}] != black(x, y) {
				t.Fatalf("module %d,%d is wrong", x, y)
			}
		}
	}
}
