package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
	"github.com/takovm/tako/internal/store/postgres"
	"github.com/takovm/tako/internal/store/postgres/pgtest"
)

// follow calls changed until the test ends.
func follow(t testing.TB, s store.Store, changed func(id string)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Follow(ctx, changed); !errors.Is(err, context.Canceled) {
			t.Errorf("follow: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
}

func password(t testing.TB, raw string) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	p, _ := u.User.Password()
	return p
}

func TestServersHearEachOther(t *testing.T) {
	url := pgtest.NewDatabase(t)
	a, b := openAt(t, url, postgres.Options{}), openAt(t, url, postgres.Options{})
	seen := make(chan string, 10_000)
	follow(t, b, func(id string) { seen <- id })
	if id := receive(t, "the first call", seen); id != "" {
		t.Fatalf("the first change is %q", id)
	}
	if err := submit(a, "one"); err != nil {
		t.Fatal(err)
	}
	for receive(t, "a change", seen) != "one" {
	}

	claims := make(chan store.Claim, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	worked := make(chan error, 1)
	go func() {
		worked <- a.Work(ctx, store.Node{Name: "a", Lease: time.Hour}, free{}, func(ctx context.Context, c store.Claim) {
			claims <- c
			<-c.Cancelled
			if err := a.Finish(ctx, c, job.Cancelled, job.Outcome{}); err != nil {
				t.Error(err)
			}
		})
	}()
	c := receive(t, "a claim", claims)
	if _, err := b.Cancel(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	receive(t, "word of the cancel", c.Cancelled)
	until(t, "the end", func() error { return ended(b, "one") })

	// A notice that is longer than a payload may be.
	if _, err := a.SubmitBatch(t.Context(), store.Batch{ID: "big"}, batch(500), 0); err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for _, r := range batch(500) {
		want[r.ID] = true
	}
	for len(want) > 0 {
		id := receive(t, "all changes", seen)
		if id == "" {
			t.Error("something was missed")
		}
		delete(want, id)
	}
	if _, err := b.CancelBatch(t.Context(), "big"); err != nil {
		t.Fatal(err)
	}
	until(t, "the end of the batch", func() error {
		got, err := b.Batch(t.Context(), "big")
		if err == nil && got.EndedAt.IsZero() {
			err = fmt.Errorf("it is %+v", got)
		}
		return err
	})
	if n := query[int](t, url, "SELECT count(*) FROM river_notification"); n != 0 {
		t.Errorf("River wrote %d notices of its own", n)
	}
	cancel()
	if err := receive(t, "the end of Work", worked); err != nil {
		t.Error(err)
	}
}

func batch(n int) []job.Record {
	list := make([]job.Record, n)
	for i := range list {
		list[i] = small(fmt.Sprintf("0198f0a2-7b1c-7d3e-9f55-%012d", i))
	}
	return list
}

// Who could not listen for a while is told so.
func TestListenerBreaks(t *testing.T) {
	url := pgtest.NewDatabase(t)
	a, b := openAt(t, url, postgres.Options{}), openAt(t, url, postgres.Options{})
	seen := make(chan string, 1000)
	follow(t, b, func(id string) { seen <- id })
	receive(t, "the first call", seen)
	if n := query[int](t, url, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
 WHERE query = 'LISTEN tako' AND datname = current_database()`); n != 2 {
		t.Fatalf("%d servers listened", n)
	}
	if id := receive(t, "word that something may have been missed", seen); id != "" {
		t.Errorf("heard of %q first", id)
	}
	if err := submit(a, "one"); err != nil {
		t.Fatal(err)
	}
	for receive(t, "a change", seen) != "one" {
	}
}

// What strangers say on the channel is no notice, and no harm.
func TestOddNotices(t *testing.T) {
	url := pgtest.NewDatabase(t)
	s := openAt(t, url, postgres.Options{})
	seen := make(chan string, 1000)
	follow(t, s, func(id string) { seen <- id })
	receive(t, "the first call", seen)
	for _, payload := range []string{"", "hello", "[]", `{"changed":7}`} {
		query[string](t, url, "SELECT pg_notify('tako', $1)::text", payload)
		if id := receive(t, "word that something may have been missed", seen); id != "" {
			t.Errorf("%q is heard as %q", payload, id)
		}
	}
	query[string](t, url, `SELECT pg_notify('tako', '{"changed":["x"],"new":1}')::text`)
	if id := receive(t, "a change", seen); id != "x" {
		t.Errorf("heard of %q", id)
	}
}

func TestBackupAndSize(t *testing.T) {
	s := openAt(t, pgtest.NewDatabase(t), postgres.Options{})
	if err := s.Backup(t.Context(), t.TempDir()+"/b"); job.KindOf(err) != job.KindInvalid {
		t.Errorf("backup: %v", err)
	}
	st, err := s.Stats(t.Context())
	if err != nil || st.SizeBytes < 1<<20 {
		t.Errorf("size: %d, %v", st.SizeBytes, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
