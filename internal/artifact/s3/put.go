package s3

import (
	"context"
	"io"
	"net/http"

	"github.com/takovm/tako/internal/artifact"
)

// expectFrom is the size, in bytes, from which the service is asked whether it
// would take a blob before it is sent. That costs a round trip.
const expectFrom = 1 << 20

// Put stores what r holds, over what is there: that may be damaged, and its
// time has to be renewed in any case.
func (s *Store) Put(ctx context.Context, r io.Reader, limit int64) (artifact.Digest, int64, error) {
	const doing = "storing a blob"
	f, err := s.spool.Spool(ctx, r, min(limit, MaxBlob))
	if err != nil {
		return "", 0, err
	}
	defer f.Discard()
	landed, err := s.flights.store(ctx, f.Digest)
	if err != nil {
		return "", 0, s.problem(doing, err)
	}
	defer landed()
	req := request{
		method: http.MethodPut,
		key:    s.key(f.Digest),
		header: map[string]string{"Content-Type": "application/octet-stream"},
		body:   &upload{file: f, digest: f.Digest, size: f.Size},
	}
	if f.Size >= expectFrom {
		req.header["Expect"] = "100-continue"
	}
	answer, err := s.client.finish(ctx, req)
	if err == nil && answer.Get("Etag") == "" {
		err = &failure{err: errNoS3}
	}
	if err != nil {
		return "", 0, s.problem(doing, err)
	}
	return f.Digest, f.Size, nil
}
