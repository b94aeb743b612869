package settings_test

import (
	"errors"
	"strings"
	"testing"

	"sotto/shared/settings"
)

func TestSizesAreReadInAnyUnit(t *testing.T) {
	for text, want := range map[string]settings.Size{
		"0": 0, "1": 1, "4096": 4096, "12b": 12, "64kb": 64 << 10, "64K": 64 << 10, "64 KiB": 64 << 10, "1mb": 1 << 20, "100gb": 100 << 30,
		"100 GB": 100 << 30, "1.5tb": 3 << 39, "2Ti": 2 << 40, " 3m ": 3 << 20, "0.5kb": 512, "1pb": 1 << 50,
	} {
		var got settings.Size
		if err := got.Decode(text); err != nil || got != want {
			t.Errorf("%q is %d, %v, want %d", text, got, err, want)
		}
	}
}

func TestSizesThatMakeNoSense(t *testing.T) {
	for _, text := range []string{"", "b", "kb", "i", "ib", "5i", "5xb", "-1", "1e9", "1,5gb", "0x10", "NaN", "inf", "1..5", "10eb", "1 2", "gb5", "5kkb"} {
		var got settings.Size
		var mistake settings.Error
		if err := got.Decode(text); !errors.As(err, &mistake) {
			t.Errorf("%q is %d, %v, want a mistake", text, got, err)
		}
	}
}

func TestSizesForPeople(t *testing.T) {
	for size, want := range map[settings.Size]string{
		0: "0 bytes", 1023: "1023 bytes", 1024: "1 KB", 1536: "1.5 KB", 100 << 30: "100 GB", 5<<40 + 1: "5 TB", 1<<62 + 1<<61: "6 EB",
	} {
		if got := size.String(); got != want {
			t.Errorf("%d is %q, want %q", int64(size), got, want)
		}
	}
}

type sizes struct {
	Quota settings.Size   `envconfig:"QUOTA" default:"0"`
	Each  []settings.Size `envconfig:"EACH" default:"64kb,1mb"`
}

func TestSizesInAConfiguration(t *testing.T) {
	t.Setenv("SETTINGSTEST_QUOTA", "1.5gb")
	var c sizes
	if err := settings.Load("SETTINGSTEST", &c); err != nil {
		t.Fatal(err)
	}
	if c.Quota != 3<<29 || len(c.Each) != 2 || c.Each[0] != 64<<10 || c.Each[1] != 1<<20 {
		t.Errorf("%v", c)
	}
	t.Setenv("SETTINGSTEST_EACH", "64kb,lots")
	err := settings.Load("SETTINGSTEST", &c)
	if err == nil || !strings.Contains(err.Error(), "SETTINGSTEST_EACH is not a size") || strings.Contains(err.Error(), "lots") {
		t.Errorf("a wrong size gives %v", err)
	}
}
