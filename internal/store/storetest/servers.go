package storetest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// two opens a database for two servers, n and m.
func (s *suite) two(t *testing.T) (a, b life) {
	if !s.Shared {
		t.Skip("the database serves one server")
	}
	db := s.New(t)
	return live(t, db), live(t, db)
}

// Two servers share the work: every job is run once, and both run some.
func (s *suite) servers(t *testing.T) {
	a, b := s.two(t)
	const n = 60
	var mu sync.Mutex
	ran := map[string][]string{}
	var left sync.WaitGroup
	left.Add(n)
	both := make(chan struct{})
	for name, st := range map[string]store.Store{"n": a, "m": b} {
		var once sync.Once
		serve(t, st, name, 2, func(ctx context.Context, c store.Claim) {
			defer left.Done()
			once.Do(func() { // neither goes on before the other began
				select {
				case both <- struct{}{}:
				case <-both:
				case <-time.After(patience):
					t.Error("one server does all the work")
				}
			})
			mu.Lock()
			ran[c.Record.ID] = append(ran[c.Record.ID], name)
			mu.Unlock()
			if err := st.Finish(ctx, c, job.Succeeded, outcome("")); err != nil {
				t.Error(err)
			}
		})
	}
	for i := range n {
		submit(t, []store.Store{a, b}[i%2], record(fmt.Sprint("r", i)))
	}
	left.Wait()
	for id, names := range ran {
		if len(names) != 1 {
			t.Errorf("%s was run by %v", id, names)
		}
	}
}

// What is asked of one server is heard by the one that runs the job.
func (s *suite) serversCancel(t *testing.T) {
	a, b := s.two(t)
	h := runOne(t, a, record("a"))
	c := begin(t, a, record("sync"), node("n"))
	if _, err := b.Cancel(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	receive(t, "Cancelled closed by a notice", h.Cancelled)
	if _, err := b.Cancel(t.Context(), "sync"); err != nil {
		t.Fatal(err)
	}
	if err := a.Renew(t.Context(), "n", time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	receive(t, "Cancelled closed by Renew", c.Cancelled)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var heard []string
	_ = b.Follow(ctx, func(id string) {
		if heard = append(heard, id); id == "" {
			if err := a.Finish(t.Context(), h.Claim, job.Cancelled, outcome("")); err != nil {
				t.Error(err)
			}
		}
		if id == "a" {
			cancel()
		}
	})
	if !slices.Contains(heard, "a") {
		t.Error("the end on one server is not heard on the other")
	}
	h.end()
}

// When a server dies another one goes on with its jobs, after their leases.
func (s *suite) serversRecover(t *testing.T) {
	a, b := s.two(t)
	submit(t, a, record("a"))
	claims, w := collect(t, a, "n", 1)
	old := receive(t, "a claim", claims)
	a.crash(t, w)
	sameList(t, "while the lease stands", recovered(t, b, "m", time.Now(), 3), []string{})
	sameList(t, "afterwards", recovered(t, b, "m", time.Now().Add(2*time.Minute), 3), []string{"a:queued:1"})
	others, _ := collect(t, b, "m", 1)
	h := receive(t, "the second claim", others)
	if h.Node != "m" || h.Record.ID != old.Record.ID {
		t.Errorf("claimed as %+v", h.Claim)
	}
	succeed(t, b, h)
	if r := get(t, b, "a"); r.Attempts[0].Host != "n" || r.Status != job.Succeeded {
		t.Errorf("ended as %+v", r)
	}
}
