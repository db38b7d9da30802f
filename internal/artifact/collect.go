package artifact

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Collected says what a collection did.
type Collected struct {
	Seen    int   // blobs that were looked at
	Removed int   // blobs that were removed
	Bytes   int64 // of those
}

// Used answers which of up to MaxList digests some record refers to; those
// that the map does not have, or has as false, are removed. Blobs of a
// store.Store is one.
type Used func(ctx context.Context, digests []string) (map[string]bool, error)

// collectPage is how many blobs are asked about at once: a statement of a
// database takes that many parameters with room to spare.
const collectPage = 500

// MinGrace is the least age at which Collect removes a blob. A shorter one
// could be over before the record of a job with many artifacts is stored.
const MinGrace = time.Hour

// Collect removes the blobs that nobody refers to and that were last put
// before now less grace; a grace below MinGrace is MinGrace. If used fails,
// nothing of its page is removed and Collect ends; a blob that cannot be
// removed is left for the next time, and does not keep others from being
// removed.
//
// Whether a blob is used is asked after it was listed, and its age is looked at
// again when it is removed, so that one that was put again or touched meanwhile
// stays.
func Collect(ctx context.Context, s Store, used Used, now time.Time, grace time.Duration) (Collected, error) {
	c := collection{store: s, used: used, before: now.Add(-max(grace, MinGrace))}
	err := c.run(ctx)
	return c.done, errors.Join(append(c.failed, err)...)
}

// collection is one run of Collect.
type collection struct {
	store  Store
	used   Used
	before time.Time
	done   Collected
	failed []error // of blobs that stayed
}

// run goes through the pages. Its error ends the collection.
func (c *collection) run(ctx context.Context) error {
	after := Digest("")
	for {
		page, err := c.store.List(ctx, after, collectPage)
		if err != nil {
			return fmt.Errorf("collecting blobs: %w", err)
		}
		if len(page) == 0 {
			return nil
		}
		after = page[len(page)-1].Digest
		c.done.Seen += len(page)
		if err := c.page(ctx, page); err != nil {
			return err
		}
	}
}

// page removes what of a page is old and not used.
func (c *collection) page(ctx context.Context, page []Info) error {
	var old []Info
	var digests []string
	for _, info := range page {
		if info.ModTime.Before(c.before) {
			old = append(old, info)
			digests = append(digests, string(info.Digest))
		}
	}
	if len(old) == 0 {
		return nil
	}
	used, err := c.used(ctx, digests)
	if err != nil {
		return fmt.Errorf("asking which blobs are used: %w", err)
	}
	for _, info := range old {
		if used[string(info.Digest)] {
			continue
		}
		removed, err := c.store.DeleteBefore(ctx, info.Digest, c.before)
		if removed {
			c.done.Removed++
			c.done.Bytes += info.Size
		}
		if ctx.Err() != nil {
			return fmt.Errorf("collecting blobs: %w", ctx.Err())
		}
		if err != nil {
			c.failed = append(c.failed, fmt.Errorf("removing a blob: %w", err))
		}
	}
	return nil
}
