package benchmark

import (
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"strings"
)

// Sizes of the plot, in pixels.
const (
	rowHeight = 22
	nameWidth = 270
	plotWidth = 560
	topHeight = 110
	margin    = 16
)

// SVG writes a plot: a bar to the p50 of each row, and a whisker on to its p99
// with a mark at p95, on an axis of powers of ten.
func (r *Report) SVG(w io.Writer) error {
	p := plot{}
	p.lines, p.low, p.high = r.plotted()
	p.bottom = topHeight + rowHeight*len(p.lines)
	fmt.Fprintf(&p, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">`+"\n",
		nameWidth+plotWidth+80, p.bottom+4*margin)
	p.WriteString(`<rect width="100%" height="100%" fill="#ffffff"/>` + "\n")
	p.text(label{margin, 24, "start", "bold", "Time from the request to run " + code + " to its answer or first output"})
	p.text(label{margin, 42, "start", "normal", strings.TrimSpace("tako "+r.Tako) + " on " + r.Machine.String()})
	p.legend()
	p.axes()
	for i, l := range p.lines {
		p.line(i, l)
	}
	p.WriteString("</svg>\n")
	_, err := io.WriteString(w, p.String())
	return err
}

// line is one bar of the plot.
type line struct {
	name  string
	color string
	Times
}

// Colours of the bars.
const (
	takos  = "#2b6cb0"
	pale   = "#90b4d8" // a part of the row above
	theirs = "#a0a0a0"
)

// plotted are the rows that have times and their parts, and the powers of ten
// around them.
func (r *Report) plotted() (lines []line, low, high float64) {
	for _, row := range r.Rows {
		if row.P50 <= 0 {
			continue
		}
		l := line{row.label(), takos, row.Times}
		if row.Other {
			l.color = theirs
		}
		lines = append(lines, l)
		for _, p := range row.parts() {
			lines = append(lines, line{fmt.Sprintf("of these %d %s", p.Jobs, p.name), pale, p.Times})
		}
	}
	if len(lines) == 0 {
		return nil, 0, 1
	}
	low, high = math.Inf(1), math.Inf(-1)
	for _, l := range lines {
		low, high = min(low, math.Floor(math.Log10(l.P50))), max(high, math.Ceil(math.Log10(l.P99)))
	}
	return lines, low, max(high, low+1)
}

func (r Row) label() string {
	if r.Clients > 1 {
		return fmt.Sprintf("%s, %d clients", r.Name, r.Clients)
	}
	return r.Name
}

// plot is what is drawn, and its axis in powers of ten.
type plot struct {
	strings.Builder
	lines     []line
	low, high float64
	bottom    int
}

func (p *plot) x(ms float64) float64 {
	return nameWidth + plotWidth*(math.Log10(ms)-p.low)/(p.high-p.low)
}

func (p *plot) legend() {
	x := float64(margin)
	for _, l := range []line{{name: "tako", color: takos}, {name: "part of the row above", color: pale}, {name: "others", color: theirs}} {
		fmt.Fprintf(p, `<rect x="%.1f" y="54" width="14" height="12" fill="%s"/>`+"\n", x, l.color)
		p.text(label{x + 20, 64, "start", "normal", l.name})
		x += 50 + 7*float64(len(l.name))
	}
	p.text(label{x, 64, "start", "normal", "bar and figure: p50; marks of the whisker: p95, p99"})
}

func (p *plot) axes() {
	p.text(label{nameWidth - 8, topHeight - 10, "end", "bold", "how it was run"})
	for e := p.low; e <= p.high; e++ {
		for digit := 1.0; digit < 10 && (digit == 1 || e < p.high); digit++ {
			at, color := p.x(digit*math.Pow(10, e)), "#ececec"
			if digit == 1 {
				color = "#b0b0b0"
				p.text(label{at, float64(p.bottom + 16), "middle", "normal", fmt.Sprintf("%g", math.Pow(10, e))})
			}
			p.stroke(at, topHeight, at, float64(p.bottom), color)
		}
	}
	p.text(label{nameWidth + plotWidth/2, float64(p.bottom + 38), "middle", "bold", "milliseconds, logarithmic"})
}

func (p *plot) line(i int, l line) {
	y := float64(topHeight + rowHeight*i)
	p.text(label{nameWidth - 8, y + 15, "end", "normal", l.name})
	half, most, last := p.x(l.P50), p.x(l.P95), p.x(l.P99)
	fmt.Fprintf(p, `<rect x="%d" y="%.1f" width="%.1f" height="14" fill="%s"/>`+"\n", nameWidth, y+4, half-nameWidth, l.color)
	p.stroke(half, y+11, last, y+11, "#303030")
	p.stroke(most, y+7, most, y+15, "#303030")
	p.stroke(last, y+4, last, y+18, "#303030")
	p.text(label{last + 6, y + 15, "start", "normal", figure(l.P50)})
}

func (p *plot) stroke(x1, y1, x2, y2 float64, color string) {
	fmt.Fprintf(p, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s"/>`+"\n", x1, y1, x2, y2, color)
}

// label is a text and where it is.
type label struct {
	x, y   float64
	anchor string
	weight string
	text   string
}

func (p *plot) text(l label) {
	fmt.Fprintf(p, `<text x="%.1f" y="%.1f" text-anchor="%s" font-weight="%s">`, l.x, l.y, l.anchor, l.weight)
	_ = xml.EscapeText(p, []byte(l.text)) // a builder does not fail
	p.WriteString("</text>\n")
}
