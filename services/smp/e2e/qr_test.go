package e2e

import (
	"image"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"rsc.io/qr"
)

// TestQRCodeCanBeScanned takes the picture that `smp address` draws in a terminal and reads it.
func TestQRCodeCanBeScanned(t *testing.T) {
	relayBinary(t)
	for _, host := range []string{"a.example", "relay.with-a-longer-name.example.org,[2001:db8::1]:15223"} {
		settings := []string{"SMP_DATA_DIR=" + filepath.Join(t.TempDir(), "data"), "SMP_HOST=" + host, "SMP_CREATE_PASSWORD=s3cret-password"}
		command(t, settings, "init").expect(t, exitOK)
		want := strings.TrimSpace(command(t, settings, "address", "--plain").stdout)
		picture := terminalPicture(t, command(t, settings, "address").stdout)
		compare(t, picture, want)
		scan(t, picture, want)
	}
}

// cells are the characters that draw two modules, one above the other; true is dark. Blocks are drawn in the lighter
// of the two colours.
var cells = map[rune][2]bool{' ': {true, true}, '█': {false, false}, '▀': {false, true}, '▄': {true, false}}

// terminalPicture renders the lines of a code as a terminal does: bright blocks on black, whatever its own colours.
func terminalPicture(t *testing.T, printed string) [][]bool {
	t.Helper()
	const light, reset = "\x1b[97;40m", "\x1b[0m"
	var rows [][]bool
	for line := range strings.Lines(printed) {
		line, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), light)
		if !ok {
			continue
		}
		line, ok = strings.CutSuffix(line, reset)
		if !ok {
			t.Fatal("a line does not end with a reset of the colours")
		}
		var top, bottom []bool
		for _, c := range line {
			modules, ok := cells[c]
			if !ok {
				t.Fatalf("the character %q in the code", c)
			}
			top, bottom = append(top, modules[0]), append(bottom, modules[1])
		}
		rows = append(rows, top, bottom)
	}
	if len(rows) == 0 {
		t.Fatal("there is no code")
	}
	return rows
}

// quietZone is the light margin that scanners need.
const quietZone = 4

// compare fails the test unless the picture is the code for text inside its margin.
func compare(t *testing.T, picture [][]bool, text string) {
	t.Helper()
	code, err := qr.Encode(text, qr.M)
	must(t, "encode", err)
	for y, row := range picture {
		for x, dark := range row {
			inner := x >= quietZone && y >= quietZone && x < quietZone+code.Size && y < quietZone+code.Size
			if want := inner && code.Black(x-quietZone, y-quietZone); dark != want && y < code.Size+2*quietZone {
				t.Fatalf("module %d,%d is wrong", x, y)
			}
		}
		if len(row) != code.Size+2*quietZone {
			t.Fatalf("row %d has %d modules, not %d", y, len(row), code.Size+2*quietZone)
		}
	}
	if len(picture) < code.Size+2*quietZone {
		t.Fatalf("%d rows, not %d", len(picture), code.Size+2*quietZone)
	}
}

// scan reads the picture with a program that scans codes, where there is one.
func scan(t *testing.T, picture [][]bool, want string) {
	t.Helper()
	scanner, err := exec.LookPath("zbarimg")
	if err != nil {
		t.Log("there is no zbarimg: the code was compared, not scanned")
		return
	}
	const scale = 8
	img := image.NewGray(image.Rect(0, 0, scale*len(picture[0]), scale*len(picture)))
	for y := range img.Rect.Dy() {
		for x := range img.Rect.Dx() {
			if shade := (color.Gray{Y: 255}); !picture[y/scale][x/scale] {
				img.SetGray(x, y, shade)
			}
		}
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "code.png"))
	must(t, "file", err)
	defer file.Close()
	must(t, "PNG", png.Encode(file, img))
	out, err := exec.CommandContext(t.Context(), scanner, "--quiet", "--raw", file.Name()).Output()
	must(t, "scan", err)
	if got := strings.TrimSpace(string(out)); got != want {
		t.Errorf("the scanner reads %q, not %q", got, want)
	}
}
