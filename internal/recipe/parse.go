package recipe

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/job"
)

// maxBytes bounds a recipe.
const maxBytes = 1 << 20

// Parse reads a recipe: YAML with the keys of doc.go and no others. shown is the
// file's name, for errors. Its error is job.KindInvalid and says, with lines, all
// that is wrong. Whether sources are there it does not look.
func Parse(shown string, data []byte) (*Recipe, error) {
	p := &parser{recipe: &Recipe{Shown: shown}}
	root, err := p.load(data)
	if err != nil {
		return nil, err
	}
	p.mapping(root, "the recipe", map[string]func(*yaml.Node){
		"name":         func(n *yaml.Node) { p.check(n, &p.recipe.Name, nameProblem) },
		"base":         func(n *yaml.Node) { p.check(n, &p.recipe.Base, referenceProblem) },
		"requirements": p.requirements,
		"files":        p.files,
		"env":          p.env,
		"workdir":      func(n *yaml.Node) { p.check(n, &p.recipe.WorkingDir, workdirProblem) },
		"user":         func(n *yaml.Node) { p.check(n, &p.recipe.User, userProblem) },
	})
	if len(p.found) > 0 {
		return nil, job.Errorf(job.KindInvalid, "%s, %s", shown, strings.Join(p.found, "; "))
	}
	return p.recipe, nil
}

// parser collects what is wrong.
type parser struct {
	recipe *Recipe
	found  []string
}

func (p *parser) problem(n *yaml.Node, format string, args ...any) {
	p.found = append(p.found, fmt.Sprintf("line %d: ", n.Line)+fmt.Sprintf(format, args...))
}

// load answers the mapping that a recipe is.
func (p *parser) load(data []byte) (*yaml.Node, error) {
	if len(data) > maxBytes {
		return nil, job.Errorf(job.KindInvalid, "%s is over 1 MiB: it is no recipe", p.recipe.Shown)
	}
	var document yaml.Node
	err := yaml.Load(data, &document)
	if err == nil && document.Kind == yaml.DocumentNode && len(document.Content) == 1 && document.Content[0].Kind == yaml.MappingNode {
		return document.Content[0], nil
	}
	var one *yaml.LoadError
	var several *yaml.LoadErrors
	switch {
	case errors.As(err, &several) && len(several.Errors) > 0:
		one = several.Errors[0]
	case !errors.As(err, &one):
		return nil, job.Errorf(job.KindInvalid, "%s must be a mapping of keys to values", p.recipe.Shown).WithHint("see `tako env build --help`")
	}
	switch {
	case strings.Contains(one.Message, "no documents"):
		return nil, job.Errorf(job.KindInvalid, "%s is empty", p.recipe.Shown).WithHint("see `tako env build --help`")
	case one.Mark.Line == 0:
		return nil, job.Errorf(job.KindInvalid, "%s is no recipe: %s", p.recipe.Shown, one.Message)
	}
	return nil, job.Errorf(job.KindInvalid, "%s, line %d: not valid YAML: %s", p.recipe.Shown, one.Mark.Line, one.Message)
}

// mapping hands the values of a mapping to whom its keys belong.
func (p *parser) mapping(n *yaml.Node, what string, keys map[string]func(*yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		p.problem(n, "%s must be a mapping, not %s", what, kindOf(n))
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		take, known := keys[key.Value]
		switch {
		case key.Kind != yaml.ScalarNode || !known:
			p.unknown(key, keys)
		case seen[key.Value]:
			p.problem(key, "%s is given twice", key.Value)
		case value.Tag == "!!null":
			p.problem(key, "%s has no value; give one or remove the key", key.Value)
		default:
			seen[key.Value] = true
			take(value)
		}
	}
}

func (p *parser) unknown(key *yaml.Node, keys map[string]func(*yaml.Node)) {
	var names []string
	for name := range keys {
		names = append(names, name)
	}
	slices.Sort(names)
	if near := config.Nearest(key.Value, names); near != "" {
		p.problem(key, "unknown key %.64q; did you mean %s?", key.Value, near)
		return
	}
	p.problem(key, "unknown key %.64q; there are %s", key.Value, strings.Join(names, ", "))
}

