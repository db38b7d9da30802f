package api

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"

	"github.com/takovm/tako/internal/api/schema"
)

// maxRequestPart is what of the part "request" is kept in memory; files beyond
// it are on disk.
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
	done = func() { _ = form.RemoveAll() }
	defer func() {
		if err != nil {
			done()
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
		return nil, nil, nil, problems(wrong)
	}
	return in, files, done, nil
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
	for name, values := range form.Value {
		if name != "request" {
			wrong = append(wrong, extraPart(name))
		} else if len(values)+len(form.File[name]) > 1 {
			wrong = append(wrong, schema.Invalid("the part request is there twice", []byte("null"), "body", "request"))
		}
	}
	for name := range form.File {
		if name != "file" && name != "request" {
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
	return fail(http.StatusBadRequest, "There was an error parsing the body")
}
