package s3

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"

	"github.com/takovm/tako/internal/artifact"
)

const renewing = "renewing the time of a blob"

// Touch renews the time of a blob by having the service copy it onto itself,
// which a service takes only with something to replace. One that copies nothing
// gets the bytes again.
func (s *Store) Touch(ctx context.Context, d artifact.Digest) error {
	if err := checkCall(ctx, d); err != nil {
		return err
	}
	err := s.copyOnto(ctx, d)
	if f := asFailure(err); f != nil && f.status == http.StatusNotImplemented {
		return s.putAgain(ctx, d)
	}
	return s.missing(renewing, d, err)
}

// copyOnto keeps this Store from removing the blob meanwhile; see DeleteBefore.
func (s *Store) copyOnto(ctx context.Context, d artifact.Digest) error {
	landed, err := s.flights.store(ctx, d)
	if err != nil {
		return err
	}
	defer landed()
	req := request{method: http.MethodPut, key: s.key(d), header: map[string]string{
		"Content-Type":             "application/octet-stream",
		"X-Amz-Copy-Source":        encodePath("/" + s.bucket + "/" + s.key(d)),
		"X-Amz-Metadata-Directive": "REPLACE",
	}}
	return s.client.retry(ctx, func() error {
		resp, err := s.client.once(ctx, req)
		if err != nil {
			return err
		}
		defer discard(resp.Body)
		return s.client.copied(ctx, resp.Body)
	})
}

// copied reads what became of a copy. A service answers success before it is
// done, so as not to keep anybody waiting in silence, and may then say that it
// failed after all.
func (c *client) copied(ctx context.Context, r io.Reader) error {
	body := &failing{r: r}
	var answer struct {
		XMLName                        xml.Name
		ETag, Code, Message, RequestId string
	}
	err := xml.NewDecoder(io.LimitReader(body, maxErrorBody)).Decode(&answer)
	switch {
	case body.err != nil:
		return c.noAnswer(ctx, ctx, body.err)
	case err != nil:
		return &failure{err: fmt.Errorf("%w: %s", errNoS3, c.clean(err.Error()))}
	case answer.XMLName.Local == "Error":
		return &failure{
			status: http.StatusInternalServerError, again: true,
			code: c.clean(answer.Code), message: c.clean(answer.Message), request: c.clean(answer.RequestId),
		}
	case answer.ETag == "":
		return &failure{err: errNoS3}
	}
	return nil
}

func (s *Store) putAgain(ctx context.Context, d artifact.Digest) error {
	b, err := s.Open(ctx, d)
	if err != nil {
		return err
	}
	defer b.Close()
	_, _, err = s.Put(ctx, b, b.Size)
	return err
}
