package schema

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/takovm/tako/internal/api/jsondoc"
)

// Check holds a value against t. Problems are located below loc.
func Check(t *Type, v jsondoc.Value, loc ...any) (*Value, []Problem) {
	c := &checker{}
	out := c.check(t, v, loc)
	if len(c.problems) > 0 {
		if t.Secret {
			for i := range c.problems {
				c.problems[i].Input = json.RawMessage("null")
			}
		}
		return nil, c.problems
	}
	return out, nil
}

// Missing is the problem of what is required and not there.
func Missing(input json.RawMessage, loc ...any) Problem {
	return Problem{Type: "missing", Loc: loc, Msg: "Field required", Input: input}
}

// Invalid is the problem of what holds against the table and is still wrong.
func Invalid(msg string, input json.RawMessage, loc ...any) Problem {
	return Problem{Type: "value_error", Loc: loc, Msg: "Value error, " + msg, Input: input, Ctx: json.RawMessage(`{"error":{}}`)}
}

type checker struct{ problems []Problem }

// wrong notes a problem. It answers nil for the caller to pass on.
func (c *checker) wrong(p Problem) *Value {
	if len(c.problems) < MaxProblems {
		c.problems = append(c.problems, p)
	}
	return nil
}

func (c *checker) full() bool { return len(c.problems) >= MaxProblems }

// at is loc with more; it never shares memory with another's.
func at(loc []any, more ...any) []any { return append(slices.Clip(loc), more...) }

func (c *checker) check(t *Type, v jsondoc.Value, loc []any) *Value {
	if t.Null && v.Kind() == jsondoc.Null {
		return nil
	}
	before := len(c.problems)
	var out *Value
	switch t.Kind {
	case String:
		out = c.text(t, v, loc)
	case Integer:
		out = c.integer(t, v, loc)
	case Float:
		out = c.float(t, v, loc)
	case Bool:
		out = c.boolean(v, loc)
	case List:
		out = c.list(t, v, loc)
	case Object:
		out = c.object(t, v, loc)
	case Map:
		out = c.dict(t, v, loc)
	case Free:
		out = c.free(t, v, loc)
	case Size:
		out = c.size(t, v, loc)
	}
	if len(c.problems) > before || out == nil {
		return nil
	}
	out.raw = v.Raw()
	if t.Holds != nil {
		if msg := t.Holds(out); msg != "" {
			return c.wrong(Invalid(msg, v.Raw(), loc...))
		}
	}
	return out
}

func (c *checker) object(t *Type, v jsondoc.Value, loc []any) *Value {
	if v.Kind() != jsondoc.Object {
		return c.wrong(Problem{Type: "model_attributes_type", Loc: loc, Input: v.Raw(),
			Msg: "Input should be a valid dictionary or object to extract fields from"})
	}
	given := map[string]jsondoc.Value{}
	var extra []Problem
	for name, m := range v.Members() {
		if slices.ContainsFunc(t.Fields, func(f Field) bool { return f.Name == name }) {
			given[name] = m
		} else if len(extra) < MaxProblems {
			extra = append(extra, Problem{Type: "extra_forbidden", Loc: at(loc, name), Msg: "Extra inputs are not permitted", Input: m.Raw()})
		}
	}
	out := &Value{fields: map[string]*Value{}}
	for i := range t.Fields {
		f := &t.Fields[i]
		m, ok := given[f.Name]
		switch {
		case ok:
			if value := c.check(&f.Type, m, at(loc, f.Name)); value != nil {
				out.fields[f.Name] = value
			}
		case f.Required:
			c.wrong(Missing(v.Raw(), at(loc, f.Name)...))
		}
	}
	for _, p := range extra {
		c.wrong(p)
	}
	return out
}

func (c *checker) list(t *Type, v jsondoc.Value, loc []any) *Value {
	if v.Kind() != jsondoc.Array {
		return c.wrong(Problem{Type: "list_type", Loc: loc, Msg: "Input should be a valid list", Input: v.Raw()})
	}
	n := 0
	for range v.Items() {
		n++
	}
	if p, ok := lengthProblem("List", t, n); ok {
		p.Loc, p.Input = loc, v.Raw()
		return c.wrong(p)
	}
	out := &Value{}
	for item := range v.Items() {
		if c.full() {
			return nil
		}
		out.items = append(out.items, c.check(t.Items, item, at(loc, len(out.items))))
	}
	return out
}

func (c *checker) dict(t *Type, v jsondoc.Value, loc []any) *Value {
	if v.Kind() != jsondoc.Object {
		return c.wrong(Problem{Type: "dict_type", Loc: loc, Msg: "Input should be a valid dictionary", Input: v.Raw()})
	}
	n := 0
	for range v.Members() {
		n++
	}
	if p, ok := lengthProblem("Dictionary", t, n); ok {
		p.Loc, p.Input = loc, v.Raw()
		return c.wrong(p)
	}
	out := &Value{}
	for name, m := range v.Members() {
		if t.Keys != nil && !t.Keys.MatchString(name) {
			c.wrong(mismatch(t.Keys.String(), quoted(name), at(loc, name, "[key]")))
		}
		out.keys = append(out.keys, name)
		out.items = append(out.items, c.check(t.Items, m, at(loc, name)))
	}
	return out
}

