package disk

import (
	"golang.org/x/sys/unix"

	"github.com/takovm/tako/internal/job"
)

// Reserve is what is left free of a disk: a blob is refused when less than the
// larger of the two is. The zero value is DefaultReserve; a negative Bytes
// reserves nothing.
type Reserve struct {
	Bytes   int64
	Percent int // of the whole disk, 0 to 100
}

// DefaultReserve is what databases and logs beside the blobs can live from
// until somebody looks: 1 GiB or 5 %.
func DefaultReserve() Reserve { return Reserve{Bytes: 1 << 30, Percent: 5} }

// of answers the reserve of a disk, in bytes.
func (r Reserve) of(total int64) int64 {
	switch {
	case r == (Reserve{}):
		r = DefaultReserve()
	case r.Bytes < 0:
		return 0
	}
	return max(r.Bytes, total/100*int64(r.Percent))
}

// Space answers how many bytes of the disk are free, and how many of them are
// kept so: blobs are refused while free is less than kept.
func (s *Store) Space() (free, kept int64, err error) {
	free, total, err := s.space()
	if err != nil {
		return 0, 0, s.problem("looking for room for", err)
	}
	return free, s.reserve.of(total) / s.share, nil
}

// Accepted is the same store for what jobs leave that were accepted. They may
// use the reserve, which is kept for them, but for its last quarter: the
// database has to record how they end. It is closed with s and not by itself.
func (s *Store) Accepted() *Store {
	accepted := *s
	accepted.share = 4
	return &accepted
}

// checkSpace refuses while the disk still has room for what is not a blob. It
// refuses, too, when nobody knows how much there is.
func (s *Store) checkSpace() error {
	free, kept, err := s.Space()
	if err != nil {
		return err
	}
	if free >= kept {
		return nil
	}
	return job.Errorf(job.KindUnavailable, "the disk is nearly full").
		WithHint("%d MiB are free for blobs and %d MiB are kept free: free some space below %s", free>>20, kept>>20, s.dir)
}

func (s *Store) statfs() (free, total int64, err error) {
	var st unix.Statfs_t
	err = on(s.root, "statfs", "", func(fd int) error { return unix.Fstatfs(fd, &st) })
	size := st.Frsize
	if size == 0 { // some file systems leave it out
		size = st.Bsize
	}
	return int64(st.Bavail) * size, int64(st.Blocks) * size, err
}
