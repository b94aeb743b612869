package e2e

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sotto/shared/relay"
)

// TestMistakesInSettings starts the relay with settings that cannot be meant. It ends with code 2, names the setting,
// and prints no value that could be a secret.
func TestMistakesInSettings(t *testing.T) {
	relayBinary(t)
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	must(t, "file", os.WriteFile(empty, nil, 0o600))
	cases := []struct {
		name     string
		settings []string
		says     []string
	}{
		{"unknown name", []string{"SMP_LISTENN=:1"}, []string{"SMP_LISTENN"}},
		{"two unknown names", []string{"SMP_FOO=1", "SMP_BAR=2"}, []string{"SMP_FOO", "SMP_BAR"}},
		{"no number", []string{"SMP_QUEUE_QUOTA=many"}, []string{"SMP_QUEUE_QUOTA"}},
		{"no duration", []string{"SMP_MESSAGE_TTL=21 days"}, []string{"SMP_MESSAGE_TTL"}},
		{"no quota at all", []string{"SMP_QUEUE_QUOTA=0"}, []string{"SMP_QUEUE_QUOTA"}},
		{"version unknown", []string{"SMP_MAX_VERSION=19"}, []string{"SMP_MAX_VERSION"}},
		{"versions the wrong way round", []string{"SMP_MIN_VERSION=9", "SMP_MAX_VERSION=8"}, []string{"SMP_MIN_VERSION", "SMP_MAX_VERSION"}},
		{"listen without a colon", []string{"SMP_LISTEN=5223"}, []string{"SMP_LISTEN"}},
		{"host with a space", []string{"SMP_HOST=my relay"}, []string{"SMP_HOST"}},
		{"part of an identity", []string{"SMP_CERT=server.crt"}, []string{"SMP_CA_CERT", "SMP_CERT", "SMP_KEY"}},
		{"password no app takes", []string{"SMP_CREATE_PASSWORD=secr3t@home"}, []string{"SMP_CREATE_PASSWORD"}},
		{"password twice", []string{"SMP_CREATE_PASSWORD=secr3t", "SMP_CREATE_PASSWORD_FILE=" + empty}, []string{"SMP_CREATE_PASSWORD_FILE"}},
		{"password file missing", []string{"SMP_CREATE_PASSWORD_FILE=/does/not/exist"}, []string{"SMP_CREATE_PASSWORD_FILE"}},
		{"password file empty", []string{"SMP_CREATE_PASSWORD_FILE=" + empty}, []string{"SMP_CREATE_PASSWORD_FILE"}},
		{"database twice", []string{"SMP_DATABASE_URL=postgres://u:secr3t@h/d", "SMP_DATABASE_URL_FILE=" + empty}, []string{"SMP_DATABASE_URL_FILE"}},
		{"database is no URL", []string{"SMP_DATABASE_URL=nonsense://secr3t:secr3t"}, []string{"SMP_DATABASE_URL"}},
		{"database that forgets", []string{"SMP_DATABASE_URL=postgres://u:secr3t@h/d?synchronous_commit=off"}, []string{"SMP_DATABASE_URL", "synchronous_commit"}},
		{"no database", nil, []string{"SMP_DATABASE_URL"}},
		{"log level", []string{"SMP_LOG_LEVEL=loud"}, []string{"SMP_LOG_LEVEL"}},
		{"log format", []string{"SMP_LOG_FORMAT=xml"}, []string{"SMP_LOG_FORMAT"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := command(t, append([]string{"SMP_LISTEN=127.0.0.1:0", "SMP_DATA_DIR=" + filepath.Join(dir, "data")}, c.settings...))
			r.expect(t, exitUsage, c.says...)
			if strings.Contains(r.stdout+r.stderr, "secr3t") {
				t.Errorf("a secret is printed:\n%s%s", r.stdout, r.stderr)
			}
			if n := strings.Count(r.stderr, "\n"); n > 3 {
				t.Errorf("%d lines for one mistake:\n%s", n, r.stderr)
			}
		})
	}
}

// TestPortInUse names the address that cannot be had.
func TestPortInUse(t *testing.T) {
	url := newDatabase(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, "listen", err)
	defer ln.Close()
	r := command(t, []string{
		"SMP_LISTEN=" + ln.Addr().String(), "SMP_DATA_DIR=" + filepath.Join(t.TempDir(), "data"), "SMP_DATABASE_URL=" + url,
	})
	r.expect(t, exitUsage, "SMP_LISTEN", ln.Addr().String())
}

// TestNoDatabaseThere ends with a reason instead of waiting for ever, and keeps the password of the URL to itself.
func TestNoDatabaseThere(t *testing.T) {
	relayBinary(t)
	port, err := relay.FreePort()
	must(t, "port", err)
	r := command(t, []string{
		"SMP_LISTEN=127.0.0.1:0", "SMP_DATA_DIR=" + filepath.Join(t.TempDir(), "data"),
		"SMP_DATABASE_URL=postgres://somebody:secr3t@127.0.0.1:" + port + "/somewhere", "SMP_STORE_TIMEOUT=1s",
	})
	if r.code == exitOK {
		t.Error("it ended as if all was well")
	}
	if strings.Contains(r.stdout+r.stderr, "secr3t") {
		t.Errorf("the password is printed:\n%s%s", r.stdout, r.stderr)
	}
	t.Logf("after %v: %s", r.took, r.stderr)
}

// TestOneRelayForADatabase refuses a second one while the first runs.
func TestOneRelayForADatabase(t *testing.T) {
	url := newDatabase(t)
	start(t, newRelay(t, url))
	second := command(t, []string{
		"SMP_LISTEN=127.0.0.1:0", "SMP_DATA_DIR=" + filepath.Join(t.TempDir(), "data"), "SMP_DATABASE_URL=" + url,
	})
	if second.code == exitOK {
		t.Error("a second relay ran on the same database")
	}
	if !strings.Contains(second.stderr, "another relay process uses this database") {
		t.Errorf("it does not say why it stopped:\n%s", second.stderr)
	}
	t.Logf("after %v: %s", second.took, second.stderr)
}
