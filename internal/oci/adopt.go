package oci

import (
	"context"
	"os"
	"syscall"

	"github.com/takovm/tako/internal/environment"
)

// Adopt makes an image of another store one of this store's, under its reference
// and without asking anybody. Its blobs stay where they are: it can be run in, and
// not be the base of another.
func (s *Store) Adopt(ctx context.Context, from *Store, reference string) (*Image, error) {
	release, err := from.lock(ctx, syscall.LOCK_SH) // nobody removes it meanwhile
	if err != nil {
		return nil, err
	}
	defer release()
	image, err := from.Show(reference)
	if err != nil {
		return nil, err
	}
	if _, err := from.Find(reference); err != nil || sameDirectory(s.dir, from.dir) { // the error says how it is made again
		return image, err
	}
	unlock, err := s.lock(ctx, syscall.LOCK_SH)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if _, err := environment.AdoptTree(ctx, from.environments, s.environments, image.Digest); err != nil {
		return nil, err
	}
	image.Blobs = nil
	return image, s.record(image)
}

func sameDirectory(a, b string) bool {
	one, oneErr := os.Stat(a)
	other, otherErr := os.Stat(b)
	return oneErr == nil && otherErr == nil && os.SameFile(one, other)
}
