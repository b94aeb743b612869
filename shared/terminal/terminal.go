// Package terminal has what programs need to know of, and draw on, the terminal of a person.
package terminal

import (
	"fmt"
	"io"
	"os"
	"strings"

	"rsc.io/qr"
)

// Is reports whether a person reads w now, rather than a program or a log file later.
func Is(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// quietZone is the white margin that scanners need, in modules.
const quietZone = 4

// QR draws text as a QR code with half blocks, two modules in a character cell, dark on light whatever the terminal's
// own colours are. The error says that the text is too long for one.
func QR(text string) (string, error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return "", fmt.Errorf("the text does not fit a QR code: %w", err)
	}
	const light, reset = "\x1b[97;40m", "\x1b[0m" // white blocks are the paper, the black ground is the ink
	dark := func(x, y int) bool {
		return x >= 0 && y >= 0 && x < code.Size && y < code.Size && code.Black(x, y)
	}
	var b strings.Builder
	for y := -quietZone; y < code.Size+quietZone; y += 2 {
		b.WriteString(light)
		for x := -quietZone; x < code.Size+quietZone; x++ {
			switch top, bottom := dark(x, y), dark(x, y+1) || y+1 >= code.Size+quietZone; {
			case top && bottom:
				b.WriteString(" ")
			case top:
				b.WriteString("▄")
			case bottom:
				b.WriteString("▀")
			default:
				b.WriteString("█")
			}
		}
		b.WriteString(reset + "\n")
	}
	return b.String(), nil
}
