package api

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/takovm/tako/internal/job"
)

// leaving is a rig with a job that left these files, and their digests by name.
func leaving(t *testing.T, names ...string) (*rig, map[string]string) {
	g, digests := newRig(t), map[string]string{}
	r := ended("job")
	for _, name := range names {
		content := "content of " + name
		digests[name] = g.service.putBlob(content)
		r.Outcome.Artifacts = append(r.Outcome.Artifacts, job.Artifact{Name: name, SizeBytes: int64(len(content)), SHA256: digests[name]})
	}
	r.Outcome.Artifacts[0].ContentType = "text/csv; charset=utf-8"
	g.service.put(r)
	return g, digests
}

// content is of a.csv, 16 bytes.
const content = "content of a.csv"

// How full a disk is, is the operator's business.
func TestUploadWithoutRoom(t *testing.T) {
	g := newRig(t)
	g.service.fail["SaveUpload"] = job.Errorf(job.KindUnavailable, "5 MiB are free")
	w := g.expect(http.StatusServiceUnavailable, "POST", "/uploads", strings.ReplaceAll("--b\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\n\nx\n--b--\n", "\n", "\r\n"),
		"Content-Type: multipart/form-data; boundary=b")
	if w.Body.String() != detail("The server cannot store files now, try again later") {
		t.Errorf("%s", w.Body)
	}
}

func TestArtifact(t *testing.T) {
	g, digests := leaving(t, "a.csv", "b")
	tag := `"` + digests["a.csv"] + `"`
	ended := epoch().Add(3 * time.Second).UTC().Format(http.TimeFormat)
	before := epoch().Add(-time.Hour).UTC().Format(http.TimeFormat)
	rangeOf := func(text string) []string { return []string{"Range: bytes=" + text} }
	const unsatisfiable = "The range cannot be satisfied."
	for _, tc := range []struct {
		name    string
		headers []string
		status  int
		body    string
		header  map[string]string
	}{
		{"whole", nil, 200, content, map[string]string{"Content-Length": "16", "Accept-Ranges": "bytes", "Content-Range": ""}},
		{"a range", rangeOf("0-6"), 206, "content", map[string]string{"Content-Length": "7", "Content-Range": "bytes 0-6/16"}},
		{"an open range", rangeOf("11-"), 206, "a.csv", map[string]string{"Content-Range": "bytes 11-15/16"}},
		{"a suffix", rangeOf("-3"), 206, "csv", map[string]string{"Content-Range": "bytes 13-15/16"}},
		{"a suffix that is more", rangeOf("-100"), 206, content, map[string]string{"Content-Range": "bytes 0-15/16"}},
		{"a range beyond the end", rangeOf("11-99"), 206, "a.csv", map[string]string{"Content-Range": "bytes 11-15/16"}},
		{"nothing of it", rangeOf("16-"), 416, detail(unsatisfiable), map[string]string{"Content-Range": "bytes */16", "Content-Type": "application/json", "Content-Disposition": ""}},
		{"nonsense", rangeOf("x"), 416, detail(unsatisfiable), nil},
		{"backwards", rangeOf("5-1"), 416, detail(unsatisfiable), nil},
		{"another unit", []string{"Range: lines=0-1"}, 200, content, nil},
		{"more than there is", rangeOf("0-15,0-15"), 200, content, nil},
		{"it is known", []string{"If-None-Match: " + tag}, 304, "", map[string]string{"ETag": tag, "Content-Length": "", "Content-Type": ""}},
		{"it is known, among others", []string{`If-None-Match: "x", W/` + tag}, 304, "", nil},
		{"anything is known", []string{"If-None-Match: *"}, 304, "", nil},
		{"another is known", []string{`If-None-Match: "x"`}, 200, content, nil},
		{"known, without quotes", []string{"If-None-Match: " + digests["a.csv"]}, 200, content, nil},
		{"it was not changed", []string{"If-Modified-Since: " + ended}, 304, "", nil},
		{"it was changed", []string{"If-Modified-Since: " + before}, 200, content, nil},
		{"the rest of the same", []string{"Range: bytes=11-", "If-Range: " + tag}, 206, "a.csv", nil},
		{"the rest of another", []string{"Range: bytes=11-", `If-Range: "x"`}, 200, content, nil},
		{"if it is the same", []string{"If-Match: " + tag}, 200, content, nil},
		{"if it is another", []string{`If-Match: "x"`}, 412, detail("The file is not the one that was asked for."), map[string]string{"Content-Type": "application/json"}},
		{"if it is older", []string{"If-Unmodified-Since: " + before}, 412, detail("The file is not the one that was asked for."), nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := g.expect(tc.status, "GET", "/jobs/job/artifacts/a.csv", "", tc.headers...)
			if w.Body.String() != tc.body {
				t.Errorf("the body is %q", w.Body)
			}
			want := map[string]string{}
			if tc.status < 300 {
				want = map[string]string{
					"Content-Type": "text/csv; charset=utf-8", "Content-Disposition": `attachment; filename="a.csv"`, "ETag": tag,
					"Last-Modified": ended, "Cache-Control": "private, no-cache",
				}
			}
			for name, value := range tc.header {
				want[name] = value
			}
			for name, value := range want {
				if got := w.Header().Get(name); got != value {
					t.Errorf("%s is %q, want %q", name, got, value)
				}
			}
		})
	}
	w := g.expect(http.StatusOK, "GET", "/jobs/job/artifacts/b", "")
	if got := w.Header().Get("Content-Type"); got != "application/octet-stream" {
		t.Errorf("an unknown type is %q", got)
	}
}

