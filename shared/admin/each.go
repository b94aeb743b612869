package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"sotto/shared/terminal"
)

// each does an action to several objects, one after the other, and tells how many there were. What is not here may be on
// other relays.
func (c Command) each(ctx context.Context, path string, line line, action string, subjects []Subject) error {
	answers, sections := []json.RawMessage{}, []Section{}
	for i, subject := range subjects {
		c.progress(i, len(subjects))
		answer, err := Call(ctx, path, c.Object+"/"+action, line.change(subject))
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("after %d of %d: %w", i, len(subjects), err)
		}
		answers = append(answers, answer)
		if action == "status" {
			if sections, err = c.addAbout(sections, i, len(subjects), answer); err != nil {
				return err
			}
		}
	}
	c.progress(len(subjects), len(subjects))
	if len(answers) == 0 {
		return fmt.Errorf("the relay has none of the %d", len(subjects))
	}
	if line.json {
		return json.NewEncoder(c.Stdout).Encode(answers)
	}
	if said, ok := c.Said[action]; ok {
		sections = append(sections, Section{Title: said})
	}
	sections[len(sections)-1].Rows = append(sections[len(sections)-1].Rows, Row{
		Name: "here", Value: Number(len(answers)) + " of " + Number(len(subjects)),
	})
	return Print(c.Stdout, sections)
}

// addAbout adds what the relay knows of one of several.
func (c Command) addAbout(to []Section, i, of int, answer json.RawMessage) ([]Section, error) {
	about, err := c.About(answer)
	if err != nil || len(about) == 0 {
		return nil, errAnswer
	}
	about[0].Title = fmt.Sprintf("%d of %d", i+1, of)
	return append(to, about...), nil
}

// progress tells a person how many are done.
func (c Command) progress(done, of int) {
	switch {
	case !terminal.Is(c.Stderr):
	case done == of:
		fmt.Fprint(c.Stderr, "\r\x1b[K")
	default:
		fmt.Fprintf(c.Stderr, "\r%d of %d ", done, of)
	}
}
