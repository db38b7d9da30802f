package s3

import (
	"context"
	"sync"

	"github.com/takovm/tako/internal/artifact"
)

// flights keeps a Store from removing a blob for its age while the same Store
// puts it; see DeleteBefore. Only what is under way is in it. The zero value is
// ready.
type flights struct {
	mu      sync.Mutex
	stores  map[artifact.Digest]int           // how many
	removes map[artifact.Digest]chan struct{} // closed at the end
}

// store begins to put a blob, when it is not being removed any more. What it
// answers ends that. The error is the context's.
func (f *flights) store(ctx context.Context, d artifact.Digest) (landed func(), err error) {
	for {
		f.mu.Lock()
		removed, under := f.removes[d]
		if !under {
			break
		}
		f.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-removed:
		}
	}
	defer f.mu.Unlock()
	if f.stores == nil {
		f.stores = map[artifact.Digest]int{}
	}
	f.stores[d]++
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.stores[d]--; f.stores[d] == 0 {
			delete(f.stores, d)
		}
	}, nil
}

// remove begins to remove a blob. It fails if the blob is being put, and so
// becomes young, or if another removes it.
func (f *flights) remove(d artifact.Digest) (landed func(), ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stores[d] > 0 || f.removes[d] != nil {
		return nil, false
	}
	if f.removes == nil {
		f.removes = map[artifact.Digest]chan struct{}{}
	}
	done := make(chan struct{})
	f.removes[d] = done
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.removes, d)
		close(done)
	}, true
}
