package soak

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
	"github.com/takovm/tako/internal/store/postgres"
	"github.com/takovm/tako/internal/store/postgres/pgtest"
	"github.com/takovm/tako/internal/store/sqlite"
)

const (
	shortHistory = 1000
	longHistory  = 100_000
	// mostGrowth is how much dearer a request may be with the long history: an
	// index has a level more, and less of it is in memory.
	mostGrowth = 2.0
	// noise is what a call may differ by in any case.
	noise = 200 * time.Microsecond
)

// What a request costs does not grow with the history.
func TestHistory(t *testing.T) {
	if os.Getenv(variable) == "" {
		t.Skip("the soak is run by make soak")
	}
	t.Run("SQLite", func(t *testing.T) {
		st, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "tako.db"), sqlite.Options{})
		must(t, err)
		history(t, st, func() {})
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Cleanup(pgtest.Setup())
		url := pgtest.NewDatabase(t)
		st, err := postgres.Open(t.Context(), url, postgres.Options{})
		must(t, err)
		history(t, st, func() { vacuum(t, url) })
	})
}

// vacuum does what autovacuum does within a minute: these records are younger.
func vacuum(t *testing.T, url string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	must(t, err)
	defer func() { must(t, conn.Close(context.Background())) }()
	_, err = conn.Exec(t.Context(), "VACUUM ANALYZE")
	must(t, err)
}

func history(t *testing.T, st store.Store, settle func()) {
	defer func() { must(t, st.Close()) }()
	grow(t, st, 0, shortHistory)
	settle()
	short := costs(t, st)
	grow(t, st, shortHistory, longHistory)
	settle()
	long := costs(t, st)
	for i, s := range short {
		l := long[i]
		ratio := float64(l.took) / float64(s.took)
		t.Logf("%-22s %8v with %d records, %8v with %d: %.2f", s.name, s.took, shortHistory, l.took, longHistory, ratio)
		if ratio > mostGrowth && l.took-s.took > noise {
			t.Errorf("%s costs %.2f times as much with %d records as with %d", s.name, ratio, longHistory, shortHistory)
		}
	}
}

var node = store.Node{Name: "soak", Lease: time.Hour}

func record(id string) job.Record {
	return job.Record{ID: id, JobType: "default", JobRef: "default@latest", MaxAttempts: 2, CodeHash: "c", InputHash: "i",
		Request: job.Request{Code: "print(1)", Language: "python", Input: []byte(`{}`), Priority: 2, Retry: job.RetryInfrastructure,
			Labels: map[string]string{"team": id[len(id)-1:]}}}
}

// grow adds records that have ended.
func grow(t *testing.T, st store.Store, from, to int) {
	t.Helper()
	next := make(chan int, to-from)
	for i := from; i < to; i++ {
		next <- i
	}
	close(next)
	errs := make(chan error, 64)
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			for i := range next {
				if err := execute(t.Context(), st, fmt.Sprintf("history-%06d", i)); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	all.Wait()
	select {
	case err := <-errs:
		t.Fatal(err)
	default:
	}
}

func execute(ctx context.Context, st store.Store, id string) error {
	r := record(id)
	r.Sync = true
	c, _, err := st.Begin(ctx, r, node)
	if err != nil {
		return err
	}
	return st.Finish(ctx, c, job.Succeeded, job.Outcome{Stdout: "1\n", EndedBy: job.EndedBy{Actor: job.ActorUserCode}})
}

// cost is the median of a call.
type cost struct {
	name string
	took time.Duration
}

func costs(t *testing.T, st store.Store) []cost {
	t.Helper()
	ctx := t.Context()
	n := 0
	id := func() string { n++; return fmt.Sprintf("cost-%d-%d", time.Now().UnixNano(), n) }
	calls := []struct {
		name string
		do   func() error
	}{
		{"submit", func() error {
			_, err := st.Submit(ctx, []job.Record{record(id())}, 10_000)
			return err
		}},
		{"execute", func() error { return execute(ctx, st, id()) }},
		{"get", func() error { _, err := st.Get(ctx, "history-000500"); return err }},
		{"list", func() error { _, _, err := st.List(ctx, store.Filter{Limit: 100}); return err }},
		{"list by status", func() error { _, _, err := st.List(ctx, store.Filter{Status: "succeeded", Limit: 100}); return err }},
		{"list by label", func() error {
			_, _, err := st.List(ctx, store.Filter{Labels: map[string]string{"team": "7"}, Limit: 50})
			return err
		}},
		{"events", func() error { _, err := st.Events(ctx, "history-000500", 0, 100); return err }},
		{"stats", func() error { _, err := st.Stats(ctx); return err }},
		{"recover", func() error { _, err := st.Recover(ctx, "", time.Now(), 5); return err }},
	}
	out := make([]cost, len(calls))
	for i, c := range calls {
		var took []time.Duration
		for range 60 {
			begun := time.Now()
			must(t, c.do())
			took = append(took, time.Since(begun))
		}
		slices.Sort(took)
		out[i] = cost{c.name, took[len(took)/2]}
	}
	return out
}
