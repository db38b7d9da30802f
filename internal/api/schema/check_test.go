package schema

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/takovm/tako/internal/api/jsondoc"
)

// everything is a table with a field of each kind.
func everything() Type {
	item := Type{Kind: Object, Fields: []Field{{Name: "id", Required: true, Type: Type{Kind: Integer}}}}
	return Type{Kind: Object, Fields: []Field{
		{Name: "text", Type: Type{Kind: String, Null: true, MinLen: 2, MaxLen: 4, MaxBytes: 6, NoNUL: true}},
		{Name: "word", Type: Type{Kind: String, Pattern: regexp.MustCompile(`^[a-z]+$`), Default: "x"}},
		{Name: "enum", Type: Type{Kind: String, Null: true, Enum: []string{"a", "b"}}},
		{Name: "only", Type: Type{Kind: String, Enum: []string{"a"}}},
		{Name: "int", Type: Type{Kind: Integer, Null: true, Bounded: true, Min: 1, Max: 10}},
		{Name: "any_int", Type: Type{Kind: Integer}},
		{Name: "float", Type: Type{Kind: Float, Bounded: true, Min: 0.5, Max: math.Inf(1)}},
		{Name: "bool", Type: Type{Kind: Bool}},
		{Name: "list", Type: Type{Kind: List, MinLen: 1, MaxLen: 2, Items: &Type{Kind: Bool}}},
		{Name: "objects", Type: Type{Kind: List, Items: &item}},
		{Name: "map", Type: Type{Kind: Map, MaxLen: 2, Keys: regexp.MustCompile(`^k`), Items: &Type{Kind: String}}},
		{Name: "free", Type: Type{Kind: Free, MaxBytes: 10}},
		{Name: "size", Type: Type{Kind: Size, Bounded: true, Min: 1, Max: 1 << 20}},
		{Name: "even", Type: Type{Kind: Integer, Holds: func(v *Value) string {
			if v.Int()%2 != 0 {
				return "it is odd"
			}
			return ""
		}}},
	}}
}

func parse(t *testing.T, doc string) jsondoc.Value {
	t.Helper()
	v, err := jsondoc.Parse([]byte(doc))
	if err != nil {
		t.Fatalf("%s: %v", doc, err)
	}
	return v
}

// shown is a problem as "type loc input ctx".
func shown(p Problem) string {
	loc, _ := json.Marshal(append([]any{}, p.Loc...))
	return strings.TrimSpace(fmt.Sprintf("%s %s %s %s", p.Type, loc, p.Input, p.Ctx))
}

