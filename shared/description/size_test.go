package description

import (
	"math"
	"testing"
)

func TestParseSizeRefuses(t *testing.T) {
	for _, s := range []string{
		"", "kb", "-1", "+1", " 1", "1 ", "1 kb", "1b", "1k", "1KB", "1Kb", "1kbkb", "1mbkb", "1tb", "1.5mb", "0x10", "1_000", "1e3",
		"९", "9223372036854775808", "9223372036854775807kb", "9007199254740992kb", "8589934592gb", "18446744073709551616",
	} {
		if n, err := ParseSize(s); err != ErrSize {
			t.Errorf("%q is %d: %v", s, n, err)
		}
	}
}

func TestSizeBounds(t *testing.T) {
	for text, want := range map[string]int64{
		"9223372036854775807": math.MaxInt64, "9007199254740991kb": math.MaxInt64 - 1023, "8589934591gb": math.MaxInt64 - (1<<30 - 1),
		"0": 0, "0kb": 0, "00012mb": 12 << 20, "1024mb": 1 << 30, "1024kb": 1 << 20,
	} {
		if got, err := ParseSize(text); got != want || err != nil {
			t.Errorf("%s is %d: %v", text, got, err)
		}
		if got, err := ParseSize(FormatSize(want)); got != want || err != nil {
			t.Errorf("%s becomes %d: %v", FormatSize(want), got, err)
		}
	}
}

func FuzzParseSize(f *testing.F) {
	for _, c := range loadDescriptions(f).Sizes {
		f.Add(c.Text, c.Bytes)
	}
	f.Fuzz(func(t *testing.T, s string, n int64) {
		if got, err := ParseSize(s); err == nil {
			if again, err := ParseSize(FormatSize(got)); got < 0 || again != got || err != nil {
				t.Fatalf("%s is %d, and then %d: %v", s, got, again, err)
			}
		} else if err != ErrSize || got != 0 {
			t.Fatal(got, err)
		}
		if n < 0 {
			return
		}
		if got, err := ParseSize(FormatSize(n)); got != n || err != nil {
			t.Fatalf("%d becomes %d: %v", n, got, err)
		}
	})
}
