package api

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const boundary = "the-boundary"

func isForm() string { return "Content-Type: multipart/form-data; boundary=" + boundary }

// part is a part of a form; the disposition is what follows form-data.
func part(disposition, content string) string {
	return "--" + boundary + "\r\nContent-Disposition: form-data; " + disposition + "\r\n\r\n" + content + "\r\n"
}

func ask(json string) string           { return part(`name="request"`, json) }
func sent(name, content string) string { return part(`name="file"; filename="`+name+`"`, content) }

func form(parts ...string) string { return strings.Join(parts, "") + "--" + boundary + "--\r\n" }

const simple = `{"code":"x"}`

func badForms() []bad {
	const taken, badPart = "the path %q is taken", "a part of a path is not empty, . or .., and has at most 255 bytes"
	file := func(i int, msg, input string) string { return ours(fmt.Sprintf(`["body","file",%d]`, i), msg, input) }
	extra := func(name string) string { return one("extra_forbidden", `["body","`+name+`"]`, noExtra, "null", "") }
	var many []string
	for i := range maxFiles + 1 {
		many = append(many, sent(fmt.Sprintf("f%d", i), ""))
	}
	huge := strings.Repeat("x", 4<<20)
	return []bad{
		{name: "nothing", body: form(), status: 422, want: one("missing", `["body","request"]`, required, "null", "")},
		{name: "files only", body: form(sent("a", "")), want: one("missing", `["body","request"]`, required, "null", "")},
		{name: "an empty request", body: form(ask("")), want: syntax(0, "Expecting value")},
		{name: "a request that is not JSON", body: form(ask("{")), want: syntax(1, "Expecting property name enclosed in double quotes")},
		{name: "a request that is null", body: form(ask("null")), want: one("missing", `["body"]`, required, "null", "")},
		{name: "a request that does not hold", body: form(ask(`{"code":5}`)), want: one("string_type", `["body","code"]`, "Input should be a valid string", "5", "")},
		{name: "a timeout above the server's", body: form(ask(`{"code":"x","timeout":301}`)), want: detail(timeoutAbove(300))},
		{name: "two requests", body: form(ask(simple), ask(simple)), want: ours(`["body","request"]`, "the part request is there twice", "null")},
		{name: "two requests, one a file", body: form(ask(simple), part(`name="request"; filename="r"`, simple)), want: ours(`["body","request"]`, "the part request is there twice", "null")},
		{name: "two requests, both files", body: form(part(`name="request"; filename="r"`, simple), part(`name="request"; filename="r"`, simple)),
			want: ours(`["body","request"]`, "the part request is there twice", "null")},
		{name: "a field too many", body: form(ask(simple), part(`name="code"`, "y")), want: extra("code")},
		{name: "a file of another name", body: form(ask(simple), part(`name="files"; filename="a"`, "y")), want: extra("files")},
		{name: "several of them, in order", body: form(ask(simple), part(`name="c"; filename="a"`, ""), part(`name="b"`, ""), part(`name="a"`, "")),
			want: `{"detail":[` + strings.Join([]string{extraJSON("a"), extraJSON("b"), extraJSON("c")}, ",") + `]}`},
		{name: "no filename", body: form(ask(simple), part(`name="file"`, "y")), want: extra("file")},
		{name: "an empty filename", body: form(ask(simple), part(`name="file"; filename=""`, "y")), want: extra("file")},
		{name: "a filename that is not UTF-8", body: form(ask(simple), sent("a\xff", "y")), want: file(0, "a path is relative and has 1 to 4096 bytes", `""`)},
		{name: "more parts than are read", body: form(ask(simple) + strings.Repeat(part(`name="a"`, ""), 1001)), status: 413,
			want: detail("Payload too large. The fields of the form are more than can be taken.")},
		{name: "a path from the root", body: form(ask(simple), sent("/etc/passwd", "")), want: file(0, "a path is relative and has 1 to 4096 bytes", `"/etc/passwd"`)},
		{name: "a path outside", body: form(ask(simple), sent("ok", ""), sent("a/../../b", "")), want: file(1, badPart, `"a/../../b"`)},
		{name: "an empty part of a path", body: form(ask(simple), sent("a//b", "")), want: file(0, badPart, `"a//b"`)},
		{name: "a control character", body: form(ask(simple), sent("a\tb", "")), want: file(0, "a path holds no control characters", `"a\tb"`)},
		{name: "a path twice", body: form(ask(simple), sent("a", ""), sent("a", "")), want: ours(`["body","file"]`, fmt.Sprintf(taken, "a"), "null")},
		{name: "a path of the request", body: form(ask(`{"code":"x","files":[{"path":"a","text":""}]}`), sent("a", "")), want: ours(`["body","file"]`, fmt.Sprintf(taken, "a"), "null")},
		{name: "data.json", body: form(ask(simple), sent("data.json", "")), want: ours(`["body","file"]`, fmt.Sprintf(taken, "data.json"), "null")},
		{name: "a file that is a folder", body: form(ask(simple), sent("a", ""), sent("a/b", "")), want: ours(`["body","file"]`, `the path "a" is a file and a folder`, "null")},
		{name: "too many files", body: form(append(many, ask(simple))...), want: ours(`["body","file"]`, "there are more than 100 files", "null")},
		{name: "cut off", body: ask(simple), status: 400, want: detail(parsing)},
		{name: "cut off in a file", body: ask(simple) + "--" + boundary + "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nabc", status: 400, want: detail(parsing)},
		{name: "no form at all", body: simple, status: 400, want: detail(parsing)},
		{name: "headers that are none", body: "--" + boundary + "\r\nno header\r\n\r\n", status: 400, want: detail(parsing)},
		{name: "a request that is too large", body: form(ask(`{"code":"` + huge[:2<<20] + `"}`)), status: 413, want: detail("Payload too large. Maximum allowed size is 2097152 bytes.")},
		{name: "a request in a file that is too large", body: form(part(`name="request"; filename="r"`, `{"code":"`+huge[:2<<20]+`"}`)), status: 413, want: detail("Payload too large. Maximum allowed size is 2097152 bytes.")},
		{name: "too large", body: form(ask(simple), sent("a", huge)), status: 413, want: detail("Payload too large. Maximum allowed size is 4194304 bytes.")},

		{name: "an upload of nothing", target: "/uploads", body: form(), want: one("missing", `["body","file"]`, required, "null", "")},
		{name: "an upload of something else", target: "/uploads", body: form(part(`name="data"; filename="a"`, "x")), want: extra("data")},
		{name: "an upload of two files", target: "/uploads", body: form(sent("a", "x"), sent("b", "x")), want: extra("file")},
		{name: "an upload with a field", target: "/uploads", body: form(sent("a", "x"), part(`name="b"`, "x")), want: extra("b")},
		{name: "an upload that is cut off", target: "/uploads", body: sent("a", "x"), status: 400, want: detail(parsing)},
		{name: "an upload that is cut off early", target: "/uploads", body: "--" + boundary + "\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nabc", status: 400, want: detail(parsing)},
		{name: "an upload that is too large", target: "/uploads", body: form(sent("a", huge)), status: 413, want: detail("Payload too large. Maximum allowed size is 4194304 bytes.")},
		{name: "an upload that is no form", target: "/uploads", body: "{}", want: one("missing", `["body","file"]`, required, "null", ""), headers: []string{"Content-Type: application/json"}},
		{name: "an upload without a boundary", target: "/uploads", body: "x", headers: []string{"Content-Type: multipart/form-data"}, status: 400, want: detail(parsing)},
	}
}