func TestCheck(t *testing.T) {
	for doc, want := range map[string]string{
		`{}`:                                  "",
		`{"text":"ab"}`:                       "",
		`{"text":null}`:                       "",
		`{"text":"é😀"}`:                       "",
		`{"text":"a"}`:                        `string_too_short ["text"] "a" {"min_length":2}`,
		`{"text":"abcde"}`:                    `string_too_long ["text"] "abcde" {"max_length":4}`,
		`{"text":"éééé"}`:                     `value_error ["text"] "éééé" {"error":{}}`,
		`{"text":"a\u0000"}`:                  `value_error ["text"] "a\u0000" {"error":{}}`,
		`{"text":"\ud800\ud800"}`:             `string_unicode ["text"] "\ud800\ud800"`,
		`{"text":[]}`:                         `string_type ["text"] []`,
		`{"word":null}`:                       `string_type ["word"] null`,
		`{"word":"A"}`:                        `string_pattern_mismatch ["word"] "A" {"pattern":"^[a-z]+$"}`,
		`{"word":"a\n"}`:                      `string_pattern_mismatch ["word"] "a\n" {"pattern":"^[a-z]+$"}`,
		`{"enum":"b"}`:                        "",
		`{"enum":"c"}`:                        `literal_error ["enum"] "c" {"expected":"'a' or 'b'"}`,
		`{"enum":1}`:                          `literal_error ["enum"] 1 {"expected":"'a' or 'b'"}`,
		`{"only":"b"}`:                        `literal_error ["only"] "b" {"expected":"'a'"}`,
		`{"int":1,"any_int":-5}`:              "",
		`{"int":10.0}`:                        "",
		`{"int":true}`:                        "",
		`{"int":11}`:                          `less_than_equal ["int"] 11 {"le":10}`,
		`{"int":0}`:                           `greater_than_equal ["int"] 0 {"ge":1}`,
		`{"int":1.5}`:                         `int_from_float ["int"] 1.5`,
		`{"int":1e400}`:                       `finite_number ["int"] 1e400`,
		`{"any_int":9223372036854775807}`:     "",
		`{"any_int":9223372036854775808}`:     `int_parsing_size ["any_int"] 9223372036854775808`,
		`{"any_int":9.3e18}`:                  `int_parsing_size ["any_int"] 9.3e18`,
		`{"any_int":"-9223372036854775809"}`:  `int_parsing_size ["any_int"] "-9223372036854775809"`,
		`{"any_int":{}}`:                      `int_type ["any_int"] {}`,
		`{"float":1e400}`:                     "",
		`{"float":"nan"}`:                     `greater_than_equal ["float"] "nan" {"ge":0.5}`,
		`{"float":0.49}`:                      `greater_than_equal ["float"] 0.49 {"ge":0.5}`,
		`{"float":true}`:                      "",
		`{"float":"x"}`:                       `float_parsing ["float"] "x"`,
		`{"float":[]}`:                        `float_type ["float"] []`,
		`{"bool":"off"}`:                      "",
		`{"bool":3}`:                          `bool_parsing ["bool"] 3`,
		`{"bool":null}`:                       `bool_type ["bool"] null`,
		`{"list":[]}`:                         `too_short ["list"] [] {"field_type":"List","min_length":1,"actual_length":0}`,
		`{"list":[1,1,1]}`:                    `too_long ["list"] [1,1,1] {"field_type":"List","max_length":2,"actual_length":3}`,
		`{"list":[1,"?"]}`:                    `bool_parsing ["list",1] "?"`,
		`{"list":{}}`:                         `list_type ["list"] {}`,
		`{"objects":[{"id":1},{},{"id":2}]}`:  `missing ["objects",1,"id"] {}`,
		`{"objects":[5]}`:                     `model_attributes_type ["objects",0] 5`,
		`{"map":{"k":"","k2":""}}`:            "",
		`{"map":{"k":"","k2":"","k3":""}}`:    `too_long ["map"] {"k":"","k2":"","k3":""} {"field_type":"Dictionary","max_length":2,"actual_length":3}`,
		`{"map":{"x":1}}`:                     `string_pattern_mismatch ["map","x","[key]"] "x" {"pattern":"^k"}; string_type ["map","x"] 1`,
		`{"map":[]}`:                          `dict_type ["map"] []`,
		`{"free":{"a":[1]}}`:                  "",
		`{"free":{"a":[1,2]}}`:                `value_error ["free"] {"a":[1,2]} {"error":{}}`,
		`{"free":null}`:                       `dict_type ["free"] null`,
		`{"size":"1m"}`:                       "",
		`{"size":"1g"}`:                       `less_than_equal ["size"] "1g" {"le":1048576}`,
		`{"size":0}`:                          `greater_than_equal ["size"] 0 {"ge":1}`,
		`{"size":1.0}`:                        `value_error ["size"] 1.0 {"error":{}}`,
		`{"size":99999999999999999999}`:       `value_error ["size"] 99999999999999999999 {"error":{}}`,
		`{"size":true}`:                       `value_error ["size"] true {"error":{}}`,
		`{"even":3}`:                          `value_error ["even"] 3 {"error":{}}`,
		`{"even":"x"}`:                        `int_parsing ["even"] "x"`,
		`{"more":{"a":1},"text":5,"less":[]}`: `string_type ["text"] 5; extra_forbidden ["more"] {"a":1}; extra_forbidden ["less"] []`,
		`[]`:                                  `model_attributes_type [] []`,
	} {
		table := everything()
		v, wrong := Check(&table, parse(t, doc))
		var list []string
		for _, p := range wrong {
			list = append(list, shown(p))
		}
		if got := strings.Join(list, "; "); got != want {
			t.Errorf("%s\n got %s\nwant %s", doc, got, want)
		}
		if (v == nil) != (len(wrong) > 0) {
			t.Errorf("%s: both a value and problems, or neither", doc)
		}
	}
}

func TestProblemsAreBounded(t *testing.T) {
	table := everything()
	var members, items []string
	for i := range 5000 {
		members = append(members, fmt.Sprintf(`"m%d":1`, i))
		items = append(items, "{}")
	}
	for _, doc := range []string{"{" + strings.Join(members, ",") + "}", `{"objects":[` + strings.Join(items, ",") + `]}`} {
		if _, wrong := Check(&table, parse(t, doc)); len(wrong) != MaxProblems {
			t.Errorf("%.20s: %d problems", doc, len(wrong))
		}
	}
}

// What is not there answers the zero value, however deep one asks.
func TestAbsent(t *testing.T) {
	var v *Value
	if v.Has() || v.Get("a").Get("b").Has() || v.Text() != "" || v.Int() != 0 || v.Float() != 0 || v.Bool() || v.Raw() != nil || v.Items() != nil || v.Texts() != nil || v.Entries() != nil {
		t.Error("nothing is something")
	}
}

func TestCheckText(t *testing.T) {
	for text, want := range map[string]string{"5": "", "x": `int_parsing ["query","n"] "x"`, "<&>\u2028": "int_parsing [\"query\",\"n\"] \"<&>\\u2028\"", "\x00": `int_parsing ["query","n"] "\u0000"`} {
		_, wrong := CheckText(&Type{Kind: Integer}, text, "query", "n")
		if got := ""; len(wrong) > 0 {
			if got = shown(wrong[0]); got != want {
				t.Errorf("%q: %s", text, got)
			}
		} else if want != "" {
			t.Errorf("%q passed", text)
		}
	}
}

