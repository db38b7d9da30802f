package api

import (
	"encoding/json"
	"net/http"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/takovm/tako/internal/api/schema"
	"github.com/takovm/tako/internal/api/wire"
)

// object is a JSON object of the document. Names are written in order, so that
// the document is always the same text.
type object = map[string]any

// openAPI draws the document (OpenAPI 3.1) from the routes and their tables.
func (a *API) openAPI() object {
	d := &drawing{schemas: object{}}
	paths := object{}
	for _, r := range a.routes() {
		if r.hidden {
			continue
		}
		pattern := strings.ReplaceAll(r.pattern, "...}", "}")
		if paths[pattern] == nil {
			paths[pattern] = object{}
		}
		paths[pattern].(object)[strings.ToLower(r.method)] = d.operation(&r)
	}
	d.schemas["HTTPValidationError"] = validationError()
	return object{
		"openapi": "3.1.0",
		"info": object{
			"title": "Tako VM - Secure Code Executor API", "version": a.options.Version,
			"description": about,
		},
		"paths": paths, "tags": tags(),
		"components": object{
			"schemas": d.schemas,
			"securitySchemes": object{
				"key":    object{"type": "apiKey", "in": "header", "name": "X-API-Key"},
				"bearer": object{"type": "http", "scheme": "bearer"},
			},
		},
		"security": []any{object{}, object{"key": []any{}}, object{"bearer": []any{}}},
	}
}

// drawing collects the schemas that operations refer to.
type drawing struct{ schemas object }

func (d *drawing) operation(r *route) object {
	op := object{"operationId": r.name, "summary": r.summary, "description": described()[r.name].text, "tags": []any{r.tag}, "responses": d.responses(r)}
	if params := parameters(r); len(params) > 0 {
		op["parameters"] = params
	}
	if body := d.requestBody(r); body != nil {
		op["requestBody"] = body
	}
	if r.open {
		op["security"] = []any{object{}}
	} else {
		op["x-tako-scope"] = string(r.scope)
	}
	return op
}

func parameters(r *route) []any {
	var list []any
	for _, name := range pathNames(r.pattern) {
		list = append(list, object{"name": name, "in": "path", "required": true, "schema": pathSchema(r, name), "description": pathWords()[name]})
	}
	for i := range r.query {
		f := &r.query[i]
		p := object{"name": f.Name, "in": "query", "required": f.Required, "schema": f.JSONSchema()}
		if f.Doc != "" {
			p["description"] = f.Doc
		}
		list = append(list, p)
	}
	return list
}

func pathNames(pattern string) []string {
	var names []string
	for _, m := range regexp.MustCompile(`\{(\w+)(?:\.\.\.)?\}`).FindAllStringSubmatch(pattern, -1) {
		names = append(names, m[1])
	}
	return names
}

func pathSchema(r *route, name string) object {
	for i := range r.path {
		if r.path[i].Name == name {
			return r.path[i].JSONSchema()
		}
	}
	return object{"type": "string"}
}

// table draws a table, and those of its lists, under their names.
func (d *drawing) table(t *schema.Type) object {
	for i := range t.Fields {
		if items := t.Fields[i].Items; items != nil && items.Name != "" {
			d.table(items)
		}
	}
	if t.Name != "" {
		d.schemas[t.Name] = t.Drawn()
	}
	return t.JSONSchema()
}

func (d *drawing) requestBody(r *route) object {
	content := object{}
	if r.body != nil {
		content["application/json"] = object{"schema": d.table(r.body)}
		if example := described()[r.name].example; example != "" {
			content["application/json"].(object)["example"] = json.RawMessage(example)
		}
	}
	if r.multipart {
		properties := object{"file": object{"type": "array", "items": object{"type": "string", "format": "binary"},
			"description": "input files; the filename is the path"}}
		if r.body != nil {
			properties["request"] = object{"type": "string", "contentMediaType": "application/json", "description": "the JSON that would be the body"}
		} else {
			properties["file"] = object{"type": "string", "format": "binary", "description": "the file"}
		}
		content["multipart/form-data"] = object{"schema": object{"type": "object", "properties": properties}}
	}
	if len(content) == 0 {
		return nil
	}
	return object{"required": true, "content": content}
}

func (d *drawing) responses(r *route) object {
	ok := object{"description": "Done", "headers": object{correlationHeader: object{"schema": object{"type": "string"}}}}
	switch {
	case r.answer != nil:
		ok["content"] = object{"application/json": object{"schema": d.schemaOf(r.typeOf())}}
	case r.media != "" && r.method != http.MethodHead:
		ok["content"] = object{r.media: object{"schema": object{"type": "string"}}}
	}
	all := object{"200": ok}
	for _, status := range r.errors {
		all[strconv.Itoa(status)] = d.failure(status, r.means(status))
	}
	if r.open { // what is not ready says so in the shape of /ready
		all["503"].(object)["content"] = object{"application/json": object{"schema": d.schemaOf(reflect.TypeFor[wire.Readiness]())}}
		return all
	}
	for _, status := range []int{401, 403, 429, 500} {
		all[strconv.Itoa(status)] = d.failure(status, everyFailure()[status])
	}
	if r.body != nil || len(r.query) > 0 || len(r.path) > 0 || r.multipart {
		all["422"] = object{"description": everyFailure()[422], "content": object{"application/json": object{"schema": ref("HTTPValidationError")}}}
	}
	if r.body != nil || r.multipart {
		for _, status := range []int{400, 408, 413, 415} {
			if code := strconv.Itoa(status); all[code] == nil {
				all[code] = d.failure(status, everyFailure()[status])
			}
		}
	}
	return all
}

func (d *drawing) failure(status int, means string) object {
	r := object{"description": means}
	if status >= 400 {
		r["content"] = object{"application/json": object{"schema": d.schemaOf(errorType())}}
	}
	return r
}

func ref(name string) object { return object{"$ref": "#/components/schemas/" + name} }

// validationError is FastAPI's, and the one of other refusals with 422.
func validationError() object {
	problem := object{
		"type": "object", "required": []any{"type", "loc", "msg", "input"},
		"properties": object{
			"type": object{"type": "string", "description": "what kind of mistake: missing, less_than_equal, extra_forbidden, ..."},
			"msg":  object{"type": "string", "description": "what is wrong, for a person"}, "input": object{"description": "what was sent there"},
			"ctx": object{"type": "object", "description": "the limit that was not held"},
			"loc": object{"type": "array", "items": object{"type": []any{"string", "integer"}}, "description": "where: body, query, path or header, then names and indices"},
		},
	}
	return object{
		"type": "object", "required": []any{"detail"},
		"properties": object{
			"detail": object{"description": "what is wrong with the request", "oneOf": []any{
				object{"type": "array", "items": problem, "maxItems": schema.MaxProblems},
				object{"type": "string", "description": "what the server's configuration or state does not allow"},
			}},
			"correlation_id": object{"type": "string", "description": "the X-Correlation-ID of the call, where detail is text"},
		},
	}
}
