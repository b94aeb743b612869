package terminal

import (
	"strings"
	"testing"

	"rsc.io/qr"
)

// TestQR reads the drawing back and compares it with the code, module by module.
func TestQR(t *testing.T) {
	text := "smp://0BwuyvBi97wZ4GEmv0NUqbC8jNx2rw-t5RWqTbCpV6Q=:password@smp.example.org:15223"
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		t.Fatal(err)
	}
	drawn, err := QR(text)
	if err != nil {
		t.Fatal(err)
	}
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

func TestQRTooLong(t *testing.T) {
	if _, err := QR(strings.Repeat("x", 5000)); err == nil {
		t.Error("5000 characters fit a code")
	}
}

func TestIsNoTerminal(t *testing.T) {
	if Is(new(strings.Builder)) {
		t.Error("a string is a terminal")
	}
}
