package artifacttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/takovm/tako/internal/artifact"
	"github.com/takovm/tako/internal/job"
)

func (s *suite) list(t *testing.T) {
	store := s.open(t)
	empty(t, store)
	var want []artifact.Digest
	for i := range 25 {
		want = append(want, put(t, store, fmt.Appendf(nil, "blob %d", i)))
	}
	slices.Sort(want)
	for _, limit := range []int{1, 7, 25, 26, artifact.MaxList} {
		var got []artifact.Digest
		after := artifact.Digest("")
		for {
			page, err := store.List(t.Context(), after, limit)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) > limit {
				t.Fatalf("%d blobs for a limit of %d", len(page), limit)
			}
			for _, info := range page {
				got = append(got, info.Digest)
				if info.Size < 6 || info.ModTime.IsZero() {
					t.Errorf("%+v", info)
				}
			}
			if len(page) < limit {
				break
			}
			after = page[len(page)-1].Digest
		}
		if !slices.Equal(got, want) {
			t.Errorf("pages of %d: %d blobs, in order %v", limit, len(got), slices.IsSorted(got))
		}
	}
}

func (s *suite) clutter(t *testing.T) {
	store := s.open(t)
	d := put(t, store, []byte("blob"))
	s.Clutter(t, store)
	list := all(t, store)
	if len(list) != 1 || list[0].Digest != d {
		t.Errorf("the list is %v", list)
	}
}

func (s *suite) listArguments(t *testing.T) {
	store := s.open(t)
	for _, limit := range []int{-1, 0, artifact.MaxList + 1} {
		_, err := store.List(t.Context(), "", limit)
		wantKind(t, err, job.KindInvalid)
	}
	_, err := store.List(t.Context(), "zz", 1)
	wantKind(t, err, job.KindInvalid)
}

func (s *suite) many(t *testing.T) {
	store := s.open(t)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			data := bytes.Repeat([]byte{byte(i % 4)}, 10_000)
			d, _, err := store.Put(t.Context(), bytes.NewReader(data), 10_000)
			if err != nil {
				t.Errorf("put: %v", err)
				return
			}
			if got, err := read(t, store, d); err != nil || !bytes.Equal(got, data) {
				t.Errorf("read: %d bytes, %v", len(got), err)
			}
		})
	}
	wg.Wait()
	if n := len(all(t, store)); n != 4 {
		t.Errorf("%d blobs", n)
	}
}

// using answers a Used for which these digests are used.
func using(digests ...artifact.Digest) artifact.Used {
	return func(_ context.Context, asked []string) (map[string]bool, error) {
		used := map[string]bool{}
		for _, d := range asked {
			used[d] = slices.Contains(digests, artifact.Digest(d))
		}
		return used, nil
	}
}

// later is when everything that was put just now is older than the grace.
func later(grace time.Duration) time.Time { return time.Now().Add(grace + time.Minute) }

func (s *suite) collect(t *testing.T) {
	store := s.open(t)
	used, unused := put(t, store, []byte("used")), put(t, store, []byte("unused"))
	const grace = 2 * time.Hour
	for _, tc := range []struct {
		name  string
		now   time.Time
		grace time.Duration
		left  int
	}{
		{"young", time.Now(), grace, 2},
		{"no grace is some grace", time.Now().Add(artifact.MinGrace / 2), 0, 2},
		{"old", later(grace), grace, 1},
		{"again", later(grace), grace, 1},
	} {
		done, err := artifact.Collect(t.Context(), store, using(used), tc.now, tc.grace)
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		if n := len(all(t, store)); n != tc.left {
			t.Errorf("%s: %d are left, %+v", tc.name, n, done)
		}
		if want := (artifact.Collected{Seen: 2, Removed: 1, Bytes: 6}); tc.name == "old" && done != want {
			t.Errorf("%s: %+v", tc.name, done)
		}
	}
	if _, err := store.Stat(t.Context(), unused); !errors.Is(err, artifact.ErrNotFound) {
		t.Errorf("the wrong one is left: %v", err)
	}
}

// A blob is put again after it was found old and unused and before it is
// removed.
func (s *suite) collectPut(t *testing.T) {
	collectRace(t, s.open(t), func(store artifact.Store, _ artifact.Digest) { put(t, store, []byte("again")) })
}

func (s *suite) collectTouched(t *testing.T) {
	collectRace(t, s.open(t), func(store artifact.Store, d artifact.Digest) { touch(t, store, d) })
}

// collectRace renews a blob while it is collected. It was only just too old, so
// that its new time is young enough.
func collectRace(t *testing.T, store artifact.Store, renew func(artifact.Store, artifact.Digest)) {
	t.Helper()
	d := put(t, store, []byte("again"))
	first, err := store.Stat(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	now := first.ModTime.Add(artifact.MinGrace + time.Nanosecond) // only just too old
	again := func(context.Context, []string) (map[string]bool, error) {
		renewed(t, store, first, func() { renew(store, d) })
		return nil, nil
	}
	if _, err := artifact.Collect(t.Context(), store, again, now, artifact.MinGrace); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Stat(t.Context(), d); err != nil {
		t.Errorf("what was renewed: %v", err)
	}
}

// renewed calls renew until the blob has a later time than first: stores keep
// times in steps of up to a second.
func renewed(t *testing.T, store artifact.Store, first artifact.Info, renew func()) {
	t.Helper()
	for t.Context().Err() == nil {
		renew()
		second, err := store.Stat(t.Context(), first.Digest)
		if err != nil {
			t.Fatalf("stat: %v", err)
		}
		if second.ModTime.After(first.ModTime) {
			return
		}
	}
}

func (s *suite) collectUnknown(t *testing.T) {
	store := s.open(t)
	put(t, store, []byte("unused"))
	down := errors.New("the database is down")
	unknown := func(context.Context, []string) (map[string]bool, error) { return nil, down }
	done, err := artifact.Collect(t.Context(), store, unknown, later(artifact.MinGrace), artifact.MinGrace)
	if !errors.Is(err, down) || done.Removed != 0 || len(all(t, store)) != 1 {
		t.Errorf("%+v, %v", done, err)
	}
}

// More than one page.
func (s *suite) collectMany(t *testing.T) {
	store := s.open(t)
	const n = 520
	var kept []artifact.Digest
	for i := range n {
		d := put(t, store, fmt.Appendf(nil, "blob %d", i))
		if i%10 == 0 {
			kept = append(kept, d)
		}
	}
	done, err := artifact.Collect(t.Context(), store, using(kept...), later(artifact.MinGrace), artifact.MinGrace)
	if err != nil || done.Seen != n || done.Removed != n-len(kept) {
		t.Errorf("%+v, %v", done, err)
	}
	if left := all(t, store); len(left) != len(kept) {
		t.Errorf("%d are left, want %d", len(left), len(kept))
	}
}
