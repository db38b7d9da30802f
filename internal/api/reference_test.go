package api

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

const referenceFile = "../../docs/API.md"

// docs/API.md is openapi.yaml for people.
func TestAPIReference(t *testing.T) {
	text := newReference(t).write()
	if *update {
		if err := os.WriteFile(referenceFile, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.ReadFile(referenceFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(file) != text {
		t.Errorf("%s is not what openapi.yaml says: go test ./internal/api -run APIReference -update", referenceFile)
	}
}

// Every link leads to a heading, and no two headings have one name.
func TestAPIReferenceLinks(t *testing.T) {
	text := newReference(t).write()
	anchors := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		if a := heading(m[1]); anchors[a] {
			t.Errorf("two headings are #%s", a)
		} else {
			anchors[a] = true
		}
	}
	links := regexp.MustCompile(`\]\(([^)]*)\)`).FindAllStringSubmatch(text, -1)
	if len(links) < 100 {
		t.Errorf("%d links", len(links))
	}
	for _, m := range links {
		if a, ok := strings.CutPrefix(m[1], "#"); !ok || !anchors[a] {
			t.Errorf("a link to %s", m[1])
		}
	}
}

// reference writes the document as Markdown.
type reference struct {
	strings.Builder
	doc     object
	schemas object
	written map[string]bool     // requests whose fields stand with an operation
	users   map[string][]string // links to what uses a schema
}

func newReference(t *testing.T) *reference {
	t.Helper()
	file, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	r := &reference{written: map[string]bool{}, users: map[string][]string{}}
	if err := yaml.Load(file, &r.doc); err != nil {
		t.Fatal(err)
	}
	r.schemas = at(r.doc, "components", "schemas")
	return r
}

// operation is one of the document.
type operation struct {
	method, path string
	object
}

func (o operation) title() string { return o.method + " " + o.path }

// operations are those of a tag, by path and method.
func (r *reference) operations(tag string) []operation {
	var list []operation
	paths := at(r.doc, "paths")
	for _, path := range sortedNames(paths) {
		for _, method := range []string{"get", "head", "post", "put", "delete"} {
			if op := at(paths, path, method); op != nil && op["tags"].([]any)[0] == tag {
				list = append(list, operation{strings.ToUpper(method), path, op})
			}
		}
	}
	return list
}

func (r *reference) line(format string, args ...any) { fmt.Fprintf(r, format+"\n", args...) }

func (r *reference) write() string {
	r.line("<!-- Drawn from internal/api/openapi.yaml. Not to be edited: go test ./internal/api -run APIReference -update -->\n")
	r.line("# The HTTP API\n\n%s\n", at(r.doc, "info")["description"])
	r.line("A server serves this at `/docs`, too, and as OpenAPI 3.1 at `/openapi.json`. Times are RFC 3339 with an offset. `null` stands for\nwhat is not known (yet); every field of an answer is always there.\n")
	r.line("| call | what it does | scope |\n|---|---|---|")
	tags, _ := r.doc["tags"].([]any)
	for _, tag := range tags {
		for _, op := range r.operations(tag.(object)["name"].(string)) {
			r.line("| [`%s`](#%s) | %s | %s |", op.title(), heading(op.title()), cell(op.object["summary"]), scope(op))
		}
	}
	for _, tag := range tags {
		name := tag.(object)["name"].(string)
		r.line("\n## %s\n\n%s", strings.ToUpper(name[:1])+name[1:], tag.(object)["description"])
		for _, op := range r.operations(name) {
			r.operation(op)
		}
	}
	r.errors()
	r.line("\n## Schemas")
	for _, name := range sortedNames(r.schemas) {
		if !r.written[name] {
			r.schema(name)
		}
	}
	return r.String()
}

func scope(op operation) string {
	if s, ok := op.object["x-tako-scope"].(string); ok {
		return "`" + s + "`"
	}
	return "none: no key"
}

func (r *reference) operation(op operation) {
	r.line("\n### %s\n\n%s.\n\n%s\n\nScope: %s.", op.title(), op.object["summary"], prose(op.object["description"]), scope(op))
	if params, _ := op.object["parameters"].([]any); len(params) > 0 {
		r.line("\n| parameter | in | type | default | what it is |\n|---|---|---|---|---|")
		for _, p := range params {
			p := p.(object)
			s := at(p, "schema")
			r.line("| `%s`%s | %s | %s | %s | %s |", p["name"], starred(p["required"] == true && p["in"] != "path"), p["in"], r.words(s), fallback(s), cell(p["description"]))
		}
	}
	r.body(op)
	r.answers(op)
}

func (r *reference) body(op operation) {
	content := at(op.object, "requestBody", "content")
	_, form := content["multipart/form-data"]
	asJSON := at(content, "application/json")
	switch {
	case asJSON != nil && form:
		r.line("\nThe body is %s as `application/json`; or `multipart/form-data` with that as the part `request`, and input files as parts\n`file`, whose filenames are their paths.", r.words(at(asJSON, "schema")))
	case asJSON != nil:
		r.line("\nThe body is %s as `application/json`.", r.words(at(asJSON, "schema")))
	case form:
		r.line("\nThe body is `multipart/form-data` with one part, `file`.")
	}
	if asJSON == nil {
		return
	}
	name := refName(at(asJSON, "schema"))
	r.use(name, op.title())
	if !r.written[name] {
		r.written[name] = true
		r.line("\n#### %s\n", name)
		r.table(at(r.schemas, name))
	}
	r.line("\nFor example:\n\n```json\n%s\n```", pretty(asJSON["example"]))
}

// answers are those with something to say here; the others are the same for all.
func (r *reference) answers(op operation) {
	r.line("\n| answer | body | when |\n|---|---|---|")
	responses := at(op.object, "responses")
	var usual []string
	for _, status := range sortedNames(responses) {
		answer := at(responses, status)
		if r.usual(status) == answer["description"] {
			usual = append(usual, status)
			continue
		}
		body := "none"
		for media, c := range at(answer, "content") {
			if s := at(c.(object), "schema"); media == "application/json" {
				body = r.words(s)
				for _, m := range regexp.MustCompile(`\[(\w+)\]`).FindAllStringSubmatch(body, -1) {
					r.use(m[1], op.title())
				}
			} else {
				body = "`" + media + "`"
			}
		}
		r.line("| %s | %s | %s |", status, body, strings.Replace(cell(answer["description"]), "Done", "done", 1))
	}
	if len(usual) > 0 {
		r.line("\n[As everywhere](#errors): %s.", strings.Join(usual, ", "))
	}
}

// usual is what a status says on most routes: /execute has all of those.
func (r *reference) usual(status string) any {
	if n, _ := strconv.Atoi(status); !slices.Contains([]int{400, 401, 403, 408, 413, 415, 422, 429, 500}, n) {
		return nil
	}
	return at(r.doc, "paths", "/execute", "post", "responses", status)["description"]
}

func (r *reference) errors() {
	r.line("\n## Errors\n\nThe body of an error is [Error](#error), or [HTTPValidationError](#httpvalidationerror) for 422. These may be answered by every call, as\nfar as it has a body or parameters:\n")
	r.line("| answer | when |\n|---|---|")
	for _, status := range sortedNames(at(r.doc, "paths", "/execute", "post", "responses")) {
		if text := r.usual(status); text != nil {
			r.line("| %s | %s |", status, cell(text))
		}
	}
}

// use notes a link from a schema to an operation.
func (r *reference) use(name, title string) {
	link := "[`" + title + "`](#" + heading(title) + ")"
	if !slices.Contains(r.users[name], link) {
		r.users[name] = append(r.users[name], link)
	}
}

func (r *reference) schema(name string) {
	r.line("\n### %s\n", name)
	users := r.users[name]
	for _, other := range sortedNames(r.schemas) {
		if other != name && refersTo(r.schemas[other], name) {
			users = append(users, "["+other+"](#"+heading(other)+")")
		}
	}
	if name == "Error" || name == "HTTPValidationError" {
		users = []string{"[errors](#errors)"}
	}
	r.line("Of %s.\n", strings.Join(users, ", "))
	r.table(at(r.schemas, name))
}
