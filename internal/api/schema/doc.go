// Package schema is one table for each thing that a caller may send: its fields,
// their kinds, limits and defaults. Check holds a request against it, JSONSchema
// draws it into the OpenAPI document; since both read the same table, they cannot
// disagree.
//
// What is wrong with a request is said as pydantic 2 says it, to the letter,
// because clients of Tako VM read those answers. Conversions are pydantic's, too:
// "5" and 5.0 are the integer 5, "yes" is true. Lengths of text are counted in
// characters, unless a field says bytes.
package schema

import (
	"encoding/json"
	"regexp"
)

// Kind is what a value has to be.
type Kind int

const (
	String  Kind = iota
	Integer      // up to 64 bits
	Float
	Bool
	List
	Object // with the fields of the table and no others
	Map    // names are free, values are of Items
	Free   // an object that nobody looks into
	Size   // a number of bytes, or text with a unit
)

// MaxProblems is how many problems of one request are said.
const MaxProblems = 100

// Type is a row of a table without its name.
type Type struct {
	Kind Kind
	Doc  string
	// Name is what the document knows it by; without one it is drawn in its place.
	Name string
	// Null takes null as absence.
	Null bool
	// Default is for the document only; who reads the field applies it.
	Default any
	// Min and Max bound a number, if Bounded; Max may be infinite.
	Bounded  bool
	Min, Max float64
	// MinLen and MaxLen bound the characters of a String, the items of a List, the
	// entries of a Map; 0 is no bound.
	MinLen, MaxLen int
	// MaxBytes bounds the UTF-8 of a String or the text of a Free object.
	MaxBytes int
	NoNUL    bool
	Pattern  *regexp.Regexp
	Enum     []string
	Format   string // for the document only: "base64", "date-time", "uri"
	Items    *Type  // of a List or a Map
	Keys     *regexp.Regexp
	Fields   []Field // of an Object
	// Secret keeps what was sent out of problems.
	Secret bool
	// Holds is a rule of its own: it answers what is wrong, or nothing.
	Holds func(v *Value) string
}

// Field is a row of a table.
type Field struct {
	Name     string
	Required bool
	Type
}

// Problem is one thing that is wrong, in FastAPI's shape.
type Problem struct {
	Type  string          `json:"type"`
	Loc   []any           `json:"loc"`
	Msg   string          `json:"msg"`
	Input json.RawMessage `json:"input"`
	Ctx   json.RawMessage `json:"ctx,omitempty"`
}

// Value is what passed the check. A nil one was absent or null; its methods
// answer the zero value.
type Value struct {
	text   string
	int    int64
	float  float64
	bool   bool
	raw    json.RawMessage
	items  []*Value
	keys   []string // of a Map, in order
	fields map[string]*Value
}

// Has reports whether it was there.
func (v *Value) Has() bool { return v != nil }

// Get answers a field of an Object.
func (v *Value) Get(name string) *Value {
	if v == nil {
		return nil
	}
	return v.fields[name]
}

// Text is the value of a String.
func (v *Value) Text() string {
	if v == nil {
		return ""
	}
	return v.text
}

// Int is the value of an Integer, or the bytes of a Size.
func (v *Value) Int() int64 {
	if v == nil {
		return 0
	}
	return v.int
}

// Float is the value of a Float.
func (v *Value) Float() float64 {
	if v == nil {
		return 0
	}
	return v.float
}

// Bool is the value of a Bool.
func (v *Value) Bool() bool { return v != nil && v.bool }

// Raw is the value as it was written.
func (v *Value) Raw() json.RawMessage {
	if v == nil {
		return nil
	}
	return v.raw
}

// Items are the values of a List.
func (v *Value) Items() []*Value {
	if v == nil {
		return nil
	}
	return v.items
}

// Texts are the values of a List of String.
func (v *Value) Texts() []string {
	var list []string
	for _, item := range v.Items() {
		list = append(list, item.text)
	}
	return list
}

// Entries are the values of a Map of String.
func (v *Value) Entries() map[string]string {
	if v == nil || len(v.keys) == 0 {
		return nil
	}
	m := make(map[string]string, len(v.keys))
	for i, key := range v.keys {
		m[key] = v.items[i].text
	}
	return m
}
