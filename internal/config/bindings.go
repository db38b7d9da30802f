package config

import (
	"fmt"
	"maps"
	"slices"

	"github.com/takovm/tako/internal/job"
)

// maxBindings is how many a job type may have.
const maxBindings = 32

// assignBindings decodes the secrets of a job type.
func assignBindings(field string, to *[]job.SecretBinding, in any) Problems {
	items, ok := in.([]any)
	if !ok {
		return wrongType(field, "a list", in)
	}
	var found Problems
	list := make([]job.SecretBinding, len(items))
	for i, item := range items {
		name := fmt.Sprintf("%s[%d]", field, i)
		tree, ok := item.(map[string]any)
		if !ok {
			found = append(found, wrongType(name, "a mapping of name, host and header", item)...)
			continue
		}
		parts := map[string]*string{"name": &list[i].Name, "host": &list[i].Host, "header": &list[i].Header}
		for _, key := range slices.Sorted(maps.Keys(tree)) {
			switch part, known := parts[key]; {
			case !known:
				found = append(found, unknownKey(name+".", key, slices.Sorted(maps.Keys(parts)))...)
			case tree[key] != nil:
				found = append(found, assign(name+"."+key, part, tree[key])...)
			}
		}
	}
	*to = list
	return found
}

// bindings takes what job.SecretBinding.Problem has nothing against.
func bindings() rule {
	return rule{"at most 32, each with the name of a variable, a host such as api.example.com, and a header (default Authorization)", func(v any) string {
		list, _ := v.([]job.SecretBinding)
		if len(list) > maxBindings {
			return "must have at most 32 items"
		}
		for i, b := range list {
			if field, msg := b.Problem(); msg != "" {
				return fmt.Sprintf("item %d: %s %s", i+1, field, msg)
			}
			if slices.ContainsFunc(list[:i], func(o job.SecretBinding) bool { return o.Name == b.Name && same(o, b) }) {
				return fmt.Sprintf("item %d is there twice", i+1)
			}
		}
		return ""
	}}
}

func same(a, b job.SecretBinding) bool {
	host, port := a.Target()
	other, otherPort := b.Target()
	return host == other && port == otherPort && a.Field() == b.Field()
}

// checkSecrets holds secrets against what else the type says.
func (t JobType) checkSecrets(field string) Problems {
	if len(t.Secrets) > 0 && !t.Policy().Open() {
		return problem(field, "are of no use without a network; set network.mode, and allow their hosts")
	}
	for _, b := range t.Secrets {
		if _, ok := t.Environment[b.Name]; ok {
			return problem(field, "have %s, which is also a variable of environment; leave one of them out", b.Name)
		}
	}
	return nil
}
