package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"sotto/shared/settings"
)

// thing is a command for things, which a server at the path has.
func thing(path string, args ...string) (stdout, stderr string, err error) {
	return typed(path, "", args...)
}

// typed is thing with something on the standard input.
func typed(path, stdin string, args ...string) (stdout, stderr string, err error) {
	var out, errs bytes.Buffer
	c := Command{
		Program: "x", Object: "thing", Kinds: []string{"sender", "link"}, Usage: "how to\n",
		Socket: func() (string, error) { return path, nil },
		Find: func(text string) (all []Subject, err error) {
			if host, id, ok := strings.Cut(text, "#"); ok {
				return []Subject{{ID: id, Kind: "link", Host: host}}, nil
			}
			for _, id := range strings.Split(text, ",") {
				all = append(all, Subject{ID: id})
			}
			return all, nil
		},
		Status: func(answer json.RawMessage) ([]Section, error) {
			return []Section{{Title: "status " + string(answer)}}, nil
		},
		About: func(answer json.RawMessage) ([]Section, error) {
			return []Section{{Title: "about " + string(answer)}}, nil
		},
		Stats: ShowStats,
		Said:  map[string]string{"block": "blocked", "unblock": "unblocked", "delete": "deleted"},
		Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &errs,
	}
	err = c.Run(context.Background(), args)
	return out.String(), errs.String(), err
}

// recorder notes what is asked of a thing.
type recorder struct{ calls []string }

func (r *recorder) handlers() map[string]Handler {
	handlers := map[string]Handler{"status": func(context.Context, json.RawMessage) (any, error) { return 1, nil }}
	for _, action := range []string{"status", "block", "unblock", "delete"} {
		handlers["thing/"+action] = func(_ context.Context, in json.RawMessage) (any, error) {
			if strings.Contains(string(in), "missing") {
				return nil, ErrNotFound
			}
			r.calls = append(r.calls, action+" "+string(in))
			return Done{true}, nil
		}
	}
	return handlers
}

func TestCommands(t *testing.T) {
	var r recorder
	path, _ := started(t, r.handlers())
	for _, c := range []struct {
		args  string
		stdin string
		call  string
		says  string
	}{
		{"status", "", "", "status 1"},
		{"-o json status", "", "", "1\n"},
		{"", "", "", "how to"},
		{"help", "", "", "how to"},
		{"thing abc --help", "", "", "how to"},
		{"thing abc", "", `status {"id":"abc"}`, "about"},
		{"thing abc status", "", `status {"id":"abc"}`, "about"},
		{"thing -abc status -o json", "", `status {"id":"-abc"}`, `"done": true`},
		{"thing --abc", "", `status {"id":"--abc"}`, "about"},
		{"thing abc status --as sender", "", `status {"id":"abc","kind":"sender"}`, "about"},
		{"thing host#abc status", "", `status {"id":"abc","kind":"link"}`, "about"},
		{"thing abc block", "", `block {"id":"abc","reason":"spam"}`, "blocked"},
		{"thing abc block --reason content", "", `block {"id":"abc","reason":"content"}`, "blocked"},
		{"thing --notice abc block", "", `block {"id":"abc","reason":"spam","notice":true}`, "blocked"},
		{"thing abc block --notice 30d", "", `block {"id":"abc","reason":"spam","notice":true,"ttl":2592000}`, "blocked"},
		{"thing abc block --notice=90m", "", `block {"id":"abc","reason":"spam","notice":true,"ttl":5400}`, "blocked"},
		{"thing - unblock", " abc \n", `unblock {"id":"abc"}`, "unblocked"},
		{"thing - unblock", "abc", `unblock {"id":"abc"}`, "unblocked"},
		{"thing abc delete --yes", "", `delete {"id":"abc"}`, "deleted"},
		{"thing a,missing,b delete --yes", "", `delete {"id":"a"}; delete {"id":"b"}`, "deleted\n  here  2 of 3\n"},
		{"thing a,b", "", `status {"id":"a"}; status {"id":"b"}`, "2 of 2"},
		{"thing a,b -o json", "", `status {"id":"a"}; status {"id":"b"}`, `[{"done":true},{"done":true}]`},
	} {
		r.calls = nil
		stdout, _, err := typed(path, c.stdin, strings.Fields(c.args)...)
		if err != nil || !strings.Contains(stdout, c.says) {
			t.Errorf("%q prints %q, %v", c.args, stdout, err)
		}
		if got := strings.Join(r.calls, "; "); got != c.call {
			t.Errorf("%q asks for %s, not %s", c.args, got, c.call)
		}
	}
}