func (c *checker) free(t *Type, v jsondoc.Value, loc []any) *Value {
	if v.Kind() != jsondoc.Object {
		return c.wrong(Problem{Type: "dict_type", Loc: loc, Msg: "Input should be a valid dictionary", Input: v.Raw()})
	}
	if t.MaxBytes > 0 && len(v.Raw()) > t.MaxBytes {
		return c.wrong(Invalid(fmt.Sprintf("the JSON must have at most %d bytes", t.MaxBytes), v.Raw(), loc...))
	}
	return &Value{}
}

func (c *checker) text(t *Type, v jsondoc.Value, loc []any) *Value {
	raw := v.Raw()
	if len(t.Enum) > 0 {
		return c.literal(t, v, loc)
	}
	if v.Kind() != jsondoc.String {
		return c.wrong(Problem{Type: "string_type", Loc: loc, Msg: "Input should be a valid string", Input: raw})
	}
	s, valid := v.Text()
	n := utf8.RuneCountInString(s)
	switch {
	case !valid:
		return c.wrong(Problem{Type: "string_unicode", Loc: loc, Input: raw,
			Msg: "Input should be a valid string, unable to parse raw data as a unicode string"})
	case n < t.MinLen:
		return c.wrong(Problem{Type: "string_too_short", Loc: loc, Input: raw, Ctx: ctx("min_length", t.MinLen),
			Msg: "String should have at least " + count(t.MinLen, "character")})
	case t.MaxLen > 0 && n > t.MaxLen:
		return c.wrong(Problem{Type: "string_too_long", Loc: loc, Input: raw, Ctx: ctx("max_length", t.MaxLen),
			Msg: "String should have at most " + count(t.MaxLen, "character")})
	case t.Pattern != nil && !t.Pattern.MatchString(s):
		return c.wrong(mismatch(t.Pattern.String(), raw, loc))
	case t.MaxBytes > 0 && len(s) > t.MaxBytes:
		return c.wrong(Invalid(fmt.Sprintf("the text must have at most %d bytes", t.MaxBytes), raw, loc...))
	case t.NoNUL && strings.Contains(s, "\x00"):
		return c.wrong(Invalid("the text must not contain a NUL", raw, loc...))
	}
	return &Value{text: s}
}

func (c *checker) literal(t *Type, v jsondoc.Value, loc []any) *Value {
	if v.Kind() == jsondoc.String {
		if s, valid := v.Text(); valid && slices.Contains(t.Enum, s) {
			return &Value{text: s}
		}
	}
	quoted := make([]string, len(t.Enum))
	for i, e := range t.Enum {
		quoted[i] = "'" + e + "'"
	}
	last := len(quoted) - 1
	expected := quoted[last]
	if last > 0 {
		expected = strings.Join(quoted[:last], ", ") + " or " + expected
	}
	return c.wrong(Problem{Type: "literal_error", Loc: loc, Msg: "Input should be " + expected, Input: v.Raw(), Ctx: ctx("expected", expected)})
}

func mismatch(pattern string, raw json.RawMessage, loc []any) Problem {
	return Problem{Type: "string_pattern_mismatch", Loc: loc, Input: raw, Ctx: ctx("pattern", pattern),
		Msg: "String should match pattern '" + pattern + "'"}
}

// lengthProblem says whether n items are too few or too many.
func lengthProblem(what string, t *Type, n int) (p Problem, wrong bool) {
	say := func(kind, bound string, limit int, side string) (Problem, bool) {
		return Problem{
			Type: kind,
			Msg:  fmt.Sprintf("%s should have at %s %s after validation, not %d", what, side, count(limit, "item"), n),
			Ctx:  json.RawMessage(fmt.Sprintf(`{"field_type":%q,%q:%d,"actual_length":%d}`, what, bound, limit, n)),
		}, true
	}
	switch {
	case n < t.MinLen:
		return say("too_short", "min_length", t.MinLen, "least")
	case t.MaxLen > 0 && n > t.MaxLen:
		return say("too_long", "max_length", t.MaxLen, "most")
	}
	return Problem{}, false
}

func count(n int, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return strconv.Itoa(n) + " " + unit + "s"
}

func ctx(name string, value any) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{%q:%s}`, name, quoted(value)))
}

// quoted is a value as JSON, without the escapes that are for HTML.
func quoted(value any) json.RawMessage {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return json.RawMessage("null")
	}
	return json.RawMessage(strings.TrimSuffix(b.String(), "\n"))
}
