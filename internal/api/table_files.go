package api

import (
	"encoding/base64"
	"fmt"
	"path"
	"strings"
	"unicode"

	"github.com/takovm/tako/internal/api/schema"
)

const maxFiles = 100

func filesType() schema.Type {
	content := func(doc string) schema.Type { return schema.Type{Kind: schema.String, Null: true, Doc: doc} }
	base := content("the content in base64")
	base.Format = "base64"
	base.Holds = func(v *schema.Value) string {
		if _, err := base64.StdEncoding.Strict().DecodeString(v.Text()); err != nil {
			return "content is not base64"
		}
		return ""
	}
	artifact := content(`an artifact of another job: "<job id>/<name>"`)
	artifact.Holds = func(v *schema.Value) string {
		if id, name, ok := strings.Cut(v.Text(), "/"); !ok || !validID(id) || pathProblem(name) != "" {
			return `an artifact is named "<job id>/<name>"`
		}
		return ""
	}
	upload := content("the id of an upload")
	upload.Holds = func(v *schema.Value) string {
		if !validID(v.Text()) {
			return "this cannot be the id of an upload"
		}
		return ""
	}
	item := schema.Type{Kind: schema.Object, Holds: oneSource, Fields: []schema.Field{
		{Name: "path", Required: true, Type: schema.Type{Kind: schema.String, Doc: "below /input",
			Holds: func(v *schema.Value) string { return pathProblem(v.Text()) }}},
		field("text", content("the content")),
		field("content", base),
		field("artifact", artifact),
		field("upload", upload),
	}}
	return schema.Type{Kind: schema.List, Null: true, MaxLen: maxFiles, Items: &item, Doc: "files below /input",
		Holds: func(v *schema.Value) string {
			var paths []string
			for _, f := range v.Items() {
				paths = append(paths, f.Get("path").Text())
			}
			return pathsProblem(paths)
		}}
}

func oneSource(v *schema.Value) string {
	n := 0
	for _, name := range []string{"text", "content", "artifact", "upload"} {
		if v.Get(name).Has() {
			n++
		}
	}
	if n != 1 {
		return "exactly one of text, content, artifact and upload must be given"
	}
	return ""
}

// pathProblem holds the rules for names of files: relative, no "..", no control
// characters, at most 255 bytes a part.
func pathProblem(name string) string {
	if name == "" || len(name) > 4096 || strings.HasPrefix(name, "/") {
		return "a path is relative and has 1 to 4096 bytes"
	}
	if strings.ContainsFunc(name, unicode.IsControl) {
		return "a path holds no control characters"
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part == "." || part == ".." || len(part) > 255 {
			return "a part of a path is not empty, . or .., and has at most 255 bytes"
		}
	}
	return ""
}

// pathsProblem says whether files are in each other's way.
func pathsProblem(paths []string) string {
	seen := map[string]bool{"data.json": true}
	for _, p := range paths {
		if seen[p] {
			return fmt.Sprintf("the path %q is taken", p)
		}
		seen[p] = true
	}
	for _, p := range paths {
		for dir := path.Dir(p); dir != "."; dir = path.Dir(dir) {
			if seen[dir] {
				return fmt.Sprintf("the path %q is a file and a folder", dir)
			}
		}
	}
	return ""
}

// validID holds an id against what ids look like, so that nothing else reaches a
// database or a path.
func validID(id string) bool {
	if id == "" || len(id) > 64 || id[0] == '.' {
		return false
	}
	for _, c := range []byte(id) {
		if c != '-' && c != '_' && c != '.' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return true
}
