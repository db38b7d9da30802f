package postgres_test

import (
	"testing"
	"time"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
	"github.com/takovm/tako/internal/store/postgres"
	"github.com/takovm/tako/internal/store/postgres/pgtest"
)

// A server whose clock is an hour ahead, or behind, leaves others their claims,
// and takes those back whose leases have run out.
func TestClocksThatDiffer(t *testing.T) {
	url := pgtest.NewDatabase(t)
	by := func(d time.Duration) func() time.Time { return func() time.Time { return time.Now().Add(d) } }
	right, ahead, behind := openAt(t, url, postgres.Options{}), openAt(t, url, postgres.Options{Now: by(time.Hour)}), openAt(t, url, postgres.Options{Now: by(-time.Hour)})
	recover := func(s store.Store, by time.Duration) int {
		t.Helper()
		list, err := s.Recover(t.Context(), "", time.Now().Add(by), 5)
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	recover(ahead, time.Hour) // which measures
	for id, s := range map[string]store.Store{"right": right, "ahead": ahead} {
		r := job.Record{ID: id, Request: job.Request{Code: "x"}}
		if _, _, err := s.Begin(t.Context(), r, store.Node{Name: id, Lease: time.Minute}); err != nil {
			t.Fatal(err)
		}
	}
	for name, n := range map[string]int{"right": recover(right, 0), "ahead": recover(ahead, time.Hour), "behind": recover(behind, -time.Hour)} {
		if n != 0 {
			t.Errorf("the one that is %s took %d claims back", name, n)
		}
	}
	if n := recover(behind, -time.Hour+2*time.Minute); n != 2 {
		t.Errorf("of two that have run out %d were taken back", n)
	}
}