func extraJSON(name string) string {
	return `{"type":"extra_forbidden","loc":["body","` + name + `"],"msg":"` + noExtra + `","input":null}`
}

func TestBadForms(t *testing.T) {
	for _, b := range badForms() {
		if b.headers == nil {
			b.headers = []string{isForm()}
		}
		t.Run(b.name, func(t *testing.T) { b.send(t, newRig(t)) })
		t.Run(b.name+", chunked", func(t *testing.T) {
			g := newRig(t)
			w := httptest.NewRecorder()
			r := request("POST", or(b.target, "/execute"), io.MultiReader(strings.NewReader(b.body)), b.headers...)
			if r.ContentLength >= 0 {
				t.Fatal("the length is known")
			}
			g.ServeHTTP(w, r)
			if w.Body.String() != b.want {
				t.Errorf("got %.500s\nwant %.500s", w.Body, b.want)
			}
			g.unchanged()
		})
	}
}

func TestForms(t *testing.T) {
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	large := strings.Repeat("large ", 500_000) // beyond what is kept in memory
	for _, target := range []string{"/execute", "/execute/async"} {
		g := newRig(t)
		g.expect(http.StatusOK, "POST", target, form(
			sent("sub/é.txt", "first"),
			part(`name="request"; filename="request.json"`, `{"code":"x","args":["a"],"files":[{"path":"b","content":"c2Vjb25k"}]}`),
			sent("large", large),
			sent("empty", ""),
		), isForm())
		s := g.service.submissions[0]
		got := map[string]string{}
		for _, f := range g.service.records[g.service.order[0]].Request.Files {
			got[f.Path] = string(g.service.blobs[f.SHA256])
		}
		if diff := cmp.Diff(map[string]string{"sub/é.txt": "first", "b": "second", "large": large, "empty": ""}, got); diff != "" {
			t.Errorf("%.500s", diff)
		}
		if s.Request.Code != "x" || s.CorrelationID != correlation || len(s.Request.Args) != 1 {
			t.Errorf("%+v", s.Request)
		}
	}
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("%d files are left on disk, %v", len(left), err)
	}
}

