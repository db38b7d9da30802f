package api

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html"
	"reflect"
	"strings"

	"github.com/takovm/tako/internal/api/schema"
)

// docsPage is the reference of the API as one page that needs nothing else: no
// script, no font, no other host. html/template is not used: what calls methods
// by name keeps the linker from leaving out those that nobody calls, in a binary
// that is every sandbox, too.
func (a *API) docsPage() []byte {
	p := &page{}
	p.line(`<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">`)
	p.line(`<title>Tako API</title><style>%s</style></head><body>`, docsStyle)
	p.line(`<header><h1>Tako API</h1><p>Version %s. The same as a machine reads it: <a href="/openapi.json">openapi.json</a></p></header>`, html.EscapeString(a.options.Version))
	var tags []string
	routes := map[string][]*route{}
	for _, r := range a.routes() {
		if r.hidden {
			continue
		}
		if routes[r.tag] == nil {
			tags = append(tags, r.tag)
		}
		routes[r.tag] = append(routes[r.tag], &r)
	}
	p.line(`<nav>`)
	for _, tag := range tags {
		p.line(`<a href="#%s">%s</a>`, anchor(tag), html.EscapeString(tag))
	}
	p.line(`</nav><main>`)
	for _, tag := range tags {
		p.line(`<h2 id="%s">%s</h2>`, anchor(tag), html.EscapeString(tag))
		for _, r := range routes[tag] {
			p.route(r)
		}
	}
	p.line(`</main></body></html>`)
	return []byte(p.String())
}

