package smp_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// repository is the root of the repository, seen from this package.
const repository = "../.."

var (
	heading  = regexp.MustCompile(`(?m)^#+ (\d+(?:\.\d+)*)\.? `)
	citation = regexp.MustCompile(`Spec: (\w+)\.md (\d+(?:\.\d+)*(?:(?:, | and )\d+(?:\.\d+)*)*)`)
	section  = regexp.MustCompile(`\d+(?:\.\d+)*`)
	// alone finds what looks like a citation and would not be found as one.
	alone = regexp.MustCompile(`(?m)^\s*// Spec: .*$`)
)

// document returns the text of each numbered section of a protocol document, up to the next heading.
func document(t *testing.T, name string) map[string]string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(repository, "docs", "protocol", name+".md"))
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	text := string(b)
	starts := heading.FindAllStringSubmatchIndex(text, -1)
	for i, at := range starts {
		end := len(text)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		sections[text[at[2]:at[3]]] = text[at[0]:end]
	}
	return sections
}

// TestCitations: every section that a comment anywhere in the repository cites exists in its document.
func TestCitations(t *testing.T) {
	documents := map[string]map[string]string{"smp": document(t, "smp"), "xftp": document(t, "xftp")}
	files, cited := 0, map[string]int{}
	err := filepath.WalkDir(repository, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != repository && strings.HasPrefix(entry.Name(), "."):
			return filepath.SkipDir
		case entry.IsDir() || !strings.HasSuffix(path, ".go"):
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		for _, line := range alone.FindAllString(string(b), -1) {
			if !citation.MatchString(line) {
				t.Errorf("%s: %q cites no section", path, strings.TrimSpace(line))
			}
		}
		for _, match := range citation.FindAllStringSubmatch(string(b), -1) {
			sections, ok := documents[match[1]]
			if !ok {
				t.Errorf("%s: %q cites an unknown document", path, match[0])
				continue
			}
			for _, number := range section.FindAllString(match[2], -1) {
				cited[match[1]]++
				if _, ok := sections[number]; !ok {
					t.Errorf("%s: %q: there is no section %s", path, match[0], number)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 10 || cited["smp"] < 50 || cited["xftp"] < 50 {
		t.Errorf("found %v citations in %d files, which cannot be all", cited, files)
	}
	t.Logf("checked %v citations in %d files", cited, files)
}

// TestCommandCitations: each command and response of section 9.1 is a type of this package whose comment cites a
// section that is about it, and for commands other than the overview.
func TestCommandCitations(t *testing.T) {
	sections := document(t, "smp")
	overview := sections["9.1"]
	docs := typeComments(t)
	var tags []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([A-Z]+)` \\|").FindAllStringSubmatch(overview, -1) {
		tags = append(tags, row[1])
	}
	commands := len(tags)
	line := regexp.MustCompile("Broker messages: `([A-Z ]+)`").FindStringSubmatch(overview)
	if commands != len(allCommands()) || line == nil {
		t.Fatalf("section 9.1 has %d commands, %d are known", commands, len(allCommands()))
	}
	tags = append(tags, strings.Fields(line[1])...)
	for i, tag := range tags {
		doc, ok := docs[tag]
		if !ok {
			t.Errorf("%s is not a type", tag)
			continue
		}
		about := regexp.MustCompile(`\b` + tag + `\b`)
		if !slices.ContainsFunc(citation.FindAllStringSubmatch(doc, -1), func(match []string) bool {
			overview := match[2] == "9.1" && i < commands
			return match[1] == "smp" && !overview && about.MatchString(sections[match[2]])
		}) {
			t.Errorf("the comment of %s cites no section about it", tag)
		}
	}
	t.Logf("checked %d commands and %d responses", commands, len(tags)-commands)
}

// typeComments returns the doc comments of the package's types.
func typeComments(t *testing.T) map[string]string {
	t.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	docs := map[string]string{}
	for _, name := range names {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range f.Decls {
			if d, ok := decl.(*ast.GenDecl); ok && d.Tok == token.TYPE {
				docs[d.Specs[0].(*ast.TypeSpec).Name.Name] = d.Doc.Text()
			}
		}
	}
	return docs
}
