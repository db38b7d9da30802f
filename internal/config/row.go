package config

import (
	"fmt"
	"strings"

	"github.com/takovm/tako/internal/job"
)

// row is one key: everything that is known of it, in one place.
type row[T any] struct {
	name     string
	env      string // the variable that overrides the file; empty where there is none
	def      any    // in YAML's types; nil is the zero value
	defDoc   string // what the docs say where def does not
	rule     rule   // on the value, after case was folded
	raw      rule   // on the value as written, before it is decoded
	fold     func(string) string
	nullable bool // null is the default, not an error
	notYet   bool // validated, and without effect today
	doc      string
	show     func(v any) any // what may be seen of a value; nil shows it all
	at       func(*T) any    // the pointer to the value
}

// group is the part of a dotted name before the dot: the mapping that holds
// the key in YAML.
func (r row[T]) group() string {
	group, _, nested := strings.Cut(r.name, ".")
	if !nested {
		return ""
	}
	return group
}

func names[T any](rows []row[T]) []string {
	list := make([]string, len(rows))
	for i, r := range rows {
		list[i] = r.name
	}
	return list
}

func setDefaults[T any](rows []row[T], into *T) {
	for _, r := range rows {
		if r.def != nil {
			assign(r.name, r.at(into), r.def)
		}
	}
}

// check applies every row's rule to what into holds.
func check[T any](rows []row[T], prefix string, into *T) Problems {
	var found Problems
	for _, r := range rows {
		if r.rule.check == nil {
			continue
		}
		if msg := r.rule.check(value(r.at(into))); msg != "" {
			found = append(found, Problem{prefix + r.name, msg})
		}
	}
	return found
}

// shown answers what may be seen of every value, by key.
func shown[T any](rows []row[T], of *T) []Entry {
	entries := make([]Entry, len(rows))
	for i, r := range rows {
		v := value(r.at(of))
		if !r.nullable {
			v = notNil(v)
		}
		if r.show != nil {
			v = r.show(v)
		}
		entries[i] = Entry{Key: r.name, Value: v}
	}
	return entries
}

// notNil is a list or map that JSON does not show as null.
func notNil(v any) any {
	switch p := v.(type) {
	case []string:
		return append([]string{}, p...)
	case []Secret:
		return append([]Secret{}, p...)
	case []JobType:
		return append([]JobType{}, p...)
	case []job.SecretBinding:
		return append([]job.SecretBinding{}, p...)
	case map[string]string:
		if p == nil {
			return map[string]string{}
		}
	}
	return v
}

// nest gives dotted names the shape they have in YAML.
func nest(entries []Entry) map[string]any {
	tree := map[string]any{}
	for _, e := range entries {
		group, key, nested := strings.Cut(e.Key, ".")
		if !nested {
			tree[e.Key] = e.Value
			continue
		}
		if tree[group] == nil {
			tree[group] = map[string]any{}
		}
		tree[group].(map[string]any)[key] = e.Value
	}
	return tree
}

// Entry is a key with the value in force, secrets masked.
type Entry struct {
	Key    string
	Value  any
	Source string // see Config.Source
}

// Entries lists every key in the order of the docs.
func (c Config) Entries() []Entry {
	entries := shown(configRows(), &c)
	for i := range entries {
		entries[i].Source = c.Source(entries[i].Key)
	}
	return entries
}

// Key describes a key for docs and commands.
type Key struct {
	Name    string // "container_limits.fsize", "job_types[].timeout"
	Env     string // empty where no variable overrides it
	Default string
	Rule    string // empty where the type says it all
	Doc     string // what it does, with units
	NotYet  bool   // validated, and without effect today
}

// Keys lists every key there is.
func Keys() []Key {
	return append(describe(configRows(), ""), describe(jobTypeRows(), "job_types[].")...)
}

func describe[T any](rows []row[T], prefix string) []Key {
	list := make([]Key, len(rows))
	for i, r := range rows {
		k := Key{Name: prefix + r.name, Env: r.env, Default: r.defDoc, Rule: r.rule.text, Doc: r.doc, NotYet: r.notYet}
		if r.def != nil {
			k.Default = fmt.Sprint(r.def)
		}
		list[i] = k
	}
	return list
}

// value reads what a row points at.
func value(at any) any {
	switch p := at.(type) {
	case *bool:
		return *p
	case *int:
		return *p
	case **int:
		return *p
	case *int64:
		return *p
	case *float64:
		return *p
	case *string:
		return *p
	case *Secret:
		return *p
	case *Size:
		return *p
	case *[]string:
		return *p
	case *[]Secret:
		return *p
	case *map[string]string:
		return *p
	case *[]job.SecretBinding:
		return *p
	case *[]JobType:
		return *p
	}
	panic(fmt.Sprintf("config: the table points at a %T", at))
}
