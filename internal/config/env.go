package config

import "strings"

// applyEnv overrides what the file said. An empty variable is an unset one:
// that is what compose files make of a missing value.
func (c *Config) applyEnv(lookup func(string) (string, bool)) Problems {
	var found Problems
	for _, r := range configRows() {
		if r.env == "" {
			continue
		}
		text, _ := lookup(r.env)
		if text == "" {
			continue
		}
		wrong := r.put("", fromEnv(value(r.at(c)), text), c)
		for i := range wrong {
			wrong[i].Msg += " (in " + r.env + ")"
		}
		found = append(found, wrong...)
		c.sources[r.name] = r.env
	}
	for _, ignored := range ignoredEnv() {
		if text, _ := lookup(ignored.name); text != "" {
			c.notes = append(c.notes, ignored.name+" has no effect: "+ignored.why)
		}
	}
	return found
}

// fromEnv gives a variable's text the YAML type that a key of current's type
// is decoded from.
func fromEnv(current any, text string) any {
	switch current.(type) {
	case bool:
		// Exactly these words are true; the rest is false, as it always was.
		switch strings.ToLower(strings.TrimSpace(text)) {
		case "true", "1", "yes":
			return true
		}
		return false
	case []string, []Secret:
		items := []any{}
		for item := range strings.SplitSeq(text, ",") {
			if item = strings.TrimSpace(item); item != "" {
				items = append(items, item)
			}
		}
		return items
	}
	return strings.TrimSpace(text)
}

type ignored struct{ name, why string }

// ignoredEnv lists variables of Tako VM that tako does not need.
func ignoredEnv() []ignored {
	return []ignored{
		{"TAKO_VM_WORKSPACE", "jobs have no directory on the host"},
		{"TAKO_VM_AUTO_START_LOCAL_POSTGRES", "no database server is started"},
	}
}

// flatKeys lists the keys of a decoded file by their dotted names.
func flatKeys(tree map[string]any) []string {
	var keys []string
	for key, v := range tree {
		inner, ok := v.(map[string]any)
		if !ok {
			keys = append(keys, key)
			continue
		}
		for name := range inner {
			keys = append(keys, key+"."+name)
		}
	}
	return keys
}
