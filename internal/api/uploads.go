package api

import (
	"errors"
	"io"
	"mime/multipart"
	"net/http"

	"github.com/takovm/tako/internal/api/schema"
	"github.com/takovm/tako/internal/api/wire"
)

// upload stores the one part "file" of a form while it is read. Whatever is wrong
// with the form reaches the service as an error of the content, so that it stores
// nothing.
func (c *call) upload() error {
	if !c.isMultipart {
		return problems{schema.Missing([]byte("null"), "body", "file")}
	}
	c.slowBody()
	form, err := c.r.MultipartReader()
	if err != nil {
		return malformed(err)
	}
	part, err := form.NextRawPart()
	switch {
	case errors.Is(err, io.EOF):
		return problems{schema.Missing([]byte("null"), "body", "file")}
	case err != nil:
		return malformed(err)
	case part.FormName() != "file":
		return problems{extraPart(part.FormName())}
	}
	content := &soleFile{form: form, part: part}
	u, err := c.api.service.SaveUpload(c.r.Context(), c.principal, content)
	if content.err != nil {
		return content.err
	}
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, wire.Upload{UploadID: u.ID, SizeBytes: u.SizeBytes, SHA256: u.SHA256})
}

// soleFile reads a part. It ends well only if nothing comes after it.
type soleFile struct {
	form *multipart.Reader
	part io.Reader
	err  error
}

func (f *soleFile) Read(b []byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	n, err := f.part.Read(b)
	if err == nil {
		return n, nil
	}
	if !errors.Is(err, io.EOF) {
		f.err = malformed(err)
		return n, f.err
	}
	next, err := f.form.NextRawPart()
	switch {
	case err == nil:
		f.err = problems{extraPart(next.FormName())}
	case errors.Is(err, io.EOF):
		return n, io.EOF
	default:
		f.err = malformed(err)
	}
	return n, f.err
}
