package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sotto/shared/run"
)

func TestAddressCommand(t *testing.T) {
	setOnly(t, map[string]string{
		"SMP_DATA_DIR": t.TempDir(), "SMP_HOST": "smp.example.org", "SMP_CREATE_PASSWORD": "s3cret",
	})
	output := func(want int, args ...string) string {
		t.Helper()
		var stdout, stderr bytes.Buffer
		if got := run.Run(t.Context(), "smp", dispatch, args, &stdout, &stderr); got != want {
			t.Fatalf("smp %v: exit code %d, want %d; %s", args, got, want, &stderr)
		}
		return stdout.String()
	}
	output(run.ExitUsage, "address") // there is no identity yet
	output(run.ExitOK, "init")
	plain := output(run.ExitOK, "address", "--plain")
	if !strings.HasPrefix(plain, "smp://") || !strings.HasSuffix(plain, ":s3cret@smp.example.org\n") {
		t.Errorf("address --plain prints %q", plain)
	}
	if bare := output(run.ExitOK, "address", "--plain", "--no-password"); bare != strings.Replace(plain, ":s3cret", "", 1) {
		t.Errorf("address --plain --no-password prints %q", bare)
	}
	if again := output(run.ExitOK, "init"); !strings.Contains(again, "exists already") {
		t.Errorf("second init prints %q", again)
	}
	if full := output(run.ExitOK, "address"); !strings.Contains(full, strings.TrimSpace(plain)) || !strings.Contains(full, "█") {
		t.Error("address prints no code, or no address")
	}
	onion := filepath.Join(t.TempDir(), "hostname")
	t.Setenv("SMP_ONION_FILE", onion)
	if without := output(run.ExitOK, "address", "--plain"); without != plain {
		t.Errorf("address --plain without the file prints %q", without)
	}
	const name = "pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion"
	if err := os.WriteFile(onion, []byte(name+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if with := output(run.ExitOK, "address", "--plain"); !strings.HasSuffix(with, "@smp.example.org,"+name+"\n") {
		t.Errorf("address --plain with an onion name prints %q", with)
	}
	output(run.ExitUsage, "address", "--loud")
	output(run.ExitUsage, "dance")
}