func TestSeveralRanges(t *testing.T) {
	g, _ := leaving(t, "a.csv")
	w := g.expect(http.StatusPartialContent, "GET", "/jobs/job/artifacts/a.csv", "", "Range: bytes=0-1, -2")
	kind, params, err := mime.ParseMediaType(w.Header().Get("Content-Type"))
	if err != nil || kind != "multipart/byteranges" {
		t.Fatalf("%s, %v", kind, err)
	}
	parts := multipart.NewReader(w.Body, params["boundary"])
	for _, want := range []string{"co bytes 0-1/16", "sv bytes 14-15/16"} {
		p, err := parts.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(p)
		if got := string(b) + " " + p.Header.Get("Content-Range"); got != want || err != nil || p.Header.Get("Content-Type") != "text/csv; charset=utf-8" {
			t.Errorf("%s, %v, %v", got, p.Header, err)
		}
	}
}

// HEAD says what GET would, and touches no file.
func TestHeadOfArtifact(t *testing.T) {
	g, digests := leaving(t, "a.csv")
	tag := `"` + digests["a.csv"] + `"`
	clear(g.service.blobs)
	for _, tc := range []struct {
		target, header string
		status         int
		length         string
	}{
		{"a.csv", "", 200, "16"},
		{"a.csv", "If-None-Match: " + tag, 304, ""},
		{"a.csv", "Range: bytes=99-", 200, "16"},
		{"a.csv", `If-Match: "x"`, 412, ""},
		{"b", "", 404, ""},
	} {
		w := g.expect(tc.status, "HEAD", "/jobs/job/artifacts/"+tc.target, "", tc.header)
		if w.Body.Len() > 0 || tc.length != "" && w.Header().Get("Content-Length") != tc.length {
			t.Errorf("%s %s: %q, %v", tc.target, tc.header, w.Body, w.Header())
		}
		if tc.status == http.StatusOK && (w.Header().Get("ETag") != tag || w.Header().Get("Content-Type") != "text/csv; charset=utf-8") {
			t.Errorf("%v", w.Header())
		}
	}
	if g.service.opened > 0 {
		t.Error("the file was opened")
	}
}

