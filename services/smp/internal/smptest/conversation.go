package smptest

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"sotto/shared/key"
	"sotto/shared/wire"
)

// Conversation is a text that says who sends what to the relay, and what arrives. Blank lines and lines that begin
// with "#" are for people. Headers come first:
//
//	versions: 9 10 15-18      the versions to run at, one after the other; without it those of [Versions]
//	keys: ed25519 x25519      the algorithms of keys to run with; without it Ed25519
//	checklist: 10-13 26       the lines of smp.md 13 that it shows
//	relay: quota=2            settings of the relay, see [Conversation.options]
//
// Then one step per line. Names of clients, queues and keys are made up as they are used; a client connects when it
// is first named.
//
//	alice> NEW q1 mode=M subscribe     alice sends a block with this command
//	alice< IDS q1                      alice's next block has this answer and no other
//	bob> SEND q1 "hello"               a block with two commands:
//	  &  PING                          ... "&" continues the block of the line before
//	alice< MSG q1 "hello"              an event; with corr=ACK it would be the answer to ACK
//	alice<~ MSG q{1..9} "m"            events in any order, each in a block of its own
//	alice!                             nothing more arrives at alice
//	alice connects nokey               with options: version=N, alpn=none, nokey, proxy
//	nina connects service=N cert=c     as a service; with length=N certificates, shown=d: others in TLS, or none,
//	                                   refused="HANDSHAKE BAD_AUTH": she is told that
//	alice leaves                       closes her connection
//	alice is closed                    the relay closes it, without sending anything
//	operator blocks q1 reason=spam     or with notice=forever or notice=3600; operator unblocks q1, operator deletes q1
//	relay restarts                     with the same store; all connections end
//	wait 15s                           time passes (only in a bubble)
//	[-8,16] alice< ...                 a step, or a part of a block, of these versions only
//
// Answers are compared with the oldest command that is not answered: they must have its correlation id and entity
// id. What a line does not expect must not arrive: blocks are compared whole and in order, and when the text ends
// nothing may be left at any client. In a line, x{1..3} stands for three parts of a block, with x1, x2 and x3.
// The commands are described at [run.request], the answers at [run.expect].
type Conversation struct {
	Name     string
	Versions []wire.Version
	Keys     []key.Algorithm
	// Lines of the conformance checklist. Spec: smp.md 13
	Lines []int
	// Timed tells that it waits, so that it needs a bubble.
	Timed    bool
	settings args
	steps    []step
}

// Versions are those that conversations run at: the oldest, and each that changed a format.
var Versions = []wire.Version{6, 8, 10, 11, 15, 16, 18}

// ChecklistLines is how many lines the conformance checklist has. Spec: smp.md 13
const ChecklistLines = 63

// action is what a step does.
type action uint8

const (
	sends action = iota
	receives
	receivesAll
	hearsNothing
	connects
	leaves
	isClosed
	waits
	restarts
	moderates
)

// step is one line, with the lines that continue it.
type step struct {
	item
	who   string
	does  action
	items []item // of a block
}

// item is a line or a part of it: one transmission.
type item struct {
	line int
	text string
	when versions
	args args
}

// versions is a set of versions; nil has all.
type versions []wire.VersionRange

func (vs versions) has(v wire.Version) bool {
	for _, r := range vs {
		if v >= r.Min && v <= r.Max {
			return true
		}
	}
	return vs == nil
}

// ParseConversation parses a text.
func ParseConversation(name, text string) (*Conversation, error) {
	c := &Conversation{Name: name, Versions: Versions, Keys: []key.Algorithm{key.Ed25519}}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if err := c.parseLine(i+1, line); err != nil {
			return nil, fmt.Errorf("%s:%d: %q: %w", name, i+1, line, err)
		}
	}
	return c, nil
}

var header = regexp.MustCompile(`^(versions|keys|checklist|relay): *(.*)$`)

func (c *Conversation) parseLine(n int, line string) error {
	if m := header.FindStringSubmatch(line); m != nil && len(c.steps) == 0 {
		return c.parseHeader(m[1], m[2])
	}
	when, rest, err := parseGuard(line)
	if err != nil {
		return err
	}
	if more, ok := strings.CutPrefix(rest, "&"); ok {
		return c.continueBlock(n, when, more)
	}
	s, err := parseStep(rest)
	if err != nil {
		return err
	}
	s.line, s.text, s.when = n, line, when
	c.Timed = c.Timed || s.does == waits
	c.steps = append(c.steps, s)
	if s.does > receivesAll {
		return nil
	}
	return c.addItems(n, nil, stepText(rest))
}

