// Package artifact is the contract of a store of blobs: the files that jobs
// leave behind and those that are uploaded for them. Its drivers are disk (a
// directory, the default) and s3; artifacttest is the suite that each of them
// passes.
//
// # Vocabulary
//
// A blob is a sequence of bytes that never changes. Its name is its digest, the
// SHA-256 of its bytes, so that whoever puts the same bytes twice has one blob,
// and a blob that was damaged can be told from a good one. Which file of which
// job a blob is, and what type it has, is told by records; a blob knows nothing
// of that.
//
// # Lifecycle
//
// Put stores a blob under the digest that it computes on the way, all or
// nothing: when it returns without an error the bytes are durable, and when it
// returns with one there is nothing. Putting what is there renews its time.
//
// Nobody counts references. A blob that no record refers to is removed by
// Collect, once it is older than a grace period; the period covers the moment
// between a Put and the record that names what was put. Whoever makes a new
// record for blobs that are already there touches them first: what named them
// so far, a record or an upload, may be gone before the new record is stored.
//
// # Integrity
//
// A blob that is read from its first byte to its last is hashed meanwhile, and
// its last bytes are withheld if it is not what its name says: the reader gets
// ErrCorrupt instead of them, so that a client sees a short answer, never a
// complete wrong one. One that is cut short is reported in the same way.
// Reading parts of a blob checks nothing but its size.
//
// # Space
//
// A Put is refused with job.KindUnavailable while the disk still has room for
// everything else that writes to it; see the drivers.
//
// # Errors
//
// What is not there is ErrNotFound (job.KindNotFound); what is no digest, or
// larger than the limit, is job.KindInvalid; a disk or service that cannot do
// it now is job.KindUnavailable.
package artifact

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"time"

	"github.com/takovm/tako/internal/job"
)

var (
	// ErrNotFound is wrapped by what is answered for a blob that is not there.
	ErrNotFound = errors.New("no such blob")
	// ErrCorrupt is wrapped by what a reader of a damaged blob gets.
	ErrCorrupt = errors.New("the blob is damaged")
)

// Digest names a blob: the SHA-256 of its bytes as 64 lower-case hex digits.
type Digest string

const digestLen = 64

// ParseDigest takes text that strangers wrote. The error is job.KindInvalid.
func ParseDigest(text string) (Digest, error) {
	d := Digest(text)
	return d, d.Check()
}

// Check answers job.KindInvalid for what is not a digest. Drivers call it on
// whatever they are given: a digest becomes part of a path.
func (d Digest) Check() error {
	if len(d) != digestLen {
		return job.Errorf(job.KindInvalid, "a digest has %d hex digits", digestLen)
	}
	for _, c := range []byte(d) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return job.Errorf(job.KindInvalid, "a digest has lower-case hex digits only")
		}
	}
	return nil
}

// digestOf makes a Digest of a finished hash.
func digestOf(sum []byte) Digest { return Digest(hex.EncodeToString(sum)) }

// Info is what a store knows of a blob.
type Info struct {
	Digest  Digest
	Size    int64     // bytes
	ModTime time.Time // of the last Put or Touch
}

// Store keeps blobs. Any number of goroutines, and of processes, may use the
// same one.
type Store interface {
	// Put stores what r holds and answers its digest and size. More than limit
	// bytes are job.KindInvalid, and so is a limit below 0. An error of r is
	// wrapped.
	Put(ctx context.Context, r io.Reader, limit int64) (Digest, int64, error)
	// Open answers a reader of the blob. ctx is for opening and, where the blob
	// is far away, for all reading: it must live as long as the Blob.
	Open(ctx context.Context, d Digest) (*Blob, error)
	// Stat answers what Open would open.
	Stat(ctx context.Context, d Digest) (Info, error)
	// Touch renews the time of a blob, as putting it again would. A blob that it
	// answers no error for stays for MinGrace, whatever collection is under way.
	Touch(ctx context.Context, d Digest) error
	// Delete removes a blob. One that is not there is not an error.
	Delete(ctx context.Context, d Digest) error
	// DeleteBefore removes a blob that was last put or touched before t, and
	// reports whether it did.
	DeleteBefore(ctx context.Context, d Digest, t time.Time) (bool, error)
	// List answers up to limit blobs with digests after that one, in order;
	// fewer than limit when there are no more. An empty digest is before all.
	// What lies in the same place and is no blob is left out. limit is 1 to
	// 1,000.
	List(ctx context.Context, after Digest, limit int) ([]Info, error)
	Close() error
}

// MaxList is the most that one List may ask for.
const MaxList = 1000

// NotFound is the error for a blob that is not there. For drivers.
func NotFound(d Digest) error {
	return job.Errorf(job.KindNotFound, "blob %s: %w", d, ErrNotFound)
}

// Damaged is the error for a blob that is not what its name says. The mend is
// the operator's: the bytes are lost unless there is a copy.
func Damaged(d Digest, what string) error {
	return job.Errorf(job.KindInternal, "blob %s: %w: %s", d, ErrCorrupt, what).
		WithHint("look at where blobs are kept; restore it from a backup or run its job again")
}

// CheckList answers job.KindInvalid for arguments that List does not take. For
// drivers.
func CheckList(after Digest, limit int) error {
	if limit < 1 || limit > MaxList {
		return job.Errorf(job.KindInvalid, "a list of blobs has 1 to %d entries, not %d", MaxList, limit)
	}
	if after == "" {
		return nil
	}
	return after.Check()
}
