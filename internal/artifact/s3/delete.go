package s3

import (
	"context"
	"net/http"
	"time"

	"github.com/takovm/tako/internal/artifact"
)

const removing = "removing a blob"

// Delete removes a blob.
func (s *Store) Delete(ctx context.Context, d artifact.Digest) error {
	if err := checkCall(ctx, d); err != nil {
		return err
	}
	_, err := s.client.finish(ctx, request{method: http.MethodDelete, key: s.key(d)})
	if gone(err) { // most services say success to that, too
		return nil
	}
	return s.problem(removing, err)
}

// DeleteBefore removes a blob that was last put before t. Times being cut to a
// second, it leaves one that may have been put in the second before t.
//
// S3 has no request for "remove it if it is older than". So there is a window:
// the service is asked for the time of a blob, somebody puts or touches the blob,
// and the request to remove it, sent for the older time, hits the new one. It
// is one round trip wide, opens for blobs only that are unused and past the
// grace of a collection, and somebody has to want the very same bytes in it.
// This is what is done about it:
//
//   - Within one Store it cannot happen: flights keeps a blob that is being put
//     or touched from being removed, and the other way round. So a bucket that one server
//     writes to has no window.
//   - Other servers are told apart by the ETag, which the removal names with
//     If-Match. It differs after a put where objects are encrypted by keys of
//     KMS, or after what was damaged was mended. Elsewhere it is the MD5 of the
//     bytes, the same for the same bytes, and the window stays. A service that
//     does not know If-Match here ignores it or says so, and is then asked
//     without.
//   - Before every attempt to remove, the time is asked for again, so that waits
//     between attempts do not widen the window. What is left is a removal that
//     got no answer in time and that the service does later all the same.
//
// Servers that share a bucket and cannot live with that give the bucket
// versions: what was removed can then be restored.
func (s *Store) DeleteBefore(ctx context.Context, d artifact.Digest, t time.Time) (bool, error) {
	if err := checkCall(ctx, d); err != nil {
		return false, err
	}
	landed, ok := s.flights.remove(d)
	if !ok {
		return false, nil
	}
	defer landed()
	r := removal{s: s, d: d, before: t}
	err := s.client.retry(ctx, func() error { return r.try(ctx) })
	return r.done, s.problem(removing, err)
}

// removal is one DeleteBefore.
type removal struct {
	s      *Store
	d      artifact.Digest
	before time.Time
	plain  bool // without If-Match
	sent   bool // a removal was sent, and may have worked without our knowing
	done   bool
}

// try looks at the blob and removes it if it is old.
func (r *removal) try(ctx context.Context) error {
	o, err := r.s.head(ctx, r.d)
	if gone(err) {
		r.done = r.sent
		return nil
	}
	if err != nil {
		return err
	}
	if o.modTime.Add(time.Second).After(r.before) {
		return nil
	}
	req := request{method: http.MethodDelete, key: r.s.key(r.d)}
	if o.etag != "" && !r.plain {
		req.header = map[string]string{"If-Match": o.etag}
	}
	resp, err := r.s.client.once(ctx, req)
	f := asFailure(err)
	switch {
	case err == nil:
		r.done = true
		discard(resp.Body)
		return nil
	case f == nil:
		return err
	case f.status == http.StatusNotFound && f.code != "NoSuchBucket":
		r.done = r.sent
		return nil
	case f.status == http.StatusPreconditionFailed, f.status == http.StatusConflict:
		return nil // it is another one by now, or becomes one
	case f.status == http.StatusNotImplemented && req.header != nil:
		r.plain = true
		return r.try(ctx)
	}
	r.sent = true
	return err
}
