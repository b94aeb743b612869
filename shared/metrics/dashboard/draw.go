package main

import (
	"bytes"
	"fmt"
	"html"
	"math"
	"strings"
)

// Sizes of the page, in pixels: of a column of the grid of 24, of a row, and of the room around the lines of a panel.
const (
	column = 58
	height = 34
	above  = 26
	below  = 34
)

var colors = []string{"#3274d9", "#56a64b", "#e0752d", "#b877d9", "#e02f44", "#8f8f8f", "#37872d", "#f2cc0c"}

// draw makes the page.
func draw(d dashboard) []byte {
	var b bytes.Buffer
	bottom := 0
	for i := range d.Panels {
		bottom = max(bottom, d.Panels[i].GridPos.Y+d.Panels[i].GridPos.H)
	}
	fmt.Fprintf(&b, `<!doctype html><meta charset="utf-8"><title>%[1]s</title>
<style>body{margin:8px;font:12px sans-serif;background:#f4f5f5}</style>
<svg xmlns="http://www.w3.org/2000/svg" width="%[2]d" height="%[3]d">`, html.EscapeString(d.Title), 24*column, bottom*height)
	for i := range d.Panels {
		d.Panels[i].draw(&b)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

func (p *panel) draw(b *bytes.Buffer) {
	x, y, w, h := p.GridPos.X*column, p.GridPos.Y*height, p.GridPos.W*column-6, p.GridPos.H*height-6
	if p.Type == "row" {
		fmt.Fprintf(b, `<text x="%d" y="%d" font-size="15" font-weight="bold">%s</text>`, x+4, y+20, html.EscapeString(p.Title))
		return
	}
	fmt.Fprintf(b, `<rect x="%d" y="%d" width="%d" height="%d" fill="#fff" stroke="#ddd"/>`, x, y, w, h)
	fmt.Fprintf(b, `<text x="%d" y="%d" font-weight="bold">%s</text>`, x+6, y+16, html.EscapeString(p.Title))
	if p.Type == "stat" {
		p.drawLast(b, x+10, y+h/2+22)
		return
	}
	p.drawLines(b, x+8, y+above, w-16, h-above-below)
	p.drawLegend(b, x+8, y+h-18, w-16)
}

// drawLast writes the last values.
func (p *panel) drawLast(b *bytes.Buffer, x, y int) {
	var texts []string
	for _, s := range p.series {
		texts = append(texts, strings.TrimSpace(short(s.points[len(s.points)-1].value, p.FieldConfig.Defaults.Unit)+" "+s.name))
	}
	fmt.Fprintf(b, `<text x="%d" y="%d" font-size="22">%s</text>`, x, y, html.EscapeString(strings.Join(texts, ", ")))
}

// drawLines draws all series to one scale, from 0.
func (p *panel) drawLines(b *bytes.Buffer, x, y, w, h int) {
	most, first, last := 0.0, math.Inf(1), math.Inf(-1)
	for _, s := range p.series {
		for _, at := range s.points {
			most, first, last = max(most, at.value), min(first, at.at), max(last, at.at)
		}
	}
	scale := func(value, of float64, pixels int) float64 {
		if of <= 0 {
			return 0
		}
		return value / of * float64(pixels)
	}
	for i, s := range p.series {
		var line []string
		for _, at := range s.points {
			line = append(line, fmt.Sprintf("%.1f,%.1f", float64(x)+scale(at.at-first, last-first, w), float64(y+h)-scale(at.value, most, h)))
		}
		fmt.Fprintf(b, `<polyline fill="none" stroke="%s" stroke-width="1.5" points="%s"/>`, colors[i%len(colors)], strings.Join(line, " "))
	}
	fmt.Fprintf(b, `<text x="%d" y="%d" fill="#888" text-anchor="end">%s</text>`, x+w, y-8, short(most, p.FieldConfig.Defaults.Unit))
}

// drawLegend names as many series as there is room for.
func (p *panel) drawLegend(b *bytes.Buffer, x, y, w int) {
	const letter = 6
	at := x
	for i, s := range p.series {
		wide := (len(s.name) + 3) * letter
		if at+wide > x+w {
			return
		}
		fmt.Fprintf(b, `<text x="%d" y="%d" fill="%s">%s</text>`, at, y, colors[i%len(colors)], html.EscapeString(s.name))
		at += wide
	}
}

// short writes a number so that it can be read.
func short(v float64, unit string) string {
	switch {
	case unit == "percentunit":
		return fmt.Sprintf("%.1f %%", 100*v)
	case unit == "s" && v < 1:
		return fmt.Sprintf("%.2f ms", 1000*v)
	case v >= 1<<20:
		return fmt.Sprintf("%.1f M", v/(1<<20))
	default:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0")
	}
}
