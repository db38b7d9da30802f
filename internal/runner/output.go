package runner

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Bounds of result.json. Lists of jobs have outputs in them: one that a client's
// decoder gives up at, as Python's does at a depth of 1000 and at a number of 4300
// digits, would hide all the others.
const (
	maxOutputDepth  = 500
	maxOutputNumber = 4000
)

// output keeps result.json as it is, if it is JSON: never through a float64.
func (r *run) output(data []byte) {
	if !utf8.Valid(data) || !json.Valid(data) {
		r.result.OutputNote = "result.json is not valid JSON in UTF-8 (NaN and Infinity are not, either)"
		return
	}
	depth, number := extent(data)
	switch {
	case depth > maxOutputDepth:
		r.result.OutputNote = fmt.Sprintf("result.json is nested deeper than %d; write it flatter, or to another file", maxOutputDepth)
	case number > maxOutputNumber:
		r.result.OutputNote = fmt.Sprintf("result.json has a number of more than %d characters; write it as a string", maxOutputNumber)
	default:
		r.result.Output = bytes.TrimSpace(data)
	}
}

// extent is how deep valid JSON is nested, and how long the longest number is.
func extent(data []byte) (depth, number int) {
	now, digits, text := 0, 0, false
	for i := 0; i < len(data); i++ {
		c := data[i]
		if text {
			switch c {
			case '\\':
				i++
			case '"':
				text = false
			}
			continue
		}
		if '0' <= c && c <= '9' || strings.IndexByte("+-.eE", c) >= 0 {
			digits++
			number = max(number, digits)
			continue
		}
		digits = 0
		switch c {
		case '"':
			text = true
		case '[', '{':
			now++
			depth = max(depth, now)
		case ']', '}':
			now--
		}
	}
	return depth, number
}