func TestJSONSchema(t *testing.T) {
	table := everything()
	got, err := json.MarshalIndent(table.JSONSchema()["properties"], "", "")
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(got, &fields); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"text":    `{"maxLength":4,"minLength":2,"type":["string","null"],"x-tako-max-bytes":6}`,
		"word":    `{"default":"x","pattern":"^[a-z]+$","type":"string"}`,
		"enum":    `{"enum":["a","b",null],"type":["string","null"]}`,
		"int":     `{"maximum":10,"minimum":1,"type":["integer","null"]}`,
		"float":   `{"minimum":0.5,"type":"number"}`,
		"list":    `{"items":{"type":"boolean"},"maxItems":2,"minItems":1,"type":"array"}`,
		"objects": `{"items":{"additionalProperties":false,"properties":{"id":{"type":"integer"}},"required":["id"],"type":"object"},"type":"array"}`,
		"map":     `{"additionalProperties":{"type":"string"},"maxProperties":2,"propertyNames":{"pattern":"^k"},"type":"object"}`,
		"free":    `{"type":"object","x-tako-max-bytes":10}`,
		"size":    `{"maximum":1048576,"minimum":1,"type":["integer","string"]}`,
	} {
		if compact := strings.ReplaceAll(strings.ReplaceAll(string(fields[name]), "\n", ""), `": `, `":`); compact != want {
			t.Errorf("%s: %s", name, compact)
		}
	}
	table.Name = "Everything" // is a reference, and still what it was
	if ref := table.JSONSchema(); len(ref) != 1 || ref["$ref"] != "#/components/schemas/Everything" || table.Drawn()["properties"] == nil {
		t.Errorf("named: %v", ref)
	}
}

// Whatever a stranger sends is taken or refused, within the bounds of the table,
// and what is taken is what was sent.
func FuzzCheck(f *testing.F) {
	for _, doc := range []string{
		`{"text":"éa","word":"x","enum":"a","only":"a","int":5,"any_int":"7_0","float":1e400,"bool":"yes","list":[true],"objects":[{"id":1}],"map":{"k":"v"},"free":{"a":1},"size":"5k","even":2}`,
		`{"text":null,"enum":null,"int":null}`, `{"int":1e999,"size":-1,"float":"-nan","bool":2.5}`, `{"objects":[{},1,null,[]]}`, `{"map":{"\ud800":"\udc00"}}`, `[]`, `null`, `"x"`, `{"a":{"b":{"c":[[[[]]]]}}}`,
	} {
		f.Add([]byte(doc))
	}
	table := everything()
	f.Fuzz(func(t *testing.T, doc []byte) {
		v, err := jsondoc.Parse(doc)
		if err != nil {
			return
		}
		in, wrong := Check(&table, v, "body")
		if (in == nil) != (len(wrong) > 0) || len(wrong) > MaxProblems {
			t.Fatalf("%d problems, value %v", len(wrong), in)
		}
		for _, p := range wrong {
			if _, err := json.Marshal(p); err != nil || p.Type == "" || p.Msg == "" || len(p.Loc) == 0 || p.Loc[0] != "body" {
				t.Fatalf("%+v: %v", p, err)
			}
		}
		if in == nil {
			return
		}
		bounds(t, in)
		again, wrong := Check(&table, parse(t, string(in.Raw())), "body")
		if len(wrong) > 0 || again.Get("any_int").Int() != in.Get("any_int").Int() {
			t.Fatalf("%s is refused after it was taken: %+v", in.Raw(), wrong)
		}
	})
}

// bounds wants values that hold against the table.
func bounds(t *testing.T, in *Value) {
	t.Helper()
	text, list, entries := in.Get("text"), in.Get("list"), in.Get("map").Entries()
	n := utf8.RuneCountInString(text.Text())
	for name, ok := range map[string]bool{
		"text":  !text.Has() || n >= 2 && n <= 4 && len(text.Text()) <= 6 && !strings.Contains(text.Text(), "\x00") && utf8.ValidString(text.Text()),
		"enum":  !in.Get("enum").Has() || slices.Contains([]string{"a", "b"}, in.Get("enum").Text()),
		"int":   !in.Get("int").Has() || in.Get("int").Int() >= 1 && in.Get("int").Int() <= 10,
		"float": !in.Get("float").Has() || in.Get("float").Float() >= 0.5,
		"list":  !list.Has() || len(list.Items()) >= 1 && len(list.Items()) <= 2,
		"map":   len(entries) <= 2,
		"free":  len(in.Get("free").Raw()) <= 10,
		"size":  !in.Get("size").Has() || in.Get("size").Int() >= 1 && in.Get("size").Int() <= 1<<20,
		"even":  in.Get("even").Int()%2 == 0,
	} {
		if !ok {
			t.Errorf("%s is out of its bounds: %s", name, in.Raw())
		}
	}
	for key := range entries {
		if !strings.HasPrefix(key, "k") {
			t.Errorf("the key %q", key)
		}
	}
}
