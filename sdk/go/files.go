package tako

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"net/http"
	"strconv"
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
	path, err := artifactPath(id, name)
	if err != nil {
		return nil, err
	}
	return c.artifact(ctx, name, get(path, nil))
}

// OpenArtifactAt opens a part of a file that a job left: length bytes from
// offset, or what there is of them. An offset at or beyond the end is ErrInvalid,
// with status 416. The digest is that of the whole file and is not checked. The
// caller closes it.
func (c *Client) OpenArtifactAt(ctx context.Context, id, name string, offset, length int64) (*ArtifactReader, error) {
	path, err := artifactPath(id, name)
	if err != nil {
		return nil, err
	}
	if offset < 0 || length < 1 || offset > math.MaxInt64-length {
		return nil, invalid("there are no %d bytes from %d on", length, offset)
	}
	q := get(path, nil)
	q.header = http.Header{"Range": {fmt.Sprintf("bytes=%d-%d", offset, offset+length-1)}}
	r, err := c.artifact(ctx, name, q)
	if err != nil {
		return nil, err
	}
	if _, total, ok := strings.Cut(r.body.Header.Get("Content-Range"), "/"); ok && r.body.StatusCode == http.StatusPartialContent {
		if r.Size, err = strconv.ParseInt(total, 10, 64); err != nil {
			r.Size = -1
		}
		offset = 0 // it begins there
	}
	if _, err := io.CopyN(io.Discard, r.from, offset); err != nil && !errors.Is(err, io.EOF) { // all of it came
		r.Close()
		return nil, r.body.cut(err)
	}
	r.from, r.part = io.LimitReader(r.from, length), true
	return r, nil
}

func artifactPath(id, name string) (string, error) {
	path, err := pathOf("/jobs/", id, "/artifacts")
	if err != nil {
		return "", err
	}
	for part := range strings.SplitSeq(name, "/") {
		if path, err = pathOf(path+"/", part, ""); err != nil {
			return "", invalid("%q is no name of an artifact", name)
		}
	}
	return path, nil
}

func (c *Client) artifact(ctx context.Context, name string, q call) (*ArtifactReader, error) {
	a, err := c.open(ctx, q)
	if err != nil {
		return nil, err
	}
	return &ArtifactReader{Name: name, Size: a.ContentLength, ContentType: a.Header.Get("Content-Type"),
		SHA256: strings.Trim(a.Header.Get("ETag"), `"`), body: a, from: a.living(), sum: sha256.New()}, nil
}

// ArtifactReader reads a file that a job left.
type ArtifactReader struct {
	Name        string
	Size        int64 // bytes of the whole file; -1 where the server does not say
	SHA256      string
	ContentType string

	body *answer
	from io.Reader // the body, or a part of it
	part bool      // no digest is known of what is read
	sum  hash.Hash
}

// Read reads on. A whole file's digest is checked at its end.
func (r *ArtifactReader) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	r.sum.Write(p[:n])
	switch {
	case err == nil:
		return n, nil
	case err != io.EOF:
		return n, r.body.cut(err)
	case !r.part && len(r.SHA256) == hex.EncodedLen(sha256.Size) && hex.EncodeToString(r.sum.Sum(nil)) != r.SHA256:
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
