package main

import (
	"strings"
	"testing"
)

func TestSaysThatThereIsNoFileRelay(t *testing.T) {
	var stderr strings.Builder
	if got := run(&stderr); got != 1 {
		t.Errorf("exit code %d, want 1", got)
	}
	if got, want := stderr.String(), "xftp: the file relay is not part of this build.\n"; got != want {
		t.Errorf("said %q, want %q", got, want)
	}
}
