package smptest

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"sotto/shared/key"
	"sotto/shared/wire"
)

// checklistTest finds the tests that are named by a line of the checklist.
var checklistTest = regexp.MustCompile(`(?m)^func TestChecklist(\d\d)\w*\(t \*testing\.T\)`)

// checklistTests lists them by line, from all tests of the message relay.
func checklistTests(t *testing.T) map[int][]string {
	t.Helper()
	found := make(map[int][]string)
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range checklistTest.FindAllSubmatch(text, -1) {
			line, _ := strconv.Atoi(string(m[1]))
			found[line] = append(found[line], strings.TrimSuffix(strings.TrimPrefix(string(m[0]), "func "), "(t *testing.T)"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// checklistText returns the lines of the checklist by their number, as far as they go on the first line.
func checklistText(t *testing.T) map[int]string {
	t.Helper()
	f, err := os.Open("../../../../docs/protocol/smp.md")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	lines, inside := make(map[int]string), false
	numbered := regexp.MustCompile(`^(\d+)\. (.*)`)
	for s := bufio.NewScanner(f); s.Scan(); {
		if strings.HasPrefix(s.Text(), "## ") {
			inside = strings.HasPrefix(s.Text(), "## 13. ")
		}
		if m := numbered.FindStringSubmatch(s.Text()); inside && m != nil {
			n, _ := strconv.Atoi(m[1])
			lines[n] = m[2]
		}
	}
	return lines
}

// TestChecklist runs, for each line of the conformance checklist, the conversations that show it, at the latest of their
// versions. A line without one must have a test in Go that is named by it, as TestChecklist37UnknownOrWrongKey.
//
// Spec: smp.md 13
func TestChecklist(t *testing.T) {
	lines, tests := checklistText(t), checklistTests(t)
	if len(lines) != ChecklistLines {
		t.Fatalf("the checklist has %d lines, not %d", len(lines), ChecklistLines)
	}
	shown := make(map[int][]*Conversation)
	for _, c := range Conversations(t) {
		for _, line := range c.Lines {
			shown[line] = append(shown[line], c)
		}
	}
	for line := 1; line <= ChecklistLines; line++ {
		t.Run(fmt.Sprintf("%02d", line), func(t *testing.T) {
			t.Log(lines[line])
			for _, name := range tests[line] {
				t.Log("shown by", name)
			}
			if len(shown[line])+len(tests[line]) == 0 {
				t.Fatal("no test is named by this line")
			}
			for _, c := range shown[line] {
				t.Run(c.Name, func(t *testing.T) { c.Run(t, latest(c), key.Ed25519, true, nil) })
			}
		})
	}
}

// latest is the last version that the conversation is made for.
func latest(c *Conversation) wire.Version { return c.Versions[len(c.Versions)-1] }
