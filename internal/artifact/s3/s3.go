// Package s3 keeps blobs in a bucket of a service that speaks the protocol of
// Amazon S3: Amazon's own, MinIO, Ceph, Garage, R2 and others. A blob is one
// object:
//
//	prefix/ab12...   a blob, named by its digest
//
// It is written with the standard library alone: an SDK brings a hundred
// packages, each of which is initialised in every sandbox process.
//
// # Storing
//
// A request has to be signed with the digest of what it carries, and the
// service refuses bytes that have another one. So a blob is written to a
// temporary file first (see Options.Spool) and sent when its digest is known,
// in one PUT: the object is there whole or not at all, and at most MaxBlob
// bytes long.
//
// # Reading
//
// Opening a blob asks for its size only; reading asks for the bytes from where
// the reader stands to the end. A connection that breaks is made again from
// there. Bytes that were asked for and not read are thrown away, so a reader
// that jumps about pays for a request at every jump. A blob that is removed
// while it is open can be read as far as its bytes are under way.
//
// # Times
//
// The service keeps times, by its own clock and in whole seconds. It refuses
// requests if the clocks differ by more than 15 minutes, so that
// artifact.MinGrace has room for the difference.
//
// # What the key has to be allowed
//
// s3:GetObject, s3:PutObject and s3:DeleteObject on the objects, and
// s3:ListBucket on the bucket. Without the last, a service says of a blob that
// is not there that it is forbidden, which is an error in the configuration.
// In a bucket with versions a removed blob goes on to take space until a rule
// of the bucket removes old versions.
package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/takovm/tako/internal/artifact"
	"github.com/takovm/tako/internal/artifact/disk"
	"github.com/takovm/tako/internal/job"
)

// MaxBlob is the most bytes of a blob: what services take in one PUT. 5 GiB.
const MaxBlob = 5 << 30

const (
	defaultAttempts = 4
	defaultBackoff  = 100 * time.Millisecond
	maxBackoff      = 5 * time.Second
	defaultTimeout  = time.Minute
)

// Options configure a Store. Parse makes them from a URL; the credentials and
// what follows them are the caller's to add. Printing Options shows no
// credentials.
type Options struct {
	// Bucket has 3 to 63 lower-case letters, digits, dots and hyphens.
	Bucket string
	// Prefix is the folder of the blobs in the bucket, without a slash at
	// either end; at most 512 letters, digits and any of "-_./". Default: none.
	Prefix string
	// Region is where the bucket is, such as eu-central-1. It is needed unless
	// there is an Endpoint, with which the default is us-east-1.
	Region string
	// Endpoint is the service's address, https://HOST[:PORT]. Default: Amazon's
	// of the region.
	Endpoint string
	// PathStyle has the bucket named in the path of a URL, not in its host:
	// most services but Amazon's need it. It is implied where a host cannot
	// name the bucket: an address in numbers, localhost, a bucket with dots.
	PathStyle bool
	// AllowHTTP takes an endpoint without TLS on other hosts than this one.
	// Blobs can be read on the way then; credentials cannot.
	AllowHTTP bool

	// AccessKey and SecretKey are needed; SessionToken comes with credentials
	// that expire. By custom they are in AWS_ACCESS_KEY_ID,
	// AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN.
	AccessKey    string `json:"-"`
	SecretKey    string `json:"-"`
	SessionToken string `json:"-"`

	// Spool is where a blob lies until it is stored, and what stays free there.
	// Default of its Dir: a new one where temporary files are, removed by
	// Close. A server names one of its own: what a crash leaves is then removed
	// at the next start, and it is not in memory as /tmp may be.
	Spool disk.Options

	// Attempts is how often a request is made before it has failed. Default 4.
	Attempts int
	// Backoff is the longest wait before the second attempt; it doubles with
	// every further one, up to 5 seconds, and half of it is random. Default
	// 100 milliseconds.
	Backoff time.Duration
	// Timeout ends an attempt during which nothing was sent or received for so
	// long. There is none for a whole blob, that is the context's. Default 1
	// minute.
	Timeout time.Duration
	// Transport carries the requests. Default: one of the Store's own, which
	// uses the proxy of the environment (HTTPS_PROXY).
	Transport http.RoundTripper
	// Now is the clock that requests are signed with. Default time.Now.
	Now func() time.Time
}

// Store keeps blobs in a bucket.
type Store struct {
	bucket   string
	prefix   string // of keys; ends in a slash unless it is empty
	client   *client
	spool    *disk.Store
	spoolDir string // to be removed by Close; may be empty
	flights  *flights
}

var _ artifact.Store = (*Store)(nil)

// Open makes a Store. It asks the service nothing, see Check. What is wrong
// with the options is job.KindConfig.
func Open(o Options) (_ *Store, err error) {
	place, err := o.place()
	if err != nil {
		return nil, err
	}
	if err := o.checkCredentials(); err != nil {
		return nil, err
	}
	s := &Store{bucket: o.Bucket, client: newClient(o, place), flights: &flights{}}
	if o.Prefix != "" {
		s.prefix = o.Prefix + "/"
	}
	if o.Spool.Dir == "" {
		if s.spoolDir, err = os.MkdirTemp("", "tako-s3-"); err != nil {
			return nil, job.Errorf(job.KindUnavailable, "the directory for blobs on their way to a bucket: %w", err)
		}
		o.Spool.Dir = s.spoolDir
	}
	if s.spool, err = disk.Open(o.Spool); err != nil {
		return nil, errors.Join(err, s.removeSpool())
	}
	return s, nil
}

// Accepted is the same store for what jobs leave that were accepted: its spool
// is disk.Store's of that name. It is closed with s and not by itself.
func (s *Store) Accepted() *Store {
	accepted := *s
	accepted.spool = s.spool.Accepted()
	return &accepted
}

// Check asks the service for one entry of the bucket, so that a wrong key,
// bucket, region or endpoint is told at the start and not by the first job.
func (s *Store) Check(ctx context.Context) error {
	_, err := s.List(ctx, "", 1)
	return err
}

// Close ends the use of the bucket. Blobs that are open stay readable.
func (s *Store) Close() error {
	s.client.close()
	return errors.Join(s.spool.Close(), s.removeSpool())
}

func (s *Store) removeSpool() error {
	if s.spoolDir == "" {
		return nil
	}
	return os.RemoveAll(s.spoolDir)
}

// String names the bucket. It keeps the credentials out of what %v prints.
func (s *Store) String() string { return "s3://" + s.bucket + "/" + s.prefix }

// GoString is String for %#v.
func (s *Store) GoString() string { return s.String() }

func (s *Store) key(d artifact.Digest) string { return s.prefix + string(d) }

// checkCall refuses what is no digest, and a context that is over.
func checkCall(ctx context.Context, d artifact.Digest) error {
	if err := d.Check(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("blob %s: %w", d, err)
	}
	return nil
}
