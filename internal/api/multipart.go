package api

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"

	"github.com/takovm/tako/internal/api/schema"
)

// formMemory is what of a form's files is kept in memory; those beyond it are on
// disk.
const formMemory = 1 << 20

// multipartRequest reads a form: the part "request" is the JSON that would be the
// body, each part "file" is an input file whose filename is its path. Nothing is
// given to the service before everything was read and is valid.
func (c *call) multipartRequest() (in *schema.Value, files []FileSource, done func(), err error) {
	reader, err := c.r.MultipartReader()
	if err != nil {
		return nil, nil, nil, malformed(err)
	}
	form, err := reader.ReadForm(formMemory)
	if err != nil {
		return nil, nil, nil, malformed(err)
	}
	remove := func() { _ = form.RemoveAll() }
	defer func() {
		if err != nil {
			remove()
		}
	}()
	doc, err := requestPart(form, c.api.options.MaxPayloadBytes)
	if err != nil {
		return nil, nil, nil, err
	}
	if doc == nil {
		return nil, nil, nil, problems{schema.Missing([]byte("null"), "body", "request")}
	}
	in, wrong, err := c.checkDocument(c.route.body, doc)
	if err != nil {
		return nil, nil, nil, err
	}
	files, more := formFiles(form, in)
	if wrong = append(wrong, more...); len(wrong) > 0 {
		return nil, nil, nil, problems(wrong[:min(len(wrong), schema.MaxProblems)])
	}
	return in, files, remove, nil
}

// requestPart is the part "request", whether it came as a field or as a file.
func requestPart(form *multipart.Form, limit int64) ([]byte, error) {
	if values := form.Value["request"]; len(values) > 0 {
		if limit > 0 && int64(len(values[0])) > limit {
			return nil, payloadTooLarge(limit)
		}
		return []byte(values[0]), nil
	}
	headers := form.File["request"]
	if len(headers) == 0 {
		return nil, nil
	}
	if limit > 0 && headers[0].Size > limit {
		return nil, payloadTooLarge(limit)
	}
	f, err := headers[0].Open()
	if err != nil {
		return nil, malformed(err)
	}
	defer func() { _ = f.Close() }()
	var b bytes.Buffer
	_, err = b.ReadFrom(f)
	return b.Bytes(), err
}

// formFiles makes input files of the parts "file". Parts of other names are what
// other fields are in JSON.
func formFiles(form *multipart.Form, in *schema.Value) (files []FileSource, wrong []schema.Problem) {
	if len(form.Value["request"])+len(form.File["request"]) > 1 {
		wrong = append(wrong, schema.Invalid("the part request is there twice", []byte("null"), "body", "request"))
	}
	for _, name := range partNames(form) {
		_, isField := form.Value[name]
		if name != "request" && (name != "file" || isField) {
			wrong = append(wrong, extraPart(name))
		}
	}
	var paths []string
	for _, f := range in.Get("files").Items() {
		paths = append(paths, f.Get("path").Text())
	}
	for i, h := range form.File["file"] {
		path := fileName(h)
		if msg := pathProblem(path); msg != "" {
			wrong = append(wrong, schema.Invalid(msg, asText([]byte(validText(path))), "body", "file", i))
			continue
		}
		paths = append(paths, path)
		files = append(files, FileSource{Path: path, Open: func() (io.ReadCloser, error) { return h.Open() }})
	}
	if len(wrong) == 0 && len(paths) > maxFiles {
		wrong = append(wrong, schema.Invalid("there are more than 100 files", []byte("null"), "body", "file"))
	}
	if msg := pathsProblem(paths); msg != "" && len(wrong) == 0 {
		wrong = append(wrong, schema.Invalid(msg, []byte("null"), "body", "file"))
	}
	return files, wrong
}

// partNames are the names of a form's parts, in order.
func partNames(form *multipart.Form) []string {
	names := slices.Collect(maps.Keys(form.Value))
	names = slices.AppendSeq(names, maps.Keys(form.File))
	slices.Sort(names)
	return slices.Compact(names)
}

func extraPart(name string) schema.Problem {
	return schema.Problem{Type: "extra_forbidden", Loc: []any{"body", validText(name)}, Msg: "Extra inputs are not permitted", Input: []byte("null")}
}

// fileName is the filename as it was sent: FileHeader has its last part only.
func fileName(h *multipart.FileHeader) string {
	_, params, err := mime.ParseMediaType(h.Header.Get("Content-Disposition"))
	if err != nil || validText(params["filename"]) != params["filename"] {
		return ""
	}
	return params["filename"]
}

// malformed is the answer to a form that cannot be read.
func malformed(err error) error {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return err
	case errors.Is(err, multipart.ErrMessageTooLarge):
		return fail(http.StatusRequestEntityTooLarge, "Payload too large. The fields of the form are more than can be taken.")
	}
	return unread(err)
}
