package main

import (
	"bytes"
	"strings"
	"testing"

	"sotto/shared/run"
)

// execute runs the program and returns what it prints.
func execute(t *testing.T, want int, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if got := run.Run(t.Context(), "xftp", dispatch, args, &stdout, &stderr); got != want {
		t.Fatalf("xftp %v: exit code %d, want %d; %s", args, got, want, &stderr)
	}
	return stdout.String()
}

func TestAddressCommand(t *testing.T) {
	setOnly(t, map[string]string{
		"XFTP_DATA_DIR": t.TempDir(), "XFTP_HOST": "xftp.example.org", "XFTP_CREATE_PASSWORD": "s3cret",
	})
	execute(t, run.ExitUsage, "address") // there is no identity yet
	execute(t, run.ExitOK, "init")
	plain := execute(t, run.ExitOK, "address", "--plain")
	if !strings.HasPrefix(plain, "xftp://") || !strings.HasSuffix(plain, ":s3cret@xftp.example.org\n") {
		t.Errorf("address --plain prints %q", plain)
	}
	if full := execute(t, run.ExitOK, "address"); !strings.Contains(full, strings.TrimSpace(plain)) || !strings.Contains(full, "█") {
		t.Error("address prints no code, or no address")
	}
}

func TestAddressHasThePortThatIsNotTheDefault(t *testing.T) {
	setOnly(t, map[string]string{"XFTP_DATA_DIR": t.TempDir(), "XFTP_LISTEN": ":5443"})
	execute(t, run.ExitOK, "init")
	if plain := execute(t, run.ExitOK, "address", "--plain"); !strings.HasSuffix(plain, "@localhost:5443\n") {
		t.Errorf("address --plain prints %q", plain)
	}
}

func TestMistakesOnTheCommandLine(t *testing.T) {
	setOnly(t, map[string]string{"XFTP_DATA_DIR": t.TempDir(), "XFTP_LISTEN": "127.0.0.1:0"})
	for _, args := range [][]string{
		{"dance"},
		{"serve", "now"},
		{"address", "--loud"},
		{"try"},
		{"try", "a", "b"},
		{"migrate"}, // there is no database
		{"serve"},
	} {
		execute(t, run.ExitUsage, args...)
	}
}

func TestVersionAndHelp(t *testing.T) {
	if got := execute(t, run.ExitOK, "version"); got != "xftp dev\n" {
		t.Errorf("version prints %q", got)
	}
	if got := execute(t, run.ExitOK, "help"); !strings.Contains(got, "receive LINK") {
		t.Errorf("help prints %q", got)
	}
}
