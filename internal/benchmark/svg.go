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
	rowHeight = 24
	nameWidth = 250
	plotWidth = 560
	topHeight = 64
	margin    = 16
)

// SVG writes a plot: a bar to the p50 of each row and a line on to its p99, on
// an axis of powers of ten.
func (r *Report) SVG(w io.Writer) error {
	rows, low, high := r.plotted()
	height := topHeight + rowHeight*len(rows) + 3*margin
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">`+"\n",
		nameWidth+plotWidth+80, height)
	b.WriteString(`<rect width="100%" height="100%" fill="#ffffff"/>` + "\n")
	write(&b, margin, 24, "start", "bold", "Time to run "+code+": bar p50, line p99")
	write(&b, margin, 42, "start", "normal", r.Machine.String())
	x := func(ms float64) float64 {
		return nameWidth + plotWidth*(math.Log10(ms)-low)/(high-low)
	}
	bottom := topHeight + rowHeight*len(rows)
	for e := low; e <= high; e++ {
		at := x(math.Pow(10, e))
		fmt.Fprintf(&b, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#d0d0d0"/>`+"\n", at, topHeight, at, bottom)
		write(&b, at, float64(bottom+16), "middle", "normal", fmt.Sprintf("%g ms", math.Pow(10, e)))
	}
	for i, row := range rows {
		y := float64(topHeight + rowHeight*i)
		write(&b, nameWidth-8, y+16, "end", "normal", row.label())
		end := x(row.P50)
		fmt.Fprintf(&b, `<rect x="%d" y="%.1f" width="%.1f" height="14" fill="%s"/>`+"\n", nameWidth, y+5, end-nameWidth, row.color())
		fmt.Fprintf(&b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#303030"/>`+"\n", end, y+12, x(row.P99), y+12)
		write(&b, x(row.P99)+6, y+16, "start", "normal", figure(row.P50))
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// plotted are the rows that have times, and the powers of ten around them.
func (r *Report) plotted() (rows []Row, low, high float64) {
	low, high = 0, 1
	for _, row := range r.Rows {
		if row.P50 <= 0 {
			continue
		}
		if len(rows) == 0 {
			low, high = math.Inf(1), math.Inf(-1)
		}
		rows = append(rows, row)
		low, high = min(low, math.Floor(math.Log10(row.P50))), max(high, math.Ceil(math.Log10(row.P99)))
	}
	return rows, low, max(high, low+1)
}

func (r Row) label() string {
	if r.Clients > 1 {
		return fmt.Sprintf("%s, %d clients", r.Name, r.Clients)
	}
	return r.Name
}

// color tells tako's rows from others.
func (r Row) color() string {
	if r.Other {
		return "#a8a8a8"
	}
	return "#2b6cb0"
}

func write(b *strings.Builder, x, y float64, anchor, weight, text string) {
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="%s" font-weight="%s">`, x, y, anchor, weight)
	_ = xml.EscapeText(b, []byte(text)) // a builder does not fail
	b.WriteString("</text>\n")
}
