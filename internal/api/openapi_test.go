package api

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"html"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

var update = flag.Bool("update", false, "write openapi.yaml again")

// document is what the server serves.
func document(tb testing.TB) (raw []byte, doc map[string]any) {
	tb.Helper()
	raw = newRig(tb, withMCP).expect(http.StatusOK, "GET", "/openapi.json", "").Body.Bytes()
	if err := json.Unmarshal(raw, &doc); err != nil {
		tb.Fatal(err)
	}
	return raw, doc
}

// openapi.yaml is the document for people who read the repository, and for
// whoever generates a client. It says what the server says.
func TestOpenAPIFile(t *testing.T) {
	const name = "openapi.yaml"
	raw, doc := document(t)
	if *update {
		text, err := yaml.Dump(whole(doc), yaml.WithV4Defaults(), yaml.WithLineWidth(-1))
		if err != nil {
			t.Fatal(err)
		}
		head := "# The HTTP API of tako, drawn from internal/api/routes.go and its tables.\n# Not to be edited: go test ./internal/api -run OpenAPIFile -update\n"
		if err := os.WriteFile(name, append([]byte(head), text...), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var read any
	if err := yaml.Load(file, &read); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(read)
	if err != nil {
		t.Fatal(err)
	}
	if !sameJSON(t, again, canonical(t, raw)) {
		t.Errorf("%s is not what the server serves: go test ./internal/api -run OpenAPIFile -update", name)
	}
}

// canonical is a document whose numbers are written as Go's JSON writes them.
func canonical(t *testing.T, raw []byte) []byte {
	t.Helper()
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return again
}

// whole makes integers of whole numbers, which are then written without an
// exponent.
func whole(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name := range v {
			v[name] = whole(v[name])
		}
	case []any:
		for i := range v {
			v[i] = whole(v[i])
		}
	case float64:
		if v == float64(int64(v)) {
			return int64(v)
		}
	}
	return v
}

// visit calls f with every object of a document.
func visit(at string, v any, f func(at string, o map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		f(at, v)
		for name, member := range v {
			visit(at+"/"+name, member, f)
		}
	case []any:
		for i, item := range v {
			visit(at+"/"+strconv.Itoa(i), item, f)
		}
	}
}

func TestOpenAPIHoldsTogether(t *testing.T) {
	_, doc := document(t)
	schemas := doc["components"].(map[string]any)["schemas"].(map[string]any)
	used := map[string]bool{}
	visit("", doc, func(at string, o map[string]any) {
		if ref, ok := o["$ref"].(string); ok {
			name := strings.TrimPrefix(ref, "#/components/schemas/")
			used[name] = true
			if schemas[name] == nil || len(o) > 2 { // a description may stand beside it
				t.Errorf("%s refers to %s", at, ref)
			}
		}
		properties, _ := o["properties"].(map[string]any)
		required, _ := o["required"].([]any)
		for _, name := range required {
			if properties[name.(string)] == nil {
				t.Errorf("%s requires %s, which it has not", at, name)
			}
		}
		if pattern, ok := o["pattern"].(string); ok {
			if _, err := regexp.Compile(pattern); err != nil {
				t.Errorf("%s: %v", at, err)
			}
		}
	})
	for name := range schemas {
		if !used[name] {
			t.Errorf("nothing uses the schema %s", name)
		}
	}
	ids := map[string]bool{}
	for path, operations := range doc["paths"].(map[string]any) {
		for method, operation := range operations.(map[string]any) {
			op := operation.(map[string]any)
			id := op["operationId"].(string)
			if ids[id] || id == "" || op["summary"] == "" || op["tags"].([]any)[0] == "" {
				t.Errorf("%s %s: %v", method, path, op)
			}
			ids[id] = true
			for _, m := range regexp.MustCompile(`\{(\w+)\}`).FindAllStringSubmatch(path, -1) {
				named := func(p any) bool { return p.(map[string]any)["name"] == m[1] && p.(map[string]any)["in"] == "path" }
				if list, _ := op["parameters"].([]any); !slices.ContainsFunc(list, named) {
					t.Errorf("%s %s does not tell of %s", method, path, m[1])
				}
			}
		}
	}
	routes := 0
	for _, r := range newRig(t, withMCP).routes() {
		if !r.hidden {
			routes++
			path := doc["paths"].(map[string]any)[strings.ReplaceAll(r.pattern, "...}", "}")]
			if path == nil || path.(map[string]any)[strings.ToLower(r.method)] == nil {
				t.Errorf("%s %s is not in the document", r.method, r.pattern)
			}
		}
	}
	if routes != len(ids) {
		t.Errorf("%d routes, %d operations", routes, len(ids))
	}
}

// documented reports a status that the document has for a route, or that is of
// requests which are wrong on any: other web pages, bodies that nobody wants.
func documented(r *route, status int) bool {
	switch status {
	case http.StatusForbidden, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType:
		return true
	}
	_, ok := (&drawing{schemas: object{}}).responses(r)[strconv.Itoa(status)]
	return ok
}

func TestDocsPage(t *testing.T) {
	for _, path := range []string{"/docs", "/redoc"} {
		g := newRig(t, func(o *Options) { o.Version = `1.0 <&">` })
		w := g.expect(http.StatusOK, "GET", path, "")
		page := w.Body.String()
		if w.Header().Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("%v", w.Header())
		}
		for _, r := range g.routes() {
			pattern := html.EscapeString(strings.ReplaceAll(r.pattern, "...}", "}"))
			row := `<b class="` + strings.ToLower(r.method) + `">` + r.method + `</b> <code>` + pattern + `</code>`
			if !r.hidden && (!strings.Contains(page, row) || !strings.Contains(page, html.EscapeString(r.summary))) {
				t.Errorf("%s %s is not on the page", r.method, r.pattern)
			}
		}
		if !strings.Contains(page, "Version 1.0 &lt;&amp;&#34;&gt;.") {
			t.Error("the version is not there")
		}
		checkPolicy(t, w.Header().Get("Content-Security-Policy"), page)
		checkLinks(t, page)
		checkHTML(t, page)
	}
}

