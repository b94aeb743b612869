package transfer

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestSafeName(t *testing.T) {
	long := strings.Repeat("ä", 200)
	for name, want := range map[string]string{
		"": "file", ".": "file", "..": "file", "/": "file", "a/": "file", "   ": "file", "\x00": "file", "\u202e": "file",
		"photo.jpg": "photo.jpg", "Ärger mit Öl.txt": "Ärger mit Öl.txt", "a b": "a b", "-rf": "-rf",
		"/etc/passwd": "passwd", "../../x": "x", `C:\autoexec.bat`: "autoexec.bat", ".profile": "profile", "...x": "x",
		". .x ": "x", "a\nb": "ab", "a\x00b": "ab", "a\x7fb\u0085c": "abc", "a\xffb": "ab", "a\u2028b": "ab",
		"photo\u202egpj.exe": "photogpj.exe", "\u2066a\u2069": "a",
		long:                               strings.Repeat("ä", 125),
		long + ".gz":                       strings.Repeat("ä", 123) + ".gz",
		"x." + strings.Repeat("y", 300):    ("x." + strings.Repeat("y", 300))[:250],
		strings.Repeat("n", 250) + ".jpeg": strings.Repeat("n", 245) + ".jpeg",
	} {
		if got := SafeName(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

func FuzzSafeName(f *testing.F) {
	for _, s := range []string{"", "a", "../a", "\xff", "a\u202e", strings.Repeat("ä", 300), ".\x00."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got := SafeName(name)
		if got == "" || len(got) > maxName-maxSuffix || strings.ContainsAny(got, "/\\\x00\n") || got[0] == '.' || !utf8.ValidString(got) {
			t.Errorf("%q became %q", name, got)
		}
		if again := SafeName(got); again != got {
			t.Errorf("%q became %q, and then %q", name, got, again)
		}
		if n := numbered(got, maxNumber); len(n) > maxName {
			t.Errorf("%q has %d bytes", n, len(n))
		}
	})
}

func TestOwnName(t *testing.T) {
	for path, want := range map[string]string{
		"/home/me/.bashrc": ".bashrc", "a": "a", "dir/a\xff": "a_", strings.Repeat("n", 300) + ".txt": strings.Repeat("n", 251) + ".txt",
	} {
		if got := ownName(path); got != want {
			t.Errorf("%q: got %q, want %q", path, got, want)
		}
	}
}

func TestNumbered(t *testing.T) {
	for _, c := range []struct {
		name string
		n    int
		want string
	}{{"a.txt", 0, "a.txt"}, {"a.txt", 1, "a_1.txt"}, {"a", 12, "a_12"}, {"a.tar.gz", 2, "a.tar_2.gz"}} {
		if got := numbered(c.name, c.n); got != c.want {
			t.Errorf("%q %d: got %q, want %q", c.name, c.n, got, c.want)
		}
	}
}

// TestPlace: what is there is never replaced, whether the file system has links or not.
func TestPlace(t *testing.T) {
	for name, move := range map[string]func(from, to string) error{"links": moveNew, "no links": claim} {
		dir := t.TempDir()
		for i, want := range []string{"a.txt", "a_1.txt", "a_2.txt"} {
			from := filepath.Join(dir, "from")
			write(t, from, want)
			got, err := Unique(dir, "a.txt", func(to string) error { return move(from, to) })
			if err != nil || got != filepath.Join(dir, want) {
				t.Fatalf("%s, %d: got %q, %v", name, i, got, err)
			}
			if text, err := os.ReadFile(got); err != nil || string(text) != want {
				t.Errorf("%s: %q, %v", name, text, err)
			}
		}
		if names := entries(t, dir); len(names) != 3 {
			t.Errorf("%s: %q", name, names)
		}
		if _, err := Unique(dir, "a.txt", func(string) error { return fs.ErrExist }); !errors.Is(err, ErrNoName) {
			t.Errorf("%s: got %v", name, err)
		}
		if err := move(filepath.Join(dir, "missing"), filepath.Join(dir, "b")); err == nil {
			t.Errorf("%s: nothing was moved", name)
		}
		if _, err := os.Stat(filepath.Join(dir, "b")); err == nil {
			t.Errorf("%s: a name stays taken", name)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
