package settings_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sotto/shared/address"
	"sotto/shared/settings"
)

type config struct {
	Name       string        `envconfig:"NAME" default:"nobody"`
	Secret     string        `envconfig:"SECRET"`
	SecretFile string        `envconfig:"SECRET_FILE"`
	Count      int           `envconfig:"COUNT" default:"3"`
	Wait       time.Duration `envconfig:"WAIT" default:"90s"`
	List       []string      `envconfig:"LIST" default:":1,:2"`
}

func TestLoad(t *testing.T) {
	t.Setenv("SETTINGSTEST_NAME", "")
	t.Setenv("SETTINGSTEST_COUNT", "7")
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(" s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SETTINGSTEST_SECRET_FILE", file)
	var c config
	if err := settings.Load("SETTINGSTEST", &c); err != nil {
		t.Fatal(err)
	}
	if c.Name != "nobody" || c.Secret != "s3cret" || c.Count != 7 || c.Wait != 90*time.Second || len(c.List) != 2 {
		t.Errorf("%+v", c)
	}
}

func TestMistakes(t *testing.T) {
	for name, value := range map[string]string{
		"SETTINGSTEST_NAMME": "s3cret", "SETTINGSTEST_COUNT": "s3cret", "SETTINGSTEST_WAIT": "s3cret",
		"SETTINGSTEST_SECRET_FILE": "/does/not/exist",
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, value)
			err := settings.Load("SETTINGSTEST", new(config))
			var mistake settings.Error
			if !errors.As(err, &mistake) || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestNumbers(t *testing.T) {
	if err := settings.CheckPositive(map[string]int64{"A": 1}); err != nil {
		t.Error(err)
	}
	if err := settings.CheckPositive(map[string]int64{"A": 1, "C": -1, "B": 0}); err == nil || err.Error() != "B must be more than 0" {
		t.Error(err)
	}
	if err := settings.CheckNotNegative(map[string]int64{"A": 0, "B": -1}); err == nil || err.Error() != "B may not be negative" {
		t.Error(err)
	}
}

func TestAdvertised(t *testing.T) {
	for _, c := range []struct{ hosts, listen, want string }{
		{"relay.example.org", ":443", "xftp://@relay.example.org"},
		{"relay.example.org", ":5443", "xftp://@relay.example.org:5443"},
		{"relay.example.org:443", ":5443", "xftp://@relay.example.org"},
		{"a.example.org, b.onion:8443", ":443", "xftp://@a.example.org,b.onion:8443"},
		{"a b", ":443", ""},
		{"a:x", ":443", ""},
	} {
		s, err := settings.Advertised(address.XFTP, "X_HOST", c.hosts, c.listen)
		switch {
		case c.want == "" && (err == nil || !strings.Contains(err.Error(), "X_HOST")):
			t.Errorf("%s: %v", c.hosts, err)
		case c.want != "" && (err != nil || s.String() != c.want):
			t.Errorf("%s: %s %v, want %s", c.hosts, s.String(), err, c.want)
		}
	}
}

func TestLocal(t *testing.T) {
	for listen, want := range map[string]string{
		":5": "localhost:5", "0.0.0.0:5": "localhost:5", "[::]:5": "localhost:5", "127.0.0.1:5": "127.0.0.1:5", "x": "",
	} {
		s, err := settings.Local(address.SMP, "X_LISTEN", listen)
		got, _ := strings.CutPrefix(s.String(), "smp://@")
		if (err == nil) != (want != "") || err == nil && got != want {
			t.Errorf("%s: %s %v", listen, got, err)
		}
	}
}
