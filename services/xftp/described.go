package main

import (
	"fmt"
	"io"
	"os"
	"regexp"

	"sotto/shared/description"
	"sotto/shared/report"
)

// link matches what is a link, rather than the name of a file.
var link = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9+.-]*:/`)

// described reads a description: from a link, or from the file of this name. It does not repeat a link in errors.
func described(arg string) (*description.Description, error) {
	if link.MatchString(arg) {
		d, _, err := description.ParseLink(arg)
		if err != nil {
			return nil, failure(err)
		}
		return d, nil
	}
	f, err := os.Open(arg)
	if err != nil {
		return nil, &report.Failure{Reason: fmt.Sprintf("The description cannot be read: %v.", err), Err: err}
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, description.MaxText+1))
	if err != nil {
		return nil, &report.Failure{Reason: fmt.Sprintf("The description cannot be read: %v.", err), Err: err}
	}
	d, err := description.Parse(text)
	if err != nil {
		return nil, &report.Failure{Reason: fmt.Sprintf("%s is not the description of a file.", arg), Err: err}
	}
	return d, nil
}
