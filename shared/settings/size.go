package settings

import (
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes, written with any common unit: 500mb, 1.5 TiB, 4096. Units are powers of 1024, with or
// without i and b, in capitals or not.
type Size int64

// units are the letters of the units, from 1024 bytes upwards by factors of 1024.
const units = "kmgtpe"

// Decode reads a size as people write it. The error is an [Error] that lacks the name of the setting.
func (s *Size) Decode(text string) error {
	wrong := Bad("is not a size such as 500mb, 10gb or 1.5tb")
	number := strings.ToLower(strings.TrimSpace(text))
	number = strings.TrimSuffix(number, "b")
	factor := 1.0
	if bare, ok := strings.CutSuffix(number, "i"); ok {
		if bare == "" || !strings.ContainsRune(units, rune(bare[len(bare)-1])) {
			return wrong
		}
		number = bare
	}
	if number != "" {
		if power := strings.IndexByte(units, number[len(number)-1]); power >= 0 {
			number = number[:len(number)-1]
			factor = math.Exp2(float64(10 * (power + 1)))
		}
	}
	number = strings.TrimSpace(number)
	if number == "" || strings.Trim(number, "0123456789.") != "" {
		return wrong
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || n*factor >= math.MaxInt64 {
		return wrong
	}
	*s = Size(n * factor)
	return nil
}

// String writes the size in the largest unit that leaves at least one, with at most two decimals.
func (s Size) String() string {
	n, unit := float64(s), -1
	for n >= 1024 && unit+1 < len(units) {
		n /= 1024
		unit++
	}
	if unit < 0 {
		return strconv.FormatInt(int64(s), 10) + " bytes"
	}
	text := strconv.FormatFloat(math.Round(n*100)/100, 'f', -1, 64)
	return text + " " + strings.ToUpper(units[unit:unit+1]) + "B"
}
