package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// at goes down into objects; nil where there is nothing.
func at(o object, names ...string) object {
	for _, name := range names {
		o, _ = o[name].(object)
	}
	return o
}

// heading is what GitHub calls one in links.
func heading(text string) string {
	text = strings.ToLower(strings.ReplaceAll(text, " ", "-"))
	return regexp.MustCompile(`[^a-z0-9_-]`).ReplaceAllString(text, "")
}

func refName(s object) string {
	ref, _ := s["$ref"].(string)
	return strings.TrimPrefix(ref, "#/components/schemas/")
}

// refersTo reports whether a schema has a reference to another one within.
func refersTo(v any, name string) bool {
	found := false
	visit("", v, func(_ string, o map[string]any) { found = found || refName(o) == name })
	return found
}

// prose is text that Markdown leaves alone.
func prose(v any) string {
	return strings.NewReplacer("*", `\*`, "_", `\_`, "<", "&lt;").Replace(fmt.Sprint(v))
}

// cell is text in a table.
func cell(v any) string {
	if v == nil {
		return ""
	}
	return strings.ReplaceAll(prose(v), "|", `\|`)
}

func starred(yes bool) string {
	if yes {
		return " **required**"
	}
	return ""
}

func fallback(s object) string {
	d, ok := s["default"]
	if !ok {
		return ""
	}
	text, err := json.Marshal(d)
	if err != nil {
		return ""
	}
	return "`" + strings.Trim(string(text), `"`) + "`"
}

func pretty(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return err.Error()
	}
	return strings.TrimSpace(b.String())
}

// table has the fields of an object: what is required first.
func (r *reference) table(s object) {
	defaults := strings.Contains(fmt.Sprint(s["additionalProperties"]), "false") // of a request
	if defaults {
		r.line("| field | type | default | what it is |\n|---|---|---|---|")
	} else {
		r.line("| field | type | what it is |\n|---|---|---|")
	}
	r.rows("", s, defaults)
}

// rows has the fields of objects within under their full names.
func (r *reference) rows(prefix string, s object, defaults bool) {
	properties := at(s, "properties")
	must, _ := s["required"].([]any)
	names := sortedNames(properties)
	if defaults {
		slices.SortStableFunc(names, func(a, b string) int {
			return rank(slices.Contains(must, any(a))) - rank(slices.Contains(must, any(b)))
		})
	}
	for _, name := range names {
		p := at(properties, name)
		middle := ""
		if defaults {
			middle = " " + fallback(p) + " |"
		}
		r.line("| `%s`%s | %s |%s %s |", prefix+name, starred(defaults && slices.Contains(must, any(name))), r.words(p), middle, cell(p["description"]))
		items := at(p, "items")
		for _, one := range list(p["oneOf"]) { // of which one may be a list
			if i := at(one.(object), "items"); i != nil {
				items = i
			}
		}
		switch {
		case p["properties"] != nil:
			r.rows(prefix+name+".", p, defaults)
		case items["properties"] != nil:
			r.rows(prefix+name+"[].", items, defaults)
		}
	}
}

func rank(first bool) int {
	if first {
		return 0
	}
	return 1
}

// words are the type of a value and its limits.
func (r *reference) words(s object) string {
	if name := refName(s); name != "" {
		return "[" + name + "](#" + heading(name) + ")"
	}
	if one := list(s["oneOf"]); one != nil {
		var kinds []string
		for _, o := range one {
			kinds = append(kinds, r.words(o.(object)))
		}
		return strings.Join(kinds, " or ")
	}
	kinds := list(s["type"])
	if kinds == nil && s["type"] != nil {
		kinds = []any{s["type"]}
	}
	var texts []string
	for _, k := range kinds {
		texts = append(texts, r.kind(s, fmt.Sprint(k)))
	}
	if len(texts) == 0 {
		texts = []string{"any JSON value"}
	}
	return strings.Join(append([]string{strings.Join(texts, " or ")}, limitsOf(s)...), ", ")
}

func (r *reference) kind(s object, kind string) string {
	if kind == "array" {
		return "list of " + r.items(at(s, "items"))
	}
	if values := at(s, "additionalProperties"); kind == "object" && values != nil {
		return "object of " + r.items(values)
	}
	return kind
}

// items are what a list or an object is of, with limits in brackets.
func (r *reference) items(s object) string {
	text := r.words(s)
	if kind, limits, ok := strings.Cut(text, ", "); ok {
		return kind + " (" + limits + ")"
	}
	return text
}

func limitsOf(s object) []string {
	var all []string
	if words := list(s["enum"]); words != nil {
		var texts []string
		for _, w := range words {
			if w != nil {
				texts = append(texts, fmt.Sprintf("`%v`", w))
			}
		}
		all = append(all, "one of "+strings.Join(texts, " "))
	}
	for _, b := range [][3]string{{"minimum", "maximum", ""}, {"minLength", "maxLength", " characters"}, {"minItems", "maxItems", " items"}, {"minProperties", "maxProperties", " entries"}} {
		low, high := s[b[0]], s[b[1]]
		switch {
		case low != nil && high != nil:
			all = append(all, fmt.Sprintf("%s to %s%s", digits(low), digits(high), b[2]))
		case high != nil:
			all = append(all, fmt.Sprintf("at most %s%s", digits(high), b[2]))
		case low != nil:
			all = append(all, fmt.Sprintf("at least %s%s", digits(low), b[2]))
		}
	}
	if most := s["x-tako-max-bytes"]; most != nil {
		all = append(all, fmt.Sprintf("at most %s bytes", digits(most)))
	}
	if format, _ := s["format"].(string); format != "" && format != "binary" {
		all = append(all, "`"+format+"`")
	}
	if pattern, _ := s["pattern"].(string); pattern != "" {
		all = append(all, "matching `"+strings.ReplaceAll(pattern, "|", `\|`)+"`")
	}
	if pattern, _ := at(s, "propertyNames")["pattern"].(string); pattern != "" {
		all = append(all, "names matching `"+strings.ReplaceAll(pattern, "|", `\|`)+"`")
	}
	return all
}

// digits writes a number with separators, as people read it.
func digits(v any) string {
	text := number(v)
	whole, fraction, _ := strings.Cut(text, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if fraction != "" {
		whole += "." + fraction
	}
	return whole
}
