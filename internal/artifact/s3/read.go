package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/takovm/tako/internal/artifact"
	"github.com/takovm/tako/internal/job"
)

const reading = "reading a blob"

// Open answers a reader of the blob, for which ctx has to live on.
func (s *Store) Open(ctx context.Context, d artifact.Digest) (*artifact.Blob, error) {
	info, err := s.Stat(ctx, d)
	if err != nil {
		return nil, err
	}
	return artifact.NewBlob(info, &reader{ctx: ctx, s: s, d: d, size: info.Size}), nil
}

// Stat answers what Open would open.
func (s *Store) Stat(ctx context.Context, d artifact.Digest) (artifact.Info, error) {
	if err := checkCall(ctx, d); err != nil {
		return artifact.Info{}, err
	}
	o, err := s.head(ctx, d)
	if err != nil {
		return artifact.Info{}, s.missing(reading, d, err)
	}
	return artifact.Info{Digest: d, Size: o.size, ModTime: o.modTime}, nil
}

// object is what a service tells of one.
type object struct {
	size    int64     // bytes
	modTime time.Time // by the service's clock, cut to a second
	etag    string    // may be empty
}

// head asks for an object without its bytes. The error is that of send.
func (s *Store) head(ctx context.Context, d artifact.Digest) (object, error) {
	r := request{method: http.MethodHead, key: s.key(d)}
	resp, err := s.client.send(ctx, r)
	if err != nil {
		return object{}, s.reason(ctx, r, err)
	}
	discard(resp.Body)
	modTime, err := http.ParseTime(resp.Header.Get("Last-Modified"))
	if err != nil || resp.ContentLength < 0 {
		return object{}, &failure{err: errNoS3}
	}
	return object{size: resp.ContentLength, modTime: modTime, etag: resp.Header.Get("Etag")}, nil
}

// reason asks again with GET for what was refused to a HEAD, whose answer has no
// room for the reason: no such bucket, another region, which of the keys is
// wrong.
func (s *Store) reason(ctx context.Context, r request, err error) error {
	f := asFailure(err)
	if f == nil || f.code != "" || f.status < 300 || f.status >= 500 || f.attempts > 0 {
		return err
	}
	r.method, r.header = http.MethodGet, map[string]string{"Range": "bytes=0-0"}
	resp, again := s.client.send(ctx, r)
	if again == nil {
		resp.Body.Close() // it is there now, which the caller was told that it is not
		return err
	}
	if f := asFailure(again); f != nil && f.status == http.StatusRequestedRangeNotSatisfiable {
		return err
	}
	return again
}

// reader reads an object's bytes. Its user is a Blob, which never reads behind
// the end.
type reader struct {
	ctx  context.Context // of all reading
	s    *Store
	d    artifact.Digest
	size int64 // bytes

	pos  int64         // where the next Read begins
	body io.ReadCloser // of a request that is under way; may be nil
	at   int64         // where body stands

	cuts  int   // how often the connection broke of late
	cutAt int64 // where it did so last
}

// healthy is how many bytes come between two broken connections that have
// nothing to do with each other.
const healthy = 1 << 20

// Seek sets where the next Read begins. whence is io.SeekStart, all that a Blob
// uses. It asks for nothing: who serves a blob seeks to the end and back.
func (r *reader) Seek(offset int64, whence int) (int64, error) {
	if whence != io.SeekStart || offset < 0 {
		return 0, fmt.Errorf("a seek to %d from %d", offset, whence)
	}
	r.pos = offset
	return offset, nil
}

func (r *reader) Read(p []byte) (int, error) {
	if r.pos >= r.size {
		return 0, io.EOF
	}
	for {
		if err := r.ctx.Err(); err != nil { // a transport looks at it only now and then
			return 0, r.s.problem(reading, err)
		}
		if err := r.connect(); err != nil {
			return 0, err
		}
		n, err := r.body.Read(p[:min(int64(len(p)), r.size-r.pos)])
		r.pos += int64(n)
		r.at = r.pos
		if n > 0 || err == nil || len(p) == 0 {
			return n, nil // if it broke, the next Read finds out
		}
		r.body.Close()
		r.body = nil
		if err := r.broken(err); err != nil {
			return 0, err
		}
	}
}

// broken waits before the bytes are asked for again, or answers that they are
// not. It never answers an io.ErrUnexpectedEOF: a Blob takes that for damage,
// and what broke is the connection.
func (r *reader) broken(err error) error {
	if r.pos-r.cutAt >= healthy {
		r.cuts = 0
	}
	r.cutAt = r.pos
	r.cuts++
	if err := r.ctx.Err(); err != nil {
		return r.s.problem(reading, err)
	}
	if r.cuts >= r.s.client.attempts {
		what := errors.New("the connection broke: " + r.s.client.clean(err.Error()))
		return r.s.problem(reading, &failure{err: what, attempts: r.cuts})
	}
	if err := r.s.client.wait(r.ctx, r.cuts); err != nil {
		return r.s.problem(reading, err)
	}
	return nil
}

// connect has a request under way that stands where the reader does.
func (r *reader) connect() error {
	if r.body != nil && r.at == r.pos {
		return nil
	}
	r.hangUp()
	req := request{method: http.MethodGet, key: r.s.key(r.d)}
	if r.pos > 0 {
		req.header = map[string]string{"Range": fmt.Sprintf("bytes=%d-", r.pos)}
	}
	resp, err := r.s.client.send(r.ctx, req)
	if f := asFailure(err); f != nil && f.status == http.StatusRequestedRangeNotSatisfiable {
		return artifact.Damaged(r.d, "it is shorter than it was when it was opened")
	}
	if err != nil {
		return r.s.missing(reading, r.d, err)
	}
	if err := r.check(resp); err != nil {
		resp.Body.Close()
		return err
	}
	r.body, r.at = resp.Body, r.pos
	return nil
}

// check holds an answer against what was asked for: from where the reader is to
// the end that the blob had when it was opened.
func (r *reader) check(resp *http.Response) error {
	size := resp.ContentLength // negative if it is not told
	if r.pos > 0 {
		var ok bool
		if size, ok = contentRange(resp.Header.Get("Content-Range"), r.pos); !ok || resp.StatusCode != http.StatusPartialContent {
			return job.Errorf(job.KindConfig, "%s in bucket %s: the service does not answer ranges", reading, r.s.bucket).
				WithHint("look at the endpoint, and at what is between it and this machine")
		}
	}
	if size >= 0 && size != r.size {
		return artifact.Damaged(r.d, fmt.Sprintf("it has %d bytes, and had %d when it was opened", size, r.size))
	}
	return nil
}

// contentRange answers the whole size that "bytes 100-199/200" tells, or -1 for
// "*" in its place; and whether the range begins at from and goes to the end.
func contentRange(header string, from int64) (size int64, ok bool) {
	rest, ok := strings.CutPrefix(header, fmt.Sprintf("bytes %d-", from))
	if !ok {
		return 0, false
	}
	last, whole, _ := strings.Cut(rest, "/")
	end, err := strconv.ParseInt(last, 10, 64)
	if err != nil || end < from {
		return 0, false
	}
	if whole == "*" {
		return -1, true
	}
	size, err = strconv.ParseInt(whole, 10, 64)
	return size, err == nil && end == size-1
}

// hangUp ends the request that is under way.
func (r *reader) hangUp() {
	if r.body == nil {
		return
	}
	if r.size-r.at <= drainable {
		discard(r.body)
	} else {
		r.body.Close()
	}
	r.body = nil
}

// Close ends reading.
func (r *reader) Close() error {
	r.hangUp()
	return nil
}
