package api

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"path"
	"strings"

	"github.com/takovm/tako/internal/api/wire"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

func (c *call) listArtifacts() error {
	r, err := c.found("job_id")
	if err != nil {
		return err
	}
	items := wire.NewArtifacts(r.Outcome.Artifacts)
	return c.ok(wire.ArtifactList{JobID: r.ID, Items: items, Count: len(items)})
}

// artifact sends a file that a job left, in whole or in part. Only what is in
// the record's list can be asked for, so a name is never a path here.
func (c *call) artifact() error {
	r, err := c.found("job_id")
	if err != nil {
		return err
	}
	a, ok := named(r.Outcome.Artifacts, c.r.PathValue("name"))
	if !ok {
		return fail(http.StatusNotFound, "Artifact not found")
	}
	var content io.ReadSeeker = &sizeOnly{size: a.SizeBytes}
	if c.r.Method != http.MethodHead {
		blob, err := c.blob(a)
		if err != nil {
			return err
		}
		defer func() { _ = blob.Close() }() // it was only read
		content = blob
	}
	h := c.w.Header()
	h.Set("Content-Type", orOctets(a.ContentType))
	h.Set("Content-Disposition", attachment(path.Base(a.Name)))
	h.Set("ETag", `"`+a.SHA256+`"`)
	h.Set("Cache-Control", "private, no-cache")
	if c.r.Method == http.MethodHead || !strings.HasPrefix(c.r.Header.Get("Range"), "bytes=") {
		c.r.Header.Del("Range") // has to be ignored there (RFC 9110, section 14.2)
	}
	w := &withoutErrors{ResponseWriter: c.slowAnswer()}
	http.ServeContent(w, c.r, "", r.EndedAt, content)
	switch w.refused {
	case 0:
		return nil
	case http.StatusRequestedRangeNotSatisfiable:
		return fail(w.refused, "The range cannot be satisfied.")
	case http.StatusPreconditionFailed:
		return fail(w.refused, "The file is not the one that was asked for.")
	}
	return fmt.Errorf("sending the artifact %s of %s: status %d", a.Name, r.ID, w.refused)
}

// withoutErrors is a writer that leaves errors out: ServeContent's are text.
type withoutErrors struct {
	http.ResponseWriter
	refused int
}

func (w *withoutErrors) WriteHeader(status int) {
	if status >= 400 {
		w.refused = status
		return
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *withoutErrors) Write(b []byte) (int, error) {
	if w.refused != 0 {
		return len(b), nil
	}
	return w.ResponseWriter.Write(b)
}

func named(artifacts []job.Artifact, name string) (job.Artifact, bool) {
	for _, a := range artifacts {
		if a.Name == name {
			return a, true
		}
	}
	return job.Artifact{}, false
}

func (c *call) blob(a job.Artifact) (io.ReadSeekCloser, error) {
	blob, err := c.api.service.OpenBlob(c.r.Context(), a.SHA256)
	if errors.Is(err, store.ErrNotFound) {
		return nil, fail(http.StatusNotFound, "Artifact file not found")
	}
	return blob, err
}

func orOctets(contentType string) string { return or(contentType, "application/octet-stream") }

// attachment is a Content-Disposition. What is not ASCII is encoded (RFC 6266).
func attachment(name string) string {
	plain := !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' })
	if plain {
		return `attachment; filename="` + name + `"`
	}
	return mime.FormatMediaType("attachment", map[string]string{"filename": name})
}

// sizeOnly stands for a file that is not read: of a HEAD only the size counts.
type sizeOnly struct{ size, at int64 }

func (s *sizeOnly) Read([]byte) (int, error) { return 0, io.EOF }

func (s *sizeOnly) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += s.at
	case io.SeekEnd:
		offset += s.size
	}
	s.at = offset
	return offset, nil
}

// zipArtifacts sends all files as one archive, made while it is sent.
func (c *call) zipArtifacts() error {
	r, err := c.found("job_id")
	if err != nil {
		return err
	}
	h := c.w.Header()
	h.Set("Content-Type", "application/zip")
	h.Set("Content-Disposition", attachment(r.ID+".zip"))
	archive := zip.NewWriter(c.slowAnswer())
	for _, a := range r.Outcome.Artifacts {
		if err := c.zip(archive, &r, a); err != nil {
			return fmt.Errorf("zipping the artifacts of %s: %w", r.ID, err)
		}
	}
	if err := archive.Close(); err != nil {
		return fmt.Errorf("zipping the artifacts of %s: %w", r.ID, err)
	}
	return nil
}

func (c *call) zip(archive *zip.Writer, r *job.Record, a job.Artifact) error {
	blob, err := c.blob(a)
	if err != nil {
		return err
	}
	defer func() { _ = blob.Close() }() // it was only read
	header := &zip.FileHeader{Name: a.Name, Method: zip.Deflate, Modified: r.EndedAt}
	header.SetMode(0o644)
	entry, err := archive.CreateHeader(header)
	if err != nil {
		return err
	}
	_, err = io.Copy(entry, blob)
	return err
}
