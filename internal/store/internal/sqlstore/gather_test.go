package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store/internal/entry"
)

// counting is a database that takes its time for a transaction, and notes how
// many rows each had.
type counting struct {
	Database
	mu     sync.Mutex
	groups []int
	fail   func(ids []string) error
}

func (c *counting) Write(ctx context.Context, fn func(context.Context, Tx) error) error {
	t := &countingTx{}
	if err := fn(ctx, t); err != nil {
		return err
	}
	<-time.After(5 * time.Millisecond)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.groups = append(c.groups, len(t.ids))
	if c.fail != nil {
		return c.fail(t.ids)
	}
	return nil
}

func (c *counting) Wake()       {}
func (c *counting) Tell(Notice) {}

type countingTx struct {
	Tx
	ids []string
}

func (t *countingTx) InsertEntries(_ context.Context, entries []entry.Entry) (map[string]int64, error) {
	ids := map[string]int64{}
	for _, e := range entries {
		ids[e.Record] = 1
		t.ids = append(t.ids, e.Record)
	}
	return ids, nil
}

func (t *countingTx) Each(_ context.Context, query string, args []any, row func(Scan) error) error {
	if !strings.HasPrefix(query, "INSERT INTO records") {
		return fmt.Errorf("not expected: %s", query)
	}
	for i := 0; i < len(args); i += recordWidth {
		if err := row(func(dest ...any) error {
			*dest[0].(*string), *dest[1].(*int64) = args[i].(string), 1
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

func (t *countingTx) Do(context.Context, string, ...any) error { return nil }

// Clients that submit again as soon as they are answered come to share
// transactions; one alone waits for nobody.
func TestGather(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &counting{}
		s := New(db, Options{})
		submit := func(id string) {
			if _, err := s.Submit(t.Context(), []job.Record{{ID: id}}, 0); err != nil {
				t.Error(err)
			}
		}
		begun := time.Now()
		for i := range 3 {
			submit(fmt.Sprint("alone-", i))
		}
		if took := time.Since(begun); took != 15*time.Millisecond {
			t.Errorf("three alone took %v", took)
		}
		var all sync.WaitGroup
		for c := range 16 {
			all.Go(func() {
				for i := range 10 {
					submit(fmt.Sprint(c, "-", i))
				}
			})
		}
		all.Wait()
		if n := len(db.groups); n > 3+12 {
			t.Errorf("160 submissions took %d transactions: %v", n-3, db.groups)
		}
		begun = time.Now()
		submit("again alone") // which waits for the sixteen, if they are still expected
		submit("and again")
		if took := time.Since(begun); took > 2*5*time.Millisecond+gatherFor {
			t.Errorf("the last two took %v", took)
		}
	})
}

// A transaction that may have been committed is not tried again, and one that
// was not costs only those their answer who are at fault.
func TestGatherFails(t *testing.T) {
	for name, tt := range map[string]struct {
		err   error
		wrong int // of three
	}{
		"at fault":    {job.Errorf(job.KindInvalid, "no"), 1},
		"unavailable": {job.Errorf(job.KindUnavailable, "gone"), 3},
	} {
		synctest.Test(t, func(t *testing.T) {
			db := &counting{fail: func(ids []string) error {
				if slices.Contains(ids, "b") {
					return tt.err
				}
				return nil
			}}
			s := New(db, Options{})
			go func() { _, _ = s.Submit(t.Context(), []job.Record{{ID: "before"}}, 0) }()
			synctest.Wait() // the others meet while it is stored
			errs := make(chan error, 3)
			for _, id := range []string{"a", "b", "c"} {
				go func() {
					_, err := s.Submit(t.Context(), []job.Record{{ID: id}}, 0)
					errs <- err
				}()
			}
			wrong := 0
			for range 3 {
				if err := <-errs; err != nil {
					wrong++
				}
			}
			if wrong != tt.wrong {
				t.Errorf("%s: %d of 3 failed; transactions: %v", name, wrong, db.groups)
			}
		})
	}
}

// Who goes away before the transaction began is not stored; a panic is one
// submission's error and holds nobody up.
func TestGatherLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &counting{}
		s := New(db, Options{Fault: func(string) error {
			if len(db.groups) == 1 {
				panic("a defect")
			}
			return nil
		}})
		go func() { _, _ = s.Submit(t.Context(), []job.Record{{ID: "before"}}, 0) }()
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan error)
		go func() {
			_, err := s.Submit(ctx, []job.Record{{ID: "left"}}, 0)
			left <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if _, err := s.Submit(t.Context(), []job.Record{{ID: "broken"}}, 0); job.KindOf(err) != job.KindInternal {
			t.Errorf("a panic: %v", err)
		}
	})
}

// Once the database does not answer one of a group, the rest hear of it at once.
func TestGatherSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &counting{}
		tries := 0
		db.fail = func(ids []string) error {
			if ids[0] == "before" {
				return nil
			}
			if tries++; tries == 1 {
				return job.Errorf(job.KindInternal, "something")
			}
			<-time.After(15 * time.Second)
			return job.Errorf(job.KindUnavailable, "silent")
		}
		s := New(db, Options{Patience: time.Hour})
		go func() { _, _ = s.Submit(t.Context(), []job.Record{{ID: "before"}}, 0) }()
		synctest.Wait()
		begun := time.Now()
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				if _, err := s.Submit(t.Context(), []job.Record{{ID: fmt.Sprint("r", i)}}, 0); job.KindOf(err) != job.KindUnavailable {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if took := time.Since(begun); took > 20*time.Second {
			t.Errorf("the last heard after %v", took)
		}
	})
}
