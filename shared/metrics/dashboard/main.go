// Command dashboard asks a Prometheus for everything that the panels of a Grafana dashboard show, and fails if one of them
// would be empty. It draws what came into a page, which is not Grafana's, to be looked at.
//
//	dashboard DASHBOARD.json http://127.0.0.1:9090 PAGE.html
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// queryTime bounds one question.
const queryTime = 30 * time.Second

// shown is how much time the page shows, in steps.
const (
	shown = time.Minute
	step  = time.Second
)

// interval takes the place of Grafana's variable: what rates are taken over.
const interval = "10s"

// dashboard is what matters of the file.
type dashboard struct {
	Title  string
	Panels []panel
}

type panel struct {
	Title, Type string
	Targets     []struct{ Expr, LegendFormat string }
	GridPos     struct{ X, Y, W, H int }
	FieldConfig struct{ Defaults struct{ Unit string } }

	series []series
}

// series is one line of a panel.
type series struct {
	name   string
	points []point
}

type point struct{ at, value float64 }

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: dashboard DASHBOARD.json http://PROMETHEUS PAGE.html")
		os.Exit(2)
	}
	if err := check(context.Background(), os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintf(os.Stderr, "dashboard: %v\n", err)
		os.Exit(1)
	}
}

func check(ctx context.Context, file, prometheus, page string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var d dashboard
	if err := json.Unmarshal(content, &d); err != nil {
		return err
	}
	var errs []error
	queries := 0
	for i := range d.Panels {
		p := &d.Panels[i]
		for _, t := range p.Targets {
			queries++
			if err := p.ask(ctx, prometheus, t.Expr, t.LegendFormat); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", p.Title, err))
			}
		}
	}
	if queries == 0 {
		errs = append(errs, errors.New("it asks for nothing"))
	}
	if err := os.WriteFile(page, draw(d), 0o600); err != nil {
		errs = append(errs, err)
	}
	fmt.Printf("dashboard: %d queries of %d panels\n", queries, len(d.Panels))
	return errors.Join(errs...)
}

// answer is what Prometheus says.
type answer struct {
	Error string
	Data  struct {
		Result []struct {
			Metric map[string]string
			Values [][2]any
		}
	}
}

// ask adds the series of one query.
func (p *panel) ask(ctx context.Context, prometheus, expr, legend string) error {
	expr = strings.ReplaceAll(expr, "$__rate_interval", interval)
	now := time.Now()
	query := url.Values{
		"query": {expr}, "step": {step.String()},
		"start": {strconv.FormatInt(now.Add(-shown).Unix(), 10)}, "end": {strconv.FormatInt(now.Unix(), 10)},
	}
	ctx, cancel := context.WithTimeout(ctx, queryTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, prometheus+"/api/v1/query_range?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var a answer
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
		return err
	}
	if a.Error != "" {
		return fmt.Errorf("%s: %s", expr, a.Error)
	}
	before := len(p.series)
	for _, r := range a.Data.Result {
		if s := newSeries(label(legend, r.Metric), r.Values); len(s.points) > 0 {
			p.series = append(p.series, s)
		}
	}
	if len(p.series) == before {
		return fmt.Errorf("%s has no data", expr)
	}
	return nil
}

// newSeries keeps the values that are numbers.
func newSeries(name string, values [][2]any) series {
	s := series{name: name}
	for _, v := range values {
		at, _ := v[0].(float64)
		text, _ := v[1].(string)
		if value, err := strconv.ParseFloat(text, 64); err == nil && value == value {
			s.points = append(s.points, point{at, value})
		}
	}
	return s
}

// label fills in a legend.
func label(legend string, metric map[string]string) string {
	for name, value := range metric {
		legend = strings.ReplaceAll(legend, "{{"+name+"}}", value)
	}
	return legend
}