// text is a value that is text; what looks like a number is to be quoted, so that
// 1.10 stays 1.10.
func (p *parser) text(n *yaml.Node) (string, bool) {
	switch {
	case n.Kind != yaml.ScalarNode || n.Tag != "!!str":
		p.problem(n, "must be text, not %s", kindOf(n))
	case strings.ContainsRune(n.Value, 0):
		p.problem(n, "holds a NUL")
	default:
		return n.Value, true
	}
	return "", false
}

// check takes a text that has no problem.
func (p *parser) check(n *yaml.Node, to *string, problem func(string) string) {
	text, ok := p.text(n)
	if !ok {
		return
	}
	if msg := problem(text); msg != "" {
		p.problem(n, "%s", msg)
		return
	}
	*to = text
}

func (p *parser) list(n *yaml.Node, what string, each func(*yaml.Node)) {
	if n.Kind != yaml.SequenceNode {
		p.problem(n, "%s must be a list, not %s", what, kindOf(n))
		return
	}
	for _, item := range n.Content {
		each(item)
	}
}

func (p *parser) requirements(n *yaml.Node) {
	p.list(n, "requirements", func(item *yaml.Node) {
		var text string
		if p.check(item, &text, requirementProblem); text != "" {
			p.recipe.Requirements = append(p.recipe.Requirements, text)
		}
	})
	if msg := requirementsProblem(p.recipe.Requirements); msg != "" {
		p.problem(n, "%s", msg)
	}
}

func (p *parser) files(n *yaml.Node) {
	p.list(n, "files", func(item *yaml.Node) {
		f := File{line: item.Line}
		before := len(p.found)
		p.mapping(item, "an item of files", map[string]func(*yaml.Node){
			"source": func(n *yaml.Node) { p.check(n, &f.Source, sourceProblem) },
			"path":   func(n *yaml.Node) { p.check(n, &f.Path, pathProblem) },
			"mode":   func(n *yaml.Node) { p.mode(n, &f) },
		})
		switch {
		case len(p.found) > before:
		case f.Source == "":
			p.problem(item, "source is missing: what is to be copied")
		case f.Path == "":
			p.problem(item, "path is missing: where it is to be in the image")
		}
		p.recipe.Files = append(p.recipe.Files, f)
	})
	if len(p.recipe.Files) > maxFiles {
		p.problem(n, "files has %d items: it may have %d; a directory is copied whole", len(p.recipe.Files), maxFiles)
	}
}

func (p *parser) mode(n *yaml.Node, f *File) {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" {
		p.problem(n, `mode must be text, in quotes: "0755"`)
		return
	}
	mode, msg := parseMode(n.Value)
	if msg != "" {
		p.problem(n, "%s", msg)
	}
	f.Mode = mode
}

func (p *parser) env(n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		p.problem(n, "env must be a mapping, not %s", kindOf(n))
		return
	}
	names := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i].Value, n.Content[i+1]
		if value.Kind != yaml.ScalarNode || value.Tag != "!!str" {
			p.problem(value, "the variable %.64q must be text (quote numbers and booleans), not %s", name, kindOf(value))
			continue
		}
		switch msg := variableProblem(name, value.Value); {
		case msg != "":
			p.problem(n.Content[i], "%s", msg)
		case names[name]:
			p.problem(n.Content[i], "the variable %s is given twice", name)
		}
		names[name] = true
		p.recipe.Env = append(p.recipe.Env, name+"="+value.Value)
	}
	slices.Sort(p.recipe.Env)
}

// kindOf says what a value is.
func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias, which recipes have not"
	}
	switch n.Tag {
	case "!!int", "!!float":
		return "a number (quote it if it is text)"
	case "!!bool":
		return "a boolean (quote it if it is text)"
	case "!!null":
		return "nothing"
	case "!!str":
		return "text"
	}
	return "another type"
}
