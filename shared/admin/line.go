package admin

import (
	"slices"
	"strings"

	"sotto/shared/settings"
)

// line is a command line.
type line struct {
	words      []string
	help, json bool
	yes        bool
	reason     string
	kind       string
	kinds      []string // that there are
	notice     bool
	ttl        int64
}

// options are all that there are. A word that is none of them may begin with "-" where an id is expected: one in 64 does.
var options = []string{"-h", "--help", "-o", "--output", "-y", "--yes", "--reason", "--notice", "--as"}

// parse reads a command line, with options wherever they are.
func parse(object string, kinds, args []string) (line, error) {
	l := line{kinds: kinds}
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		name, value, given := strings.Cut(arg, "=")
		subject := len(l.words) == 1 && l.words[0] == object
		switch {
		case slices.Contains(options, name):
			rest, err := l.option(name, value, given, args)
			if err != nil {
				return l, err
			}
			args = rest
		case strings.HasPrefix(arg, "-") && !subject:
			return l, settings.Bad("admin has no option %q", name)
		default:
			l.words = append(l.words, arg)
		}
	}
	return l, nil
}

// option reads an option, perhaps with a value from the arguments that follow, and returns the rest of these.
func (l *line) option(name, value string, given bool, args []string) ([]string, error) {
	take := func() bool {
		if !given && len(args) > 0 {
			value, args, given = args[0], args[1:], true
		}
		return given
	}
	switch name {
	case "-h", "--help":
		l.help = true
	case "-y", "--yes":
		l.yes = true
	case "-o", "--output":
		if !take() || (value != "json" && value != "text") {
			return nil, settings.Bad("%s takes text or json", name)
		}
		l.json = value == "json"
	case "--reason":
		if !take() || (value != "spam" && value != "content") {
			return nil, settings.Bad("--reason takes spam or content")
		}
		l.reason = value
	case "--as":
		if !take() || !slices.Contains(l.kinds, value) {
			return nil, settings.Bad("--as takes %s", strings.Join(l.kinds, " or "))
		}
		l.kind = value
	case "--notice":
		return l.takeNotice(value, given, args)
	}
	return args, nil
}

// takeNotice reads the option for a notice, which may have a time to live.
func (l *line) takeNotice(value string, given bool, args []string) ([]string, error) {
	l.notice = true
	if !given && len(args) > 0 {
		if ttl, ok := seconds(args[0]); ok {
			l.ttl = ttl
			return args[1:], nil
		}
	}
	ttl, ok := seconds(value)
	if given && !ok {
		return nil, settings.Bad("--notice takes a time, such as 12h or 30d, or none")
	}
	l.ttl = ttl
	return args, nil
}

// only wants the line to have so many words, and no option of a change.
func (l *line) only(program string, words int) error {
	if len(l.words) > words {
		return settings.Bad("%s takes no argument %q; see %s admin help", l.words[0], l.words[words], program)
	}
	return l.allowed(l.words[0], program)
}

// allowed wants the options to be those of an action, and no word after it.
func (l *line) allowed(action, program string) error {
	switch {
	case len(l.words) > 3:
		return settings.Bad("there is no argument %q after the action; see %s admin help", l.words[3], program)
	case action != "block" && (l.reason != "" || l.notice):
		return settings.Bad("--reason and --notice belong to block")
	case action != "delete" && l.yes:
		return settings.Bad("--yes belongs to delete")
	case action == "block" && l.reason == "":
		l.reason = "spam"
	}
	return nil
}

// change is what the line asks for.
func (l line) change(s Subject) Change {
	if l.kind != "" {
		s.Kind = l.kind
	}
	return Change{ID: s.ID, Kind: s.Kind, Reason: l.reason, Notice: l.notice, TTL: l.ttl}
}