func TestUpload(t *testing.T) {
	g := newRig(t)
	for _, disposition := range []string{`name="file"; filename="a"`, `name="file"`} {
		u := g.object("POST", "/uploads", form(part(disposition, "content\r\n--not the boundary")), isForm())
		id := u["upload_id"].(string)
		if string(g.service.uploads[id]) != "content\r\n--not the boundary" || u["size_bytes"] != 27.0 || len(u["sha256"].(string)) != 64 {
			t.Errorf("%v: %q", u, g.service.uploads[id])
		}
		g.expect(http.StatusOK, "POST", "/execute", `{"code":"x","files":[{"path":"a","upload":"`+id+`"}]}`)
	}
	w := g.expect(http.StatusUnprocessableEntity, "POST", "/execute", `{"code":"x","files":[{"path":"a","upload":"nobody"}]}`)
	if got := w.Body.String(); got != detail("file a: there is no upload nobody") {
		t.Error(got)
	}
}

// A body that is larger than it may be is refused by its length, and where it
// does not say one when that is reached.
func TestSizes(t *testing.T) {
	fits := `{"code":"x"` + strings.Repeat(" ", 100-12) + "}"
	for _, tc := range []struct {
		name, body string
		status     int
	}{
		{"just fits", fits, http.StatusOK},
		{"one byte too many", fits + " ", http.StatusRequestEntityTooLarge},
		{"a lot too many", fits + strings.Repeat(" ", 1<<20), http.StatusRequestEntityTooLarge},
	} {
		for _, chunked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, chunked %v", tc.name, chunked), func(t *testing.T) {
				g := newRig(t, func(o *Options) { o.MaxPayloadBytes = 100 })
				read := 0
				body := &counting{strings.NewReader(tc.body), &read}
				r := request("POST", "/execute", body, "Content-Type: application/json")
				if !chunked {
					r.ContentLength = int64(len(tc.body))
				}
				w := httptest.NewRecorder()
				g.ServeHTTP(w, r)
				if w.Code != tc.status {
					t.Fatalf("%d: %s", w.Code, w.Body)
				}
				if tc.status == http.StatusOK {
					return
				}
				if w.Body.String() != detail("Payload too large. Maximum allowed size is 100 bytes.") || !chunked && read > 0 || read > 64<<10 {
					t.Errorf("%d bytes were read: %s", read, w.Body)
				}
				g.unchanged()
			})
		}
	}
}

// counting is a body that notes how much of it was read.
type counting struct {
	io.Reader
	read *int
}

func (c *counting) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	*c.read += n
	return n, err
}
