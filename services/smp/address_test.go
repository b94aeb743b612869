package main

import (
	"bytes"
	"strings"
	"testing"

	"rsc.io/qr"
)

// TestTerminalQR reads the drawing back and compares it with the code, module by module.
func TestTerminalQR(t *testing.T) {
	text := "smp://0BwuyvBi97wZ4GEmv0NUqbC8jNx2rw-t5RWqTbCpV6Q=:password@smp.example.org:15223"
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		t.Fatal(err)
	}
	drawn := terminalQR(code)
	lines := strings.Split(strings.TrimSuffix(drawn, "\n"), "\n")
	if want := (code.Size + 2*quietZone + 1) / 2; len(lines) != want {
		t.Fatalf("%d lines, want %d", len(lines), want)
	}
	for row, line := range lines {
		line = strings.TrimSuffix(strings.TrimPrefix(line, "\x1b[97;40m"), "\x1b[0m")
		cells := []rune(line)
		if len(cells) != code.Size+2*quietZone {
			t.Fatalf("line %d has %d cells", row, len(cells))
		}
		for column, cell := range cells {
			x, y := column-quietZone, 2*row-quietZone
			checkModule(t, code, x, y, cell == ' ' || cell == '▄')
			if y+1 < code.Size+quietZone {
				checkModule(t, code, x, y+1, cell == ' ' || cell == '▀')
			}
		}
	}
}

func checkModule(t *testing.T, code *qr.Code, x, y int, dark bool) {
	t.Helper()
	inside := x >= 0 && y >= 0 && x < code.Size && y < code.Size
	if dark != (inside && code.Black(x, y)) {
		t.Fatalf("module %d,%d is drawn wrong", x, y)
	}
}

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