// checkPolicy wants a page that nothing can add to: no script, no other host, and
// the style by its digest.
func checkPolicy(t *testing.T, policy, page string) {
	t.Helper()
	if !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-") || strings.Contains(policy, "unsafe") || strings.Contains(policy, "script") || strings.Contains(policy, "*") {
		t.Errorf("the policy is %s", policy)
	}
	if !strings.Contains(page, "<style>"+docsStyle+"</style>") {
		t.Error("the style is not the one that the policy allows")
	}
	if strings.Contains(page, "<script") || strings.Contains(page, "style=") || regexp.MustCompile(`\son\w+=`).MatchString(page) {
		t.Error("the page has what its policy forbids")
	}
}

// checkLinks wants links to this page and this server only.
func checkLinks(t *testing.T, page string) {
	t.Helper()
	if strings.Contains(page, "://") || strings.Contains(docsStyle, "url(") || strings.Contains(docsStyle, "@import") {
		t.Error("the page refers to another host")
	}
	ids := map[string]bool{}
	for _, m := range regexp.MustCompile(` id="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		if ids[m[1]] || !regexp.MustCompile(`^[a-z_-]+$`).MatchString(m[1]) {
			t.Errorf("the id %q is there twice, or is none", m[1])
		}
		ids[m[1]] = true
	}
	for _, m := range regexp.MustCompile(`(?:href|src|action)=("?)([^" >]*)`).FindAllStringSubmatch(page, -1) {
		if target, ok := strings.CutPrefix(m[2], "#"); ok && !ids[target] || !ok && m[2] != "/openapi.json" {
			t.Errorf("a link to %q", m[2])
		}
	}
}

// checkHTML wants elements that are closed in order, but for those whose end HTML
// leaves out, and entities that are some.
func checkHTML(t *testing.T, page string) {
	t.Helper()
	var open []string
	for _, m := range regexp.MustCompile(`<(/?)([a-z0-9]+)[^>]*>`).FindAllStringSubmatch(page, -1) {
		name := m[2]
		switch {
		case name == "meta":
		case m[1] == "":
			if n := len(open) - 1; (name == "td" || name == "th") && n >= 0 && (open[n] == "td" || open[n] == "th") {
				open = open[:n]
			}
			open = append(open, name)
		default:
			if n := len(open) - 1; n > 0 && (open[n] == "td" || open[n] == "th") {
				open = open[:n]
			}
			if n := len(open) - 1; n < 0 || open[n] != name {
				t.Fatalf("</%s> in %v", name, open)
			}
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		t.Errorf("%v are not closed", open)
	}
	d := xml.NewDecoder(bytes.NewReader([]byte(page)))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if bare := regexp.MustCompile(`&[^a-z#]`).FindString(page); bare != "" {
		t.Errorf("%q is no entity", bare)
	}
}
