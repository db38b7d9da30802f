package config

import (
	"errors"
	"regexp"
	"strings"
	"sync"

	"go.yaml.in/yaml/v4"
)

// maxFileBytes bounds a configuration file: 1 MiB is a thousand job types.
const maxFileBytes = 1 << 20

// parseYAML reads one mapping. The problem tells the line, never the text that
// is there.
func parseYAML(data []byte) (map[string]any, Problems) {
	if len(data) > maxFileBytes {
		return nil, problem("", "the file is over 1 MiB")
	}
	var root any
	err := yaml.Load(data, &root, yaml.WithUniqueKeys())
	if noDocument(err) {
		return nil, nil
	}
	if err != nil {
		return nil, yamlProblems(err)
	}
	switch tree := root.(type) {
	case nil: // only comments, or null
		return nil, nil
	case map[string]any:
		return tree, nil
	}
	return nil, problem("", "the file must be a mapping of keys to values, not %s", typeName(root))
}

// noDocument reports a file that is empty or holds only comments.
func noDocument(err error) bool {
	var several *yaml.LoadErrors
	return errors.As(err, &several) && len(several.Errors) == 1 &&
		strings.Contains(several.Errors[0].Message, "no documents in stream")
}

func yamlProblems(err error) Problems {
	list := []*yaml.LoadError{}
	var several *yaml.LoadErrors
	var one *yaml.LoadError
	switch {
	case errors.As(err, &several):
		list = several.Errors
	case errors.As(err, &one):
		list = append(list, one)
	}
	var found Problems
	for _, e := range list {
		found = append(found, yamlProblem(e)...)
	}
	if len(found) == 0 {
		return problem("", "not valid YAML")
	}
	return found
}

// quoted is text that the YAML library repeats from the file.
var quoted = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile("(?s)'.*'|`.*`|\".*\"") })

func yamlProblem(e *yaml.LoadError) Problems {
	msg := e.Message
	if _, rest, ok := strings.Cut(msg, "mapping key \""); ok && strings.Contains(rest, "already defined") {
		key, _, _ := strings.Cut(rest, "\"")
		if !plainName().MatchString(key) {
			key = ""
		}
		return problem(key, "given twice, the second time in line %d", e.Mark.Line)
	}
	switch {
	case strings.Contains(msg, "found multiple"):
		return problem("", "the file must be one YAML document")
	}
	msg = quoted().ReplaceAllString(msg, "***")
	if e.Mark.Line > 0 {
		return problem("", "not valid YAML in line %d: %s", e.Mark.Line, msg)
	}
	return problem("", "not valid YAML: %s", msg)
}
