package xftp_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strings"
	"testing"

	"sotto/shared/xftp"
)

// TestCommandCitations: the comment of each command cites the section that has its name in the title.
func TestCommandCitations(t *testing.T) {
	document, err := os.ReadFile("../../docs/protocol/xftp.md")
	if err != nil {
		t.Fatal(err)
	}
	f, err := parser.ParseFile(token.NewFileSet(), "command.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	comments := map[string]string{}
	for _, decl := range f.Decls {
		if d, ok := decl.(*ast.GenDecl); ok && d.Tok == token.TYPE {
			comments[d.Specs[0].(*ast.TypeSpec).Name.Name] = d.Doc.Text()
		}
	}
	sections := map[string]string{}
	for _, title := range regexp.MustCompile(`(?m)^### (8\.\d+) ([A-Z]+)\b`).FindAllStringSubmatch(string(document), -1) {
		sections[title[2]] = title[1]
	}
	commands := []xftp.Command{xftp.FNEW{}, xftp.FADD{}, xftp.FPUT{}, xftp.FDEL{}, xftp.FGET{}, xftp.FACK{}, xftp.PING{}}
	if len(sections) != len(commands) {
		t.Errorf("%d commands have a section, %d are known", len(sections), len(commands))
	}
	for _, c := range commands {
		if want := "Spec: xftp.md " + sections[c.Tag()] + "\n"; !strings.Contains(comments[c.Tag()], want) {
			t.Errorf("the comment of %s does not say %q", c.Tag(), want)
		}
	}
}
