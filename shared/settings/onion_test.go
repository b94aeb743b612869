package settings_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sotto/shared/address"
	"sotto/shared/settings"
)

// The examples of the specification.
var onions = []string{
	"pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion",
	"sp3k262uwy4r2k3ycr5awluarykdpag6a7y33jxop4cs2lu5uz5sseqd.onion",
	"xa4r2iadxm55fbnqgwwi5mymqdcofiu3w6rpbtqn7b2dyn7mgwj64jyd.onion",
}

// onionFile makes a file hostname.
func onionFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hostname")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOnionNames(t *testing.T) {
	for _, want := range onions {
		for _, content := range []string{want, want + "\n", " " + strings.ToUpper(want) + "\r\n"} {
			host, ok, err := settings.Onion("SMP_ONION_FILE", onionFile(t, content))
			if string(host) != want || !ok || err != nil {
				t.Errorf("%q gives %q, %v, %v", content, string(host), ok, err)
			}
			if host.Kind() != address.Onion {
				t.Errorf("%q is not an onion host", content)
			}
		}
	}
}

func TestNoOnionNameYet(t *testing.T) {
	for _, path := range []string{"", filepath.Join(t.TempDir(), "hostname"), filepath.Join(t.TempDir(), "no", "hostname")} {
		if host, ok, err := settings.Onion("SMP_ONION_FILE", path); host != "" || ok || err != nil {
			t.Errorf("%q gives %q, %v, %v", path, string(host), ok, err)
		}
	}
}

func TestBadOnionNames(t *testing.T) {
	good := onions[0]
	for name, content := range map[string]string{
		"empty":            "",
		"another name":     "relay.example.org",
		"version 2":        "expyuzz4wqqyqhjn.onion",
		"version 4":        good[:55] + "e.onion",
		"one letter wrong": "q" + good[1:],
		"checksum wrong":   good[:53] + "q" + good[54:],
		"not base32":       "1" + good[1:],
		"too short":        good[1:],
		"too long":         "a" + good,
		"no suffix":        strings.TrimSuffix(good, ".onion"),
		"two names":        good + "\n" + onions[1],
		"name in parts":    good[:20] + "\n" + good[20:],
		"host in front":    "www." + good,
		"name far behind":  strings.Repeat("\n", 1<<10) + good,
		"long file":        strings.Repeat("x", 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			host, ok, err := settings.Onion("SMP_ONION_FILE", onionFile(t, content))
			var mistake settings.Error
			if host != "" || ok || !errors.As(err, &mistake) || !strings.Contains(err.Error(), "SMP_ONION_FILE") {
				t.Errorf("gives %q, %v, %v", string(host), ok, err)
			}
		})
	}
}

func TestOnionFileThatCannotBeRead(t *testing.T) {
	_, ok, err := settings.Onion("XFTP_ONION_FILE", t.TempDir())
	var mistake settings.Error
	if ok || !errors.As(err, &mistake) || !strings.Contains(err.Error(), "XFTP_ONION_FILE") {
		t.Errorf("a directory gives %v, %v", ok, err)
	}
}