// A name is what is in the record's list, however it is written in the path.
func TestNamesOfArtifacts(t *testing.T) {
	names := []string{
		"plain", "sub/folder/a.txt", "with space", "ünï😀", `quo"te`, `back\slash`, "a?b#c", "100%", "%2F", "a;b", "semi; filename=x", "'", "a+b", "artifacts.zip",
		strings.Repeat("x", 255), "-", "...", "a..b", "\u202egnp.exe", "CON", "~", "a:b", "<script>", "a&b",
	}
	g, _ := leaving(t, names...)
	for _, name := range names {
		for _, escaped := range []string{url.PathEscape(name), (&url.URL{Path: name}).EscapedPath()} {
			w := g.expect(http.StatusOK, "GET", "/jobs/job/artifacts/"+strings.TrimPrefix(escaped, "./"), "")
			if w.Body.String() != "content of "+name {
				t.Errorf("%q as %s: %q", name, escaped, w.Body)
			}
			kind, params, err := mime.ParseMediaType(w.Header().Get("Content-Disposition"))
			if base := name[strings.LastIndex(name, "/")+1:]; kind != "attachment" || err != nil || len(params) != 1 || params["filename"] != base {
				t.Errorf("%q: %s, %q, %v", name, w.Header().Get("Content-Disposition"), params, err)
			}
		}
	}
	for _, name := range []string{"PLAIN", "plai", "sub", "sub/folder", "folder/a.txt", "plain%00", "..", "%2e%2e/plain", "sub/../plain", "%2Fplain", "./plain", "with+space", "x%2F..%2Fplain"} {
		w := g.send("GET", "/jobs/job/artifacts/"+name, "")
		if w.Code != http.StatusNotFound || w.Body.String() != detail("Artifact not found") && w.Body.String() != notFoundJS {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	if diff := cmp.Diff(len(names)*2, g.service.opened); diff != "" {
		t.Errorf("blobs that were opened: %s", diff)
	}
}

func TestListOfArtifacts(t *testing.T) {
	g, digests := leaving(t, "a.csv", "sub/b")
	w := g.expect(http.StatusOK, "GET", "/jobs/job/artifacts", "")
	want := fmt.Sprintf(`{"job_id":"job","items":[{"name":"a.csv","size_bytes":16,"sha256":"%s","content_type":"text/csv; charset=utf-8"},`+
		`{"name":"sub/b","size_bytes":16,"sha256":"%s","content_type":null}],"count":2}`, digests["a.csv"], digests["sub/b"])
	if w.Body.String() != want {
		t.Errorf("%s", w.Body)
	}
	g.service.put(ended("none"))
	if w := g.expect(http.StatusOK, "GET", "/jobs/none/artifacts", ""); w.Body.String() != `{"job_id":"none","items":[],"count":0}` {
		t.Errorf("%s", w.Body)
	}
}

func TestMissingBlob(t *testing.T) {
	g, digests := leaving(t, "a.csv", "b")
	delete(g.service.blobs, digests["b"])
	for target, want := range map[string]string{
		"/jobs/job/artifacts/b":      "Artifact file not found",
		"/jobs/job/artifacts/c":      "Artifact not found",
		"/jobs/nobody/artifacts/b":   "Job not found",
		"/jobs/nobody/artifacts":     "Job not found",
		"/jobs/nobody/artifacts.zip": "Job not found",
		"/jobs/job/artifacts.zip":    "Artifact file not found",
	} {
		w := g.expect(http.StatusNotFound, "GET", target, "")
		if w.Body.String() != detail(want) || w.Header().Get("Content-Disposition") != "" || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %s, %v", target, w.Body, w.Header())
		}
	}
}

func TestZip(t *testing.T) {
	names := []string{"a.csv", "sub/ü.txt", "empty"}
	g, _ := leaving(t, names...)
	w := g.expect(http.StatusOK, "GET", "/jobs/job/artifacts.zip", "")
	if w.Header().Get("Content-Type") != "application/zip" || w.Header().Get("Content-Disposition") != `attachment; filename="job.zip"` {
		t.Errorf("%v", w.Header())
	}
	z, err := zip.NewReader(bytes.NewReader(w.Body.Bytes()), int64(w.Body.Len()))
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range z.File {
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(in)
		if err != nil || f.Name != names[i] || string(b) != "content of "+f.Name || f.Mode() != 0o644 || !f.Modified.Equal(epoch().Add(3*time.Second).Truncate(time.Second)) {
			t.Errorf("%s, %v, %v: %q, %v", f.Name, f.Mode(), f.Modified, b, err)
		}
	}
	if len(z.File) != len(names) {
		t.Errorf("%d files", len(z.File))
	}
	g.service.put(ended("none"))
	w = g.expect(http.StatusOK, "GET", "/jobs/none/artifacts.zip", "")
	if _, err := zip.NewReader(bytes.NewReader(w.Body.Bytes()), int64(w.Body.Len())); err != nil {
		t.Errorf("an archive of nothing: %v", err)
	}
}

// An archive that cannot be finished is cut off.
func TestZipIsCutOff(t *testing.T) {
	g, digests := leaving(t, "a.csv", "random", "b")
	random := make([]byte, 1<<20)
	for i := range random {
		random[i] = byte(i * i * 2654435761 >> 7)
	}
	g.service.blobs[digests["random"]] = random
	delete(g.service.blobs, digests["b"])
	s := httptest.NewServer(g)
	defer s.Close()
	if all, err := io.ReadAll(open(t, t.Context(), s.URL+"/jobs/job/artifacts.zip").Body); err == nil {
		t.Errorf("%d bytes came as if they were all", len(all))
	}
}
