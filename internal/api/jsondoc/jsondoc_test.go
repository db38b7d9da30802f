package jsondoc

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// Messages and positions are those of Python 3.11's json.loads.
func TestSyntaxErrors(t *testing.T) {
	for doc, want := range map[string]SyntaxError{
		``:                   {"Expecting value", 0},
		` `:                  {"Expecting value", 1},
		`{`:                  {"Expecting property name enclosed in double quotes", 1},
		`{"a"`:               {"Expecting ':' delimiter", 4},
		`{"a":`:              {"Expecting value", 5},
		`{"a":1`:             {"Expecting ',' delimiter", 6},
		`{"a":1,}`:           {"Expecting property name enclosed in double quotes", 7},
		`{a:1}`:              {"Expecting property name enclosed in double quotes", 1},
		`[1,]`:               {"Expecting value", 3},
		`[1 2]`:              {"Expecting ',' delimiter", 3},
		`"abc`:               {"Unterminated string starting at", 0},
		"\"a\nb\"":           {"Invalid control character at", 2},
		"{\"a\":\"\x00\"}":   {"Invalid control character at", 6},
		`"\x"`:               {`Invalid \escape`, 1},
		`"\u12"`:             {`Invalid \uXXXX escape`, 2},
		`"\`:                 {"Unterminated string starting at", 0},
		`tru`:                {"Expecting value", 0},
		`01`:                 {"Extra data", 1},
		`-`:                  {"Expecting value", 0},
		`1.`:                 {"Extra data", 1},
		`1e`:                 {"Extra data", 1},
		`+1`:                 {"Expecting value", 0},
		`{} x`:               {"Extra data", 3},
		`{"é":x}`:            {"Expecting value", 5},
		`{"a":-}`:            {"Expecting value", 5},
		`{"a":1.}`:           {"Expecting ',' delimiter", 6},
		`{"a":01}`:           {"Expecting ',' delimiter", 6},
		`NaN`:                {"Expecting value", 0},
		`[-Infinity]`:        {"Expecting value", 1},
		`{"a":1,"\u0061":2}`: {"Duplicate property name", 7},
	} {
		_, err := Parse([]byte(doc))
		var s *SyntaxError
		if !errors.As(err, &s) || *s != want {
			t.Errorf("%q: %v, want %v", doc, err, &want)
		}
	}
}

func TestRefused(t *testing.T) {
	for name, doc := range map[string]string{
		"not UTF-8":    "\"\xff\"",
		"too deep":     strings.Repeat("[", MaxDepth+2) + strings.Repeat("]", MaxDepth+2),
		"deep, open":   strings.Repeat(`{"a":`, 1_000_000),
		"long integer": strings.Repeat("9", MaxDigits+1),
	} {
		if _, err := Parse([]byte(doc)); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, doc := range []string{strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth), strings.Repeat("9", MaxDigits), "1e99999"} {
		if _, err := Parse([]byte(doc)); err != nil {
			t.Errorf("%.20q: %v", doc, err)
		}
	}
}

func TestMembersAndItems(t *testing.T) {
	v, err := Parse([]byte(" {\"a\" : [1, {\"x\":[]} ,\"]\"], \"b\":1.50 ,\"c\\n\":{ } , \"d\":null}\n"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for name, m := range v.Members() {
		got = append(got, name+"="+string(m.Raw()))
		if m.Kind() == Array {
			for item := range m.Items() {
				got = append(got, string(item.Raw()))
			}
		}
	}
	want := "a=[1, {\"x\":[]} ,\"]\"]|1|{\"x\":[]}|\"]\"|b=1.50|c\n={ }|d=null"
	if s := strings.Join(got, "|"); s != want {
		t.Errorf("got  %s\nwant %s", s, want)
	}
}

func TestText(t *testing.T) {
	for doc, want := range map[string]string{
		`"a\"\\\/\b\f\n\r\tb"`: "a\"\\/\b\f\n\r\tb",
		`"\u00e9\uD83D\uDE00"`: "é😀",
		`"\ufffd"`:             "\uFFFD",
	} {
		v, err := Parse([]byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		if got, valid := v.Text(); got != want || !valid {
			t.Errorf("%s: %q, %v", doc, got, valid)
		}
	}
	for _, doc := range []string{`"\ud800"`, `"\ud800x"`, `"\ud800\u0041"`, `"\udc00\ud800"`} {
		v, err := Parse([]byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		if _, valid := v.Text(); valid {
			t.Errorf("%s is valid", doc)
		}
	}
}

// What Parse takes, encoding/json takes, and every part of it is valid.
func FuzzParse(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5e3,{"b":null}],"c":"\ud83d\ude00"}`, `[[],{}," "]`, `{"a":1,"a":2}`, "\xef\xbb\xbf{}", `-0`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		v, err := Parse(doc)
		if err != nil {
			return
		}
		walk(t, v)
	})
}

func walk(t *testing.T, v Value) {
	if !json.Valid(v.Raw()) {
		t.Fatalf("%q is not JSON", v.Raw())
	}
	switch v.Kind() {
	case Array:
		var want []json.RawMessage
		_ = json.Unmarshal(v.Raw(), &want)
		n := 0
		for item := range v.Items() {
			if n >= len(want) || string(want[n]) != string(item.Raw()) {
				t.Fatalf("item %d of %q is %q", n, v.Raw(), item.Raw())
			}
			n++
			walk(t, item)
		}
		if n != len(want) {
			t.Fatalf("%q has %d items", v.Raw(), n)
		}
	case Object:
		var want map[string]json.RawMessage
		_ = json.Unmarshal(v.Raw(), &want)
		n := 0
		for name, m := range v.Members() {
			if string(want[name]) != string(m.Raw()) {
				t.Fatalf("member %q of %q is %q", name, v.Raw(), m.Raw())
			}
			n++
			walk(t, m)
		}
		if n != len(want) {
			t.Fatalf("%q has %d members", v.Raw(), n)
		}
	case String:
		var want string
		_ = json.Unmarshal(v.Raw(), &want)
		if got, valid := v.Text(); valid && got != want {
			t.Fatalf("%q is %q", v.Raw(), got)
		}
	}
}
