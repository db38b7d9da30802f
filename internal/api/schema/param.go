package schema

import "github.com/takovm/tako/internal/api/jsondoc"

// CheckText holds a query, path or header parameter against t: text that may
// stand for a number or a truth.
func CheckText(t *Type, text string, loc ...any) (*Value, []Problem) {
	v, err := jsondoc.Parse(quoted(text))
	if err != nil {
		return nil, []Problem{Invalid("it is not text", quoted(text), loc...)}
	}
	return Check(t, v, loc...)
}
