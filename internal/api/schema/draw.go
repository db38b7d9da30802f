package schema

import "math"

// JSONSchema is the table as a schema of JSON Schema 2020-12, or a reference to
// the one of its name.
func (t *Type) JSONSchema() map[string]any {
	if t.Name != "" {
		return map[string]any{"$ref": "#/components/schemas/" + t.Name}
	}
	return t.Drawn()
}

// Drawn is the schema itself.
func (t *Type) Drawn() map[string]any {
	s := map[string]any{}
	if t.Doc != "" {
		s["description"] = t.Doc
	}
	if t.Default != nil {
		s["default"] = t.Default
	}
	if t.Format != "" {
		s["format"] = t.Format
	}
	if t.MaxBytes > 0 {
		s["x-tako-max-bytes"] = t.MaxBytes // JSON Schema counts characters only
	}
	kind := t.draw(s)
	if t.Null {
		if list, ok := s["enum"].([]any); ok {
			s["enum"] = append(list, nil)
		}
		kind = append(kind, "null")
	}
	if len(kind) == 1 {
		s["type"] = kind[0]
	} else {
		s["type"] = kind
	}
	return s
}

// draw adds what is particular to the kind, and answers the types that it has.
func (t *Type) draw(s map[string]any) []any {
	switch t.Kind {
	case Integer:
		t.drawRange(s)
		return []any{"integer"}
	case Size:
		t.drawRange(s)
		return []any{"integer", "string"}
	case Float:
		t.drawRange(s)
		return []any{"number"}
	case Bool:
		return []any{"boolean"}
	case List:
		s["items"] = t.Items.JSONSchema()
		t.drawLength(s, "minItems", "maxItems")
		return []any{"array"}
	case Object:
		t.drawFields(s)
		return []any{"object"}
	case Map:
		s["additionalProperties"] = t.Items.JSONSchema()
		if t.Keys != nil {
			s["propertyNames"] = map[string]any{"pattern": t.Keys.String()}
		}
		t.drawLength(s, "minProperties", "maxProperties")
		return []any{"object"}
	case Free:
		return []any{"object"}
	}
	t.drawLength(s, "minLength", "maxLength")
	if t.Pattern != nil {
		s["pattern"] = t.Pattern.String()
	}
	if len(t.Enum) > 0 {
		var list []any
		for _, e := range t.Enum {
			list = append(list, e)
		}
		s["enum"] = list
	}
	return []any{"string"}
}

func (t *Type) drawRange(s map[string]any) {
	if !t.Bounded {
		return
	}
	s["minimum"] = t.Min
	if !math.IsInf(t.Max, 1) {
		s["maximum"] = t.Max
	}
}

func (t *Type) drawLength(s map[string]any, least, most string) {
	if t.MinLen > 0 {
		s[least] = t.MinLen
	}
	if t.MaxLen > 0 {
		s[most] = t.MaxLen
	}
}

func (t *Type) drawFields(s map[string]any) {
	properties, required := map[string]any{}, []any{}
	for i := range t.Fields {
		f := &t.Fields[i]
		properties[f.Name] = f.JSONSchema()
		if f.Required {
			required = append(required, f.Name)
		}
	}
	s["properties"], s["additionalProperties"] = properties, false
	if len(required) > 0 {
		s["required"] = required
	}
}