// Mistakes are the person's, and change nothing.
func TestMistakes(t *testing.T) {
	var r recorder
	path, _ := started(t, r.handlers())
	for args, says := range map[string]string{
		"dance":                           "dance",
		"status now":                      "now",
		"stats --yes":                     "--yes",
		"status --loud":                   "--loud",
		"thing":                           "which thing",
		"thing abc dance":                 "dance",
		"thing abc status more":           "more",
		"thing abc status --notice":       "--notice",
		"thing abc unblock --reason spam": "--reason",
		"thing abc block --reason fun":    "--reason",
		"thing abc block --reason":        "--reason",
		"thing abc block --notice=soon":   "--notice",
		"thing abc block --notice=-1h":    "--notice",
		"thing abc block --yes":           "--yes",
		"thing abc --as brother":          "--as",
		"thing abc -o xml":                "-o",
		"thing abc delete":                "--yes",
		"thing -":                         "standard input",
	} {
		_, _, err := thing(path, strings.Fields(args)...)
		var mistake settings.Error
		if !errors.As(err, &mistake) || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", args, err)
		}
	}
	if len(r.calls) > 0 {
		t.Errorf("the relay was asked for %v", r.calls)
	}
}

func TestNotFoundNamesTheRelayOfTheLink(t *testing.T) {
	var r recorder
	path, _ := started(t, r.handlers())
	for args, says := range map[string]string{
		"thing missing1,missing2 block":       "none of the 2",
		"thing missing block":                 "no such thing",
		"thing other.example#missing unblock": "other.example",
	} {
		_, _, err := thing(path, strings.Fields(args)...)
		var mistake settings.Error
		if err == nil || errors.As(err, &mistake) || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", args, err)
		}
	}
}

func TestPlace(t *testing.T) {
	p := Place{Setting: "X_ADMIN_SOCKET", DataDir: "/data", Program: "x"}
	if path, err := p.Reach(); err != nil || path != "/data/admin/x.sock" {
		t.Errorf("the default is %q, %v", path, err)
	}
	for _, value := range []string{Off, "/" + strings.Repeat("x", MaxPath)} {
		p.Value = value
		if _, err := p.Reach(); err == nil || !strings.Contains(err.Error(), p.Setting) {
			t.Errorf("%q: %v", value, err)
		}
	}
}

// A default that is of no use is told, and no reason not to start. One that was chosen is a mistake.
func TestPlaceOfNoUse(t *testing.T) {
	log := new(logged)
	p := Place{Setting: "X_ADMIN_SOCKET", DataDir: "/" + strings.Repeat("x", MaxPath), Program: "x"}
	socket, err := p.Listen(nopLog.Output(log).Level(0))
	if socket != nil || err != nil || !strings.Contains(log.String(), p.Setting) || !strings.Contains(log.String(), ErrPath.Error()) {
		t.Errorf("a default: %v, %v, %s", socket, err, log)
	}
	p.Value = p.Path()
	var mistake settings.Error
	if _, err = p.Listen(nopLog); !errors.As(err, &mistake) || !strings.Contains(err.Error(), p.Setting) {
		t.Errorf("a choice: %v", err)
	}
	p.Value = Off
	if socket, err = p.Listen(nopLog); socket != nil || err != nil {
		t.Errorf("off: %v, %v", socket, err)
	}
}