func (c *Conversation) parseHeader(name, value string) (err error) {
	switch name {
	case "versions":
		var vs versions
		if vs, err = parseVersions(strings.Fields(value)); err != nil {
			return err
		}
		c.Versions = nil
		for v := wire.Version(6); v <= 18; v++ {
			if vs.has(v) {
				c.Versions = append(c.Versions, v)
			}
		}
	case "keys":
		c.Keys = nil
		for _, name := range strings.Fields(value) {
			a, ok := algorithms[name]
			if !ok {
				return fmt.Errorf("no algorithm %q", name)
			}
			c.Keys = append(c.Keys, a)
		}
	case "checklist":
		var vs versions
		if vs, err = parseVersions(strings.Fields(value)); err != nil {
			return err
		}
		for line := 1; line <= ChecklistLines; line++ {
			if vs.has(wire.Version(line)) {
				c.Lines = append(c.Lines, line)
			}
		}
	case "relay":
		c.settings, err = parseArgs(value)
	}
	return err
}

var algorithms = map[string]key.Algorithm{"ed25519": key.Ed25519, "ed448": key.Ed448, "x25519": key.X25519}

// parseGuard cuts "[6,9-12,16-]" off the beginning of a line.
func parseGuard(line string) (versions, string, error) {
	if line[0] != '[' {
		return nil, line, nil
	}
	list, rest, ok := strings.Cut(line[1:], "]")
	if !ok {
		return nil, "", fmt.Errorf("no ]")
	}
	vs, err := parseVersions(strings.Split(list, ","))
	return vs, strings.TrimSpace(rest), err
}

func parseVersions(list []string) (versions, error) {
	var vs versions
	for _, text := range list {
		low, high, isRange := strings.Cut(strings.TrimSpace(text), "-")
		if !isRange {
			high = low
		}
		r := wire.VersionRange{Min: 0, Max: 99}
		for _, end := range []struct {
			text string
			to   *wire.Version
		}{{low, &r.Min}, {high, &r.Max}} {
			if end.text == "" {
				continue
			}
			n, err := strconv.ParseUint(end.text, 10, 16)
			if err != nil {
				return nil, err
			}
			*end.to = wire.Version(n)
		}
		vs = append(vs, r)
	}
	return vs, nil
}

var stepForms = []struct {
	form *regexp.Regexp
	does action
}{
	{regexp.MustCompile(`^(\w+)> .+$`), sends},
	{regexp.MustCompile(`^(\w+)< .+$`), receives},
	{regexp.MustCompile(`^(\w+)<~ .+$`), receivesAll},
	{regexp.MustCompile(`^(\w+)!$`), hearsNothing},
	{regexp.MustCompile(`^(\w+) connects(.*)$`), connects},
	{regexp.MustCompile(`^(\w+) leaves$`), leaves},
	{regexp.MustCompile(`^(\w+) is closed$`), isClosed},
	{regexp.MustCompile(`^wait(.*)$`), waits},
	{regexp.MustCompile(`^relay restarts$`), restarts},
	{regexp.MustCompile(`^operator ((?:blocks|unblocks|deletes) .+)$`), moderates},
}

func parseStep(line string) (s step, err error) {
	for _, f := range stepForms {
		m := f.form.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		s.does = f.does
		switch f.does {
		case waits:
			s.args, err = parseArgs(m[1])
			if err == nil {
				_, err = time.ParseDuration(s.args.word(0))
			}
			return s, err
		case moderates:
			s.args, err = parseArgs(m[1])
			return s, err
		case connects:
			s.args, err = parseArgs(m[2])
		case restarts:
			return s, nil
		}
		s.who = m[1]
		return s, err
	}
	return s, fmt.Errorf("not a step")
}

// stepText is what follows "who>", "who<" or "who<~".
func stepText(line string) string {
	return strings.TrimSpace(strings.TrimPrefix(line[strings.IndexAny(line, "<>")+1:], "~"))
}

func (c *Conversation) continueBlock(n int, when versions, text string) error {
	if len(c.steps) == 0 || len(c.steps[len(c.steps)-1].items) == 0 {
		return fmt.Errorf("no block to continue")
	}
	return c.addItems(n, when, strings.TrimSpace(text))
}

// addItems adds a transmission, or several if text has a range, to the block of the last step.
func (c *Conversation) addItems(n int, when versions, text string) error {
	s := &c.steps[len(c.steps)-1]
	for _, one := range expand(text) {
		a, err := parseArgs(one)
		if err != nil {
			return err
		}
		s.items = append(s.items, item{line: n, text: one, when: when, args: a})
	}
	return nil
}

var numbers = regexp.MustCompile(`\{(\d+)\.\.(\d+)\}`)

// expand repeats text for each number of the ranges in it, which go up together.
func expand(text string) []string {
	m := numbers.FindStringSubmatch(text)
	if m == nil {
		return []string{text}
	}
	var all []string
	low, _ := strconv.Atoi(m[1])
	high, _ := strconv.Atoi(m[2])
	for i := 0; low+i <= high; i++ {
		all = append(all, numbers.ReplaceAllStringFunc(text, func(r string) string {
			first, _ := strconv.Atoi(numbers.FindStringSubmatch(r)[1])
			return strconv.Itoa(first + i)
		}))
	}
	return all
}
