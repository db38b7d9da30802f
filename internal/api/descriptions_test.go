package api

import (
	"strings"
	"testing"

	"github.com/takovm/tako/internal/api/jsondoc"
	"github.com/takovm/tako/internal/api/schema"
)

// Who reads the document for the first time finds what everything is.
func TestOpenAPISaysWhatThingsAre(t *testing.T) {
	_, doc := document(t)
	known := described()
	for path, operations := range doc["paths"].(map[string]any) {
		for method, operation := range operations.(map[string]any) {
			op := operation.(map[string]any)
			if text, _ := op["description"].(string); len(text) < 20 || !strings.HasSuffix(text, ".") {
				t.Errorf("%s %s: the description is %q", method, path, text)
			}
			delete(known, op["operationId"].(string))
			for _, p := range append([]any{}, list(op["parameters"])...) {
				if text, _ := p.(map[string]any)["description"].(string); len(text) < 3 {
					t.Errorf("%s %s: the parameter %v has no description", method, path, p.(map[string]any)["name"])
				}
			}
			for status, answer := range op["responses"].(map[string]any) {
				if text, _ := answer.(map[string]any)["description"].(string); text == "" {
					t.Errorf("%s %s: %s is not described", method, path, status)
				}
			}
		}
	}
	for name := range known {
		t.Errorf("a description of %s, which is no operation", name)
	}
	visit("", doc, func(at string, o map[string]any) {
		properties, _ := o["properties"].(map[string]any)
		for name, p := range properties {
			if text, _ := p.(map[string]any)["description"].(string); len(text) < 3 && !strings.Contains(at, "/example") {
				t.Errorf("%s: the field %s has no description", at, name)
			}
		}
	})
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

// The examples are requests that are taken.
func TestExamplesHold(t *testing.T) {
	n := 0
	for _, r := range newRig(t).routes() {
		example := described()[r.name].example
		if (example == "") != (r.body == nil) {
			t.Errorf("%s: the example is %q", r.name, example)
		}
		if example == "" {
			continue
		}
		n++
		v, err := jsondoc.Parse([]byte(example))
		if err != nil {
			t.Fatalf("%s: %v", r.name, err)
		}
		if _, wrong := schema.Check(r.body, v, "body"); len(wrong) > 0 {
			t.Errorf("%s: %+v", r.name, wrong)
		}
	}
	if n < 5 {
		t.Errorf("%d examples", n)
	}
}
