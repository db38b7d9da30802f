package tako

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
)

// Artifacts lists the files that a job left.
func (c *Client) Artifacts(ctx context.Context, id string) (*ArtifactList, error) {
	path, err := pathOf("/jobs/", id, "/artifacts")
	if err != nil {
		return nil, err
	}
	return answerOf[ArtifactList](ctx, c, get(path, nil))
}

// OpenArtifact opens a file that a job left. Who reads it to its end has all of
// it and nothing else: a file that is cut short or damaged ends in an error.
// The caller closes it.
func (c *Client) OpenArtifact(ctx context.Context, id, name string) (*ArtifactReader, error) {
	before, err := pathOf("/jobs/", id, "/artifacts")
	if err != nil {
		return nil, err
	}
	for part := range strings.SplitSeq(name, "/") {
		if before, err = pathOf(before+"/", part, ""); err != nil {
			return nil, invalid("%q is no name of an artifact", name)
		}
	}
	a, err := c.open(ctx, get(before, nil))
	if err != nil {
		return nil, err
	}
	return &ArtifactReader{Name: name, Size: a.ContentLength, ContentType: a.Header.Get("Content-Type"),
		SHA256: strings.Trim(a.Header.Get("ETag"), `"`), body: a, from: a.living(), sum: sha256.New()}, nil
}

// ArtifactReader reads a file that a job left.
type ArtifactReader struct {
	Name        string
	Size        int64 // bytes; -1 where the server does not say
	SHA256      string
	ContentType string

	body *answer
	from io.Reader
	sum  hash.Hash
}

// Read reads on. The file's digest is checked at its end.
func (r *ArtifactReader) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	r.sum.Write(p[:n])
	switch {
	case err == nil:
		return n, nil
	case err != io.EOF:
		return n, r.body.cut(err)
	case len(r.SHA256) == hex.EncodedLen(sha256.Size) && hex.EncodeToString(r.sum.Sum(nil)) != r.SHA256:
		return n, r.body.malformed("the artifact %q is damaged", r.Name)
	}
	return n, io.EOF
}

// Close ends reading.
func (r *ArtifactReader) Close() error { return r.body.Close() }

// SaveZip writes all files that a job left to w, as one ZIP archive, and answers
// its size.
func (c *Client) SaveZip(ctx context.Context, id string, w io.Writer) (int64, error) {
	path, err := pathOf("/jobs/", id, "/artifacts.zip")
	if err != nil {
		return 0, err
	}
	r, err := c.reader(ctx, get(path, nil))
	if err != nil {
		return 0, err
	}
	defer r.Close()
	return io.Copy(w, r)
}

// Upload stores a file for a job that comes within a day, which names it by
// UploadID as File.Upload. The call is not repeated.
func (c *Client) Upload(ctx context.Context, content io.Reader) (*Upload, error) {
	boundary := rand.Text() + rand.Text()
	head := "--" + boundary + "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"file\"\r\n" +
		"Content-Type: application/octet-stream\r\n\r\n"
	from := &source{r: content}
	u, err := answerOf[Upload](ctx, c, call{method: http.MethodPost, path: "/uploads", within: forever,
		content:     io.MultiReader(strings.NewReader(head), from, strings.NewReader("\r\n--"+boundary+"--\r\n")),
		contentType: "multipart/form-data; boundary=" + boundary})
	if failed := from.failed.Load(); failed != nil {
		return nil, fmt.Errorf("reading what is uploaded: %w", *failed)
	}
	return u, err
}

// source notes that the caller's reader failed: the connection's error says
// something else.
type source struct {
	r      io.Reader
	failed atomic.Pointer[error]
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.failed.Store(&err)
	}
	return n, err
}

// reader opens an answer that is read as it is.
func (c *Client) reader(ctx context.Context, q call) (io.ReadCloser, error) {
	a, err := c.open(ctx, q)
	if err != nil {
		return nil, err
	}
	return &plainReader{a, a.living()}, nil
}

// plainReader has errors of its own for an answer that breaks off.
type plainReader struct {
	body *answer
	from io.Reader
}

func (r *plainReader) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	if err != nil && err != io.EOF {
		err = r.body.cut(err)
	}
	return n, err
}

func (r *plainReader) Close() error { return r.body.Close() }
