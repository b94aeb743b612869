package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestAddressCommand(t *testing.T) {
	setOnly(t, map[string]string{
		"SMP_DATA_DIR": t.TempDir(), "SMP_HOST": "smp.example.org", "SMP_CREATE_PASSWORD": "s3cret",
	})
	output := func(want int, args ...string) string {
		t.Helper()
		var stdout, stderr bytes.Buffer
		if got := run(t.Context(), args, &stdout, &stderr); got != want {
			t.Fatalf("smp %v: exit code %d, want %d; %s", args, got, want, &stderr)
		}
		return stdout.String()
	}
	output(exitUsage, "address") // there is no identity yet
	output(exitOK, "init")
	plain := output(exitOK, "address", "--plain")
	if !strings.HasPrefix(plain, "smp://") || !strings.HasSuffix(plain, ":s3cret@smp.example.org\n") {
		t.Errorf("address --plain prints %q", plain)
	}
	if bare := output(exitOK, "address", "--plain", "--no-password"); bare != strings.Replace(plain, ":s3cret", "", 1) {
		t.Errorf("address --plain --no-password prints %q", bare)
	}
	if again := output(exitOK, "init"); !strings.Contains(again, "exists already") {
		t.Errorf("second init prints %q", again)
	}
	if full := output(exitOK, "address"); !strings.Contains(full, strings.TrimSpace(plain)) || !strings.Contains(full, "█") {
		t.Error("address prints no code, or no address")
	}
	output(exitUsage, "address", "--loud")
	output(exitUsage, "dance")
}
