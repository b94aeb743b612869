package smptest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// args are the words of one transmission or step: "SEND q1 key=k "hello" notify".
type args struct {
	words   []string          // those that are neither quoted nor options
	texts   []string          // those in quotes
	json    string            // from "{" to the end
	options map[string]string // name=value, and the value may be in quotes
}

// parseArgs splits a line into words.
func parseArgs(s string) (args, error) {
	a := args{options: make(map[string]string)}
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		switch s[0] {
		case '"':
			text, rest, err := unquote(s)
			if err != nil {
				return a, err
			}
			a.texts, s = append(a.texts, text), rest
			continue
		case '{':
			a.json = s
			return a, nil
		}
		end := strings.IndexAny(s, " =")
		if end < 0 || s[end] == ' ' {
			if end < 0 {
				end = len(s)
			}
			a.words, s = append(a.words, s[:end]), s[end:]
			continue
		}
		name := s[:end]
		value, rest, err := optionValue(s[end+1:])
		if err != nil {
			return a, err
		}
		if _, twice := a.options[name]; twice {
			return a, fmt.Errorf("option %s twice", name)
		}
		a.options[name], s = value, rest
	}
	return a, nil
}

func optionValue(s string) (value, rest string, err error) {
	if strings.HasPrefix(s, `"`) {
		return unquote(s)
	}
	value, rest, _ = strings.Cut(s, " ")
	return value, rest, nil
}

// unquote cuts a Go string off the beginning of s.
func unquote(s string) (text, rest string, err error) {
	quoted, err := strconv.QuotedPrefix(s)
	if err != nil {
		return "", "", err
	}
	text, err = strconv.Unquote(quoted)
	return text, s[len(quoted):], err
}

// word returns the nth word, "" if there are fewer.
func (a args) word(n int) string {
	if n < len(a.words) {
		return a.words[n]
	}
	return ""
}

// after returns the words from the nth on.
func (a args) after(n int) []string { return a.words[min(n, len(a.words)):] }

// flag reports whether a word is among those after the first n.
func (a args) flag(n int, word string) bool { return slices.Contains(a.after(n), word) }

// only fails if there is an option that is not among these.
func (a args) only(names ...string) error {
	for name := range a.options {
		if !slices.Contains(names, name) {
			return fmt.Errorf("no option %q here", name)
		}
	}
	return nil
}

// number returns an option as a number, or otherwise the default.
func (a args) number(name string, otherwise int) (int, error) {
	text, ok := a.options[name]
	if !ok {
		return otherwise, nil
	}
	return strconv.Atoi(text)
}
