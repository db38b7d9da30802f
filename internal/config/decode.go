package config

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/takovm/tako/internal/job"
)

// decode fills into from a YAML mapping. A key with a problem keeps its
// default, so that later checks do not report it a second time.
func decode[T any](rows []row[T], prefix string, tree map[string]any, into *T) Problems {
	byName := map[string]row[T]{}
	groups := map[string]bool{}
	for _, r := range rows {
		byName[r.name] = r
		groups[r.group()] = true
	}
	delete(groups, "")
	flat, found := flatten(tree, groups, prefix)
	for _, name := range slices.Sorted(maps.Keys(flat)) {
		r, ok := byName[name]
		if !ok {
			found = append(found, unknownKey(prefix, name, names(rows))...)
			continue
		}
		found = append(found, r.put(prefix, flat[name], into)...)
	}
	return found
}

func (r row[T]) put(prefix string, in any, into *T) Problems {
	field := prefix + r.name
	if in == nil {
		if r.nullable {
			return nil
		}
		return problem(field, "has no value; give one or remove the key")
	}
	if r.raw.check != nil {
		if msg := r.raw.check(in); msg != "" {
			return problem(field, "%s", msg)
		}
	}
	if s, ok := in.(string); ok && r.fold != nil {
		in = r.fold(s)
	}
	return assign(field, r.at(into), in)
}

// flatten gives the keys of nested mappings their dotted names.
func flatten(tree map[string]any, groups map[string]bool, prefix string) (map[string]any, Problems) {
	flat := map[string]any{}
	var found Problems
	for _, key := range slices.Sorted(maps.Keys(tree)) {
		switch inner := tree[key].(type) {
		case map[string]any:
			if !groups[key] {
				flat[key] = inner
				continue
			}
			for name, v := range inner {
				flat[key+"."+name] = v
			}
		default:
			switch {
			case groups[key] && inner == nil: // "gpu:" without anything is no gpu
			case groups[key]:
				found = append(found, wrongType(prefix+key, "a mapping", inner)...)
			case strings.Contains(key, "."): // not another way to write a nested key
				found = append(found, problem(strings.TrimSuffix(prefix, "."), "a key with a dot; nested keys are indented")...)
			default:
				flat[key] = inner
			}
		}
	}
	return flat, found
}

// assign puts a value of YAML's types, or the text of an environment variable,
// where to points. Text is taken for numbers and booleans, because it always
// was.
func assign(field string, to, in any) Problems {
	switch to := to.(type) {
	case *bool:
		return set(field, to, "a boolean", in, toBool)
	case *int:
		return set(field, to, wholeNumber, in, func(in any) (int, bool) {
			n, ok := toInt(in)
			return int(n), ok
		})
	case **int:
		n := new(int)
		*to = n
		return assign(field, n, in)
	case *int64:
		return set(field, to, wholeNumber, in, toInt)
	case *float64:
		return set(field, to, "a number", in, toFloat)
	case *string:
		return set(field, to, "text (quote it if it looks like a number)", in, toText)
	case *Secret:
		return set(field, (*string)(to), "text", in, toText)
	case *Size:
		return assignSize(field, to, in)
	case *[]string:
		return assignList(field, to, in)
	case *[]Secret:
		return assignList(field, to, in)
	case *map[string]string:
		return assignMap(field, to, in)
	case *[]job.SecretBinding:
		return assignBindings(field, to, in)
	case *[]JobType:
		return assignJobTypes(field, to, in)
	}
	panic(fmt.Sprintf("config: the table points %s at a %T", field, to))
}

const wholeNumber = "a whole number"

func set[V any](field string, to *V, want string, in any, convert func(any) (V, bool)) Problems {
	v, ok := convert(in)
	if !ok {
		return wrongType(field, want, in)
	}
	*to = v
	return nil
}

func wrongType(field, want string, in any) Problems {
	is := typeName(in)
	if _, ok := in.(float64); ok && want == wholeNumber {
		is = "a fraction or a number that is too large"
	}
	return problem(field, "must be %s, not %s", want, is)
}

func typeName(in any) string {
	switch in := in.(type) {
	case nil:
		return "nothing"
	case bool:
		return "a boolean"
	case int, int64, uint64, float64:
		return "a number"
	case string:
		if strings.Contains(in, "\x00") {
			return "text with a NUL"
		}
		return "text"
	case []any:
		return "a list"
	case map[string]any:
		return "a mapping"
	}
	return "another type"
}

// toBool takes YAML's booleans and the words that YAML 1.1 and Tako VM took.
func toBool(in any) (v, ok bool) {
	switch in := in.(type) {
	case bool:
		return in, true
	case int:
		return in == 1, in == 0 || in == 1
	case string:
		switch strings.ToLower(in) {
		case "true", "yes", "on", "1", "y", "t":
			return true, true
		case "false", "no", "off", "0", "n", "f":
			return false, true
		}
	}
	return false, false
}

func toInt(in any) (int64, bool) {
	switch in := in.(type) {
	case int:
		return int64(in), true
	case int64:
		return in, true
	case float64:
		// 2^53 is where a float stops naming every whole number.
		return int64(in), in == math.Trunc(in) && math.Abs(in) <= 1<<53
	case string:
		n, err := strconv.ParseInt(strings.TrimSpace(in), 10, 64)
		return n, err == nil
	}
	return 0, false
}

func toFloat(in any) (float64, bool) {
	switch in := in.(type) {
	case int:
		return float64(in), true
	case int64:
		return float64(in), true
	case float64:
		return in, true
	case string:
		f, err := strconv.ParseFloat(strings.TrimSpace(in), 64)
		return f, err == nil
	}
	return 0, false
}

func toText(in any) (string, bool) {
	s, ok := in.(string)
	return s, ok && !strings.Contains(s, "\x00")
}

func assignSize(field string, to *Size, in any) Problems {
	if n, ok := in.(int); ok {
		*to = Size(n)
		return nil
	}
	text, ok := in.(string)
	if !ok {
		return wrongType(field, "a size such as 100m", in)
	}
	n, msg := parseSize(text)
	if msg != "" {
		return problem(field, "is not a size: %s", msg)
	}
	*to = Size(n)
	return nil
}

func assignList[S ~string](field string, to *[]S, in any) Problems {
	items, ok := in.([]any)
	if !ok {
		return wrongType(field, "a list", in)
	}
	list := make([]S, 0, len(items))
	for i, item := range items {
		text, ok := toText(item)
		if !ok {
			return problem(field, "item %d must be text, not %s", i+1, typeName(item))
		}
		list = append(list, S(strings.TrimSpace(text)))
	}
	*to = list
	return nil
}

func assignMap(field string, to *map[string]string, in any) Problems {
	tree, ok := in.(map[string]any)
	if !ok {
		return wrongType(field, "a mapping", in)
	}
	env := make(map[string]string, len(tree))
	for name, v := range tree {
		text, ok := v.(string)
		if !ok {
			return problem(field, "every value must be text (quote numbers and booleans), one is %s", typeName(v))
		}
		env[name] = text
	}
	*to = env
	return nil
}