// docsPolicy allows the page its own style, by its digest, and nothing else.
func docsPolicy() string {
	sum := sha256.Sum256([]byte(docsStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
}

func anchor(tag string) string { return "tag-" + strings.ReplaceAll(tag, " ", "-") }

type page struct{ strings.Builder }

func (p *page) line(format string, args ...any) {
	fmt.Fprintf(p, format, args...)
	p.WriteByte('\n')
}

func (p *page) route(r *route) {
	p.line(`<details id="%s"><summary><b class="%s">%s</b> <code>%s</code> <span>%s</span></summary>`,
		r.name, strings.ToLower(r.method), r.method, html.EscapeString(strings.ReplaceAll(r.pattern, "...}", "}")), html.EscapeString(r.summary))
	p.line(`<p>%s</p>`, html.EscapeString(described()[r.name].text))
	if r.open {
		p.line(`<p>Needs no API key.</p>`)
	} else {
		p.line(`<p>Scope: <code>%s</code></p>`, r.scope)
	}
	if len(r.query) > 0 {
		p.table("Query", r.query)
	}
	if r.body != nil {
		p.table("Body (application/json)", r.body.Fields)
		p.line(`<pre>%s</pre>`, html.EscapeString(described()[r.name].example))
	}
	if r.multipart {
		p.line(`<p>Also as multipart/form-data: parts <code>file</code>, each filename being a path%s.</p>`,
			map[bool]string{true: ", and the JSON in the part <code>request</code>"}[r.body != nil])
	}
	p.answer(r)
	p.line(`</details>`)
}

func (p *page) table(title string, fields []schema.Field) {
	p.line(`<h4>%s</h4><table><tr><th>name<th>type<th>what it is</tr>`, title)
	p.rows("", fields)
	p.line(`</table>`)
}

// rows has the fields of objects within under their full names.
func (p *page) rows(prefix string, fields []schema.Field) {
	for i := range fields {
		f := &fields[i]
		need := ""
		if f.Required {
			need = ` <em>required</em>`
		}
		p.line(`<tr><td><code>%s</code>%s<td>%s<td>%s</tr>`, prefix+f.Name, need, html.EscapeString(inWords(&f.Type)), html.EscapeString(f.Doc))
		switch {
		case f.Kind == schema.Object:
			p.rows(prefix+f.Name+".", f.Fields)
		case f.Kind == schema.List && f.Items.Kind == schema.Object:
			p.rows(prefix+f.Name+"[].", f.Items.Fields)
		}
	}
}

// inWords is a type with its bounds, such as "integer, 1 to 600".
func inWords(t *schema.Type) string {
	s := t.JSONSchema()
	text := strings.Trim(fmt.Sprint(s["type"]), "[]")
	text = strings.ReplaceAll(text, " ", " or ")
	bounds := func(least, most, unit string) {
		low, hasLow := s[least]
		high, hasHigh := s[most]
		switch {
		case hasLow && hasHigh:
			text += fmt.Sprintf(", %s to %s%s", number(low), number(high), unit)
		case hasHigh:
			text += fmt.Sprintf(", at most %s%s", number(high), unit)
		case hasLow:
			text += fmt.Sprintf(", at least %s%s", number(low), unit)
		}
	}
	bounds("minimum", "maximum", "")
	bounds("minLength", "maxLength", " characters")
	bounds("minItems", "maxItems", " items")
	bounds("minProperties", "maxProperties", " entries")
	if len(t.Enum) > 0 {
		text += ": " + strings.Join(t.Enum, ", ")
	}
	if t.Default != nil {
		text += fmt.Sprintf(" (default %v)", t.Default)
	}
	return text
}

// number writes a bound without an exponent.
func number(v any) string {
	if f, ok := v.(float64); ok && f == float64(int64(f)) {
		return fmt.Sprint(int64(f))
	}
	return fmt.Sprint(v)
}

func (p *page) answer(r *route) {
	if r.answer == nil {
		p.line(`<h4>Answer</h4><p><code>%s</code></p>`, html.EscapeString(or(r.media, "none")))
		return
	}
	d := &drawing{schemas: object{}}
	s := d.schemaOf(r.typeOf())
	p.line(`<h4>Answer</h4><pre>%s</pre>`, html.EscapeString(example(d, s, "")))
	if r.typeOf() == reflect.TypeFor[anyRecord]() {
		p.line(`<p>With <code>view=full</code>:</p><pre>%s</pre>`, html.EscapeString(example(d, ref("FullRecord"), "")))
	}
}

// example draws what an answer looks like: names, and types for values.
func example(d *drawing, s object, indent string) string {
	if name, ok := s["$ref"].(string); ok {
		return example(d, d.schemas[name[strings.LastIndexByte(name, '/')+1:]].(object), indent)
	}
	if one, ok := s["oneOf"].([]any); ok {
		return example(d, one[0].(object), indent)
	}
	if properties, ok := s["properties"].(object); ok {
		lines := []string{}
		for _, name := range sortedNames(properties) {
			lines = append(lines, fmt.Sprintf("%s  %q: %s", indent, name, example(d, properties[name].(object), indent+"  ")))
		}
		return "{\n" + strings.Join(lines, ",\n") + "\n" + indent + "}"
	}
	if items, ok := s["items"].(object); ok {
		return "[" + example(d, items, indent) + "]"
	}
	if _, ok := s["type"]; !ok {
		return "any JSON value"
	}
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(s["type"]), "[]"), " ", " or ")
}

const docsStyle = `:root{color-scheme:light dark;--line:#8884;--soft:#8882}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1rem}
h1{margin:0}h2{text-transform:capitalize;margin:2rem 0 .5rem;border-bottom:1px solid var(--line)}h4{margin:.75rem 0 .25rem}
nav{display:flex;flex-wrap:wrap;gap:.25rem 1rem;text-transform:capitalize}
details{border:1px solid var(--line);border-radius:.4rem;margin:.4rem 0;padding:.4rem .7rem}
summary{cursor:pointer}summary span{opacity:.75}
summary b{display:inline-block;min-width:4.2rem;font-size:.8rem}
.get,.head{color:#2a7ae2}.post{color:#2e8b57}.put{color:#b8860b}.delete{color:#c0392b}
code,pre{font:.85rem ui-monospace,monospace;background:var(--soft);border-radius:.25rem}
code{padding:.05rem .3rem}pre{padding:.6rem;overflow:auto}
table{border-collapse:collapse;width:100%;font-size:.9rem}td,th{text-align:left;vertical-align:top;padding:.2rem .6rem .2rem 0;border-top:1px solid var(--line)}
em{font-size:.8rem;color:#c0392b}`
