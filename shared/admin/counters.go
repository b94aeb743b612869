package admin

import (
	"encoding/json"
	"reflect"
	"strings"
	"time"
)

// Counter is a number that a relay has counted since its start. Those by command and outcome have both.
type Counter struct {
	Name    string `json:"name"`
	Command string `json:"command,omitempty"`
	Outcome string `json:"outcome,omitempty"`
	Count   uint64 `json:"count"`
}

// Stats are all of them.
type Stats struct {
	Program  string    `json:"program"`
	Started  time.Time `json:"started"`
	Now      time.Time `json:"now"`
	Counters []Counter `json:"counters"`
}

// Counters reads a struct of counts, whose fields have their names in the tag metric: numbers, and tables by command and
// outcome, of which places with 0 are left out.
func Counters(counts any, commands, outcomes []string) []Counter {
	var all []Counter
	v := reflect.ValueOf(counts)
	for i := range v.NumField() {
		name, field := v.Type().Field(i).Tag.Get("metric"), v.Field(i)
		if field.Kind() == reflect.Uint64 {
			all = append(all, Counter{Name: name, Count: field.Uint()})
			continue
		}
		for c := range field.Len() {
			for o := range field.Index(c).Len() {
				if n := field.Index(c).Index(o).Uint(); n > 0 {
					all = append(all, Counter{name, commands[c], outcomes[o], n})
				}
			}
		}
	}
	return all
}

// ShowStats shows them to a person.
func ShowStats(answer json.RawMessage) ([]Section, error) {
	var s Stats
	if err := json.Unmarshal(answer, &s); err != nil {
		return nil, err
	}
	title := func(name string) string {
		name = strings.TrimSuffix(strings.TrimPrefix(name, s.Program+"_"), "_total")
		return strings.ReplaceAll(name, "_", " ")
	}
	sections := []Section{{Title: s.Program + ", since " + moment(s.Started) + ", " + Span(s.Now.Sub(s.Started)) + " ago"}}
	table := ""
	for _, c := range s.Counters {
		if c.Command == "" {
			sections[0].Rows = append(sections[0].Rows, Row{Name: title(c.Name), Value: Number(c.Count)})
			continue
		}
		if c.Name != table {
			table = c.Name
			name := title(c.Name)
			sections = append(sections, Section{Title: strings.ToUpper(name[:1]) + name[1:]})
		}
		addOutcome(&sections[len(sections)-1], c)
	}
	return sections, nil
}

// addOutcome adds an outcome to the row of its command.
func addOutcome(s *Section, c Counter) {
	text := Number(c.Count) + " " + c.Outcome
	if last := len(s.Rows) - 1; last >= 0 && s.Rows[last].Name == c.Command {
		s.Rows[last].Value += ", " + text
		return
	}
	s.Rows = append(s.Rows, Row{Name: c.Command, Value: text})
}
