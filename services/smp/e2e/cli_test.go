package e2e

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sotto/shared/identity"
	"sotto/shared/identity/identitytest"
	"sotto/shared/pg/pgtest"
	"sotto/shared/relay"
)

// Exit codes of the binary.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

// run is one run of the binary that ends by itself.
type run struct {
	code           int
	stdout, stderr string
	took           time.Duration
}

// command runs the binary with these settings, written SMP_NAME=value, and no others.
func command(t *testing.T, settings []string, args ...string) run {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, relayBinary(t), args...)
	cmd.Env = relay.Environment(settings...)
	cmd.Dir = t.TempDir()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	began := time.Now()
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("smp %v: %v", args, err)
	}
	if ctx.Err() != nil {
		t.Fatalf("smp %v has not ended within %v\n%s%s", args, startTime, stdout.String(), stderr.String())
	}
	return run{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String(), time.Since(began)}
}

// expect fails the test unless the run ended with this code, and says all of these words somewhere.
func (r run) expect(t *testing.T, code int, words ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit code %d, not %d:\n%s%s", r.code, code, r.stdout, r.stderr)
	}
	said := strings.Join(strings.Fields(r.stdout+r.stderr), " ") // without line breaks
	for _, word := range words {
		if !strings.Contains(said, word) {
			t.Errorf("%q is not said:\n%s%s", word, r.stdout, r.stderr)
		}
	}
	if strings.Contains(said, "goroutine ") || strings.Contains(said, "panic") {
		t.Errorf("it panicked:\n%s", r.stderr)
	}
}

func TestVersion(t *testing.T) {
	for _, arg := range []string{"version", "--version"} {
		r := command(t, nil, arg)
		r.expect(t, exitOK)
		if !strings.HasPrefix(r.stdout, "smp ") || strings.Count(r.stdout, "\n") != 1 || r.stderr != "" {
			t.Errorf("%s prints %q and %q", arg, r.stdout, r.stderr)
		}
	}
}

func TestInitAndAddress(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	settings := []string{"SMP_DATA_DIR=" + dir, "SMP_HOST=relay.example.org", "SMP_CREATE_PASSWORD=s3cret"}
	command(t, settings, "address").expect(t, exitUsage, dir)

	first := command(t, settings, "init")
	first.expect(t, exitOK)
	plain := command(t, settings, "address", "--plain")
	plain.expect(t, exitOK)
	if strings.Count(plain.stdout, "\n") != 1 || !strings.HasPrefix(plain.stdout, "smp://") ||
		!strings.HasSuffix(plain.stdout, ":s3cret@relay.example.org\n") {
		t.Errorf("address --plain prints %q", plain.stdout)
	}
	if !strings.Contains(first.stdout, strings.TrimSpace(plain.stdout)) {
		t.Errorf("init prints another address: %q", first.stdout)
	}
	public := command(t, settings, "address", "--plain", "--no-password")
	if want := strings.Replace(plain.stdout, ":s3cret", "", 1); public.stdout != want {
		t.Errorf("without the password it prints %q, not %q", public.stdout, want)
	}

	again := command(t, settings, "init")
	again.expect(t, exitOK, strings.TrimSpace(plain.stdout))
	if again.stdout == first.stdout {
		t.Error("the second init does not say that the identity existed")
	}
	command(t, settings, "address", "--loud").expect(t, exitUsage, "--loud")
	checkPrivate(t, dir)
}

// checkPrivate fails the test if others than the owner may read the keys.
func checkPrivate(t *testing.T, dir string) {
	t.Helper()
	keys, err := filepath.Glob(filepath.Join(dir, "*.key"))
	must(t, "keys", err)
	if len(keys) != 2 {
		t.Errorf("%d keys in the data directory", len(keys))
	}
	for _, name := range keys {
		info, err := os.Stat(name)
		must(t, "key", err)
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", filepath.Base(name), info.Mode())
		}
	}
}

func TestUsage(t *testing.T) {
	command(t, nil, "help").expect(t, exitOK, "serve", "init", "address", "migrate", "health", "try", "version")
	command(t, nil, "dance").expect(t, exitUsage, "dance")
	command(t, nil, "serve", "now").expect(t, exitUsage, "now")
	command(t, nil, "try").expect(t, exitUsage, "address")
}

// TestBanner starts a relay with most things set, and reads what it says before the first client.
func TestBanner(t *testing.T) {
	r := startRelay(t, "SMP_CREATE_PASSWORD=s3cret", "SMP_LOG_LEVEL=info")
	said := r.Stdout.String() + r.Stderr.String()
	if n := strings.Count(said, "\n"); n >= 20 {
		t.Errorf("it starts with %d lines", n)
	}
	for _, word := range []string{"127.0.0.1:" + r.Port, "smp://", "postgres"} {
		if !strings.Contains(said, word) {
			t.Errorf("%q is not said", word)
		}
	}
	if strings.Contains(said, "s3cret") {
		t.Error("the password is printed to what may be a file")
	}
	t.Logf("the relay says:\n%s", said)
}

func TestHealth(t *testing.T) {
	r := startRelay(t)
	health := func() run { return command(t, r.Env, "health") }
	health().expect(t, exitOK, "ready")
	_, err := r.Stop(stopTime)
	must(t, "stop", err)
	health().expect(t, exitError, "not ready")

	start(t, r)
	health().expect(t, exitOK)
	elsewhere := append(append([]string(nil), r.Env...), "SMP_DATA_DIR="+filepath.Join(t.TempDir(), "other"))
	command(t, elsewhere, "init").expect(t, exitOK)
	command(t, elsewhere, "health").expect(t, exitError)
}

// TestNewerSchema refuses a database that a later version has migrated.
func TestNewerSchema(t *testing.T) {
	url := newDatabase(t)
	r := newRelay(t, url)
	start(t, r)
	_, err := r.Stop(stopTime)
	must(t, "stop", err)
	pgtest.Exec(t, url, "INSERT INTO schema_migrations (version, name) VALUES (999, 'of_the_future')")
	for _, args := range [][]string{{"serve"}, {"migrate"}} {
		command(t, r.Env, args...).expect(t, exitError, "999", "newer program")
	}
}

// TestForeignIdentity serves with files from elsewhere: an Ed25519 leaf that an older relay's Ed448 authority issued.
func TestForeignIdentity(t *testing.T) {
	dir := t.TempDir()
	url := newDatabase(t)
	files := []string{
		"SMP_CA_CERT=" + filepath.Join(dir, "ca.crt"), "SMP_CERT=" + filepath.Join(dir, "server.crt"),
		"SMP_KEY=" + filepath.Join(dir, "server.key"),
	}
	identitytest.WriteEd448(t, dir, time.Now())
	command(t, append(files, "SMP_DATABASE_URL="+url), "serve").expect(t, exitUsage, "server.crt", "Ed448")

	_, err := identity.Renew(dir, "relay.example.org", time.Now())
	must(t, "renew", err)
	must(t, "take the authority's key away", os.Remove(filepath.Join(dir, "ca.key")))
	r := newRelay(t, url, files...)
	start(t, r)
	printed, err := os.ReadFile(filepath.Join(dir, "fingerprint"))
	must(t, "fingerprint", err)
	address := command(t, r.Env, "address", "--plain").stdout
	if !strings.HasPrefix(address, "smp://"+strings.TrimSpace(string(printed))+"@") {
		t.Errorf("the address %q does not have the authority's fingerprint %s", address, printed)
	}
	command(t, nil, "try", strings.TrimSpace(address)).expect(t, exitOK)
	command(t, r.Env, "health").expect(t, exitOK)
}
