package description

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// ErrSize reports a text that is not a size.
var ErrSize = errors.New("not a size")

// units of sizes, the largest first.
var units = []struct {
	suffix string
	bytes  int64
}{{"gb", 1 << 30}, {"mb", 1 << 20}, {"kb", 1 << 10}}

// FormatSize returns the text of n bytes, which are not negative: a number, with the largest of "gb", "mb" and "kb" that
// divides n.
//
// Spec: xftp.md 13.2
func FormatSize(n int64) string { return string(appendSize(nil, n)) }

func appendSize(dst []byte, n int64) []byte {
	for _, u := range units {
		if n%u.bytes == 0 {
			return append(strconv.AppendInt(dst, n/u.bytes, 10), u.suffix...)
		}
	}
	return strconv.AppendInt(dst, n, 10)
}

// ParseSize returns the bytes of a text of decimal digits with "gb", "mb", "kb" or nothing behind them. The error is
// [ErrSize].
//
// Spec: xftp.md 13.2
func ParseSize(s string) (int64, error) {
	unit := int64(1)
	for _, u := range units {
		if digits, ok := strings.CutSuffix(s, u.suffix); ok {
			s, unit = digits, u.bytes
			break
		}
	}
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil || int64(n) > math.MaxInt64/unit {
		return 0, ErrSize
	}
	return int64(n) * unit, nil
}
