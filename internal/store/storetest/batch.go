package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

func submitBatch(t testing.TB, st store.Store, b store.Batch, n, most int) store.Batch {
	t.Helper()
	got, err := st.SubmitBatch(t.Context(), b, records(b.ID, n), most)
	if err != nil {
		t.Fatalf("submitting the batch %s: %v", b.ID, err)
	}
	return got
}

// batchDeliveries counts the webhooks of a batch's end.
func batchDeliveries(t testing.TB, st store.Store, id string) int {
	t.Helper()
	list, _, err := st.ListDeliveries(t.Context(), nil, id, 9, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list {
		if d.BatchID != id || d.JobID != "" || d.URL == "" || d.Status != "pending" {
			t.Errorf("the batch's delivery is %+v", d)
		}
	}
	return len(list)
}

func (s *suite) batch(t *testing.T) {
	st := s.open(t)
	b := store.Batch{ID: "b", Owner: "me", Labels: map[string]string{"k": "<v>"}, WebhookURL: "https://example.com", IdempotencyKey: "i", Fingerprint: "f"}
	stored := submitBatch(t, st, b, 3, 0)
	want := b
	want.Total, want.Status, want.Counts, want.CreatedAt = 3, "running", map[job.Status]int{job.Queued: 3}, stored.CreatedAt
	if diff := cmp.Diff(want, stored); diff != "" || time.Since(stored.CreatedAt) > time.Minute {
		t.Errorf("stored as (-want +got):\n%s", diff)
	}
	list, _, err := st.List(t.Context(), store.Filter{BatchID: "b", Limit: 9, Ascending: true})
	if err != nil || len(list) != 3 {
		t.Fatalf("%d of it are listed, %v", len(list), err)
	}
	for i, r := range list {
		if r.BatchID != "b" || r.BatchIndex != i || r.ID != fmt.Sprint("b-", i) {
			t.Errorf("number %d is %+v", i, r)
		}
	}
	claims, _ := collect(t, st, "n", 1)
	for i, status := range []job.Status{job.Succeeded, job.Failed, job.Succeeded} {
		h := receive(t, "a claim", claims)
		if h.Record.BatchIndex != i {
			t.Errorf("number %d runs, want %d", h.Record.BatchIndex, i)
		}
		now, err := st.Batch(t.Context(), "b")
		if err != nil || now.Status != "running" || !now.EndedAt.IsZero() || now.Counts[job.Running] != 1 || batchDeliveries(t, st, "b") != 0 {
			t.Errorf("while it runs: %+v, %v", now, err)
		}
		if err := st.Finish(t.Context(), h.Claim, status, outcome("")); err != nil {
			t.Fatal(err)
		}
		h.end()
	}
	now, err := st.Batch(t.Context(), "b")
	want.Status, want.Counts, want.EndedAt = "finished", map[job.Status]int{job.Succeeded: 2, job.Failed: 1}, now.EndedAt
	if diff := cmp.Diff(want, now); diff != "" || err != nil || now.EndedAt.IsZero() {
		t.Errorf("%v; ended as (-want +got):\n%s", err, diff)
	}
	if n := batchDeliveries(t, st, "b"); n != 1 {
		t.Errorf("%d webhooks", n)
	}
	if _, err := st.CancelBatch(t.Context(), "b"); !errors.Is(err, store.ErrEnded) {
		t.Errorf("cancelling after the end: %v", err)
	}
	for _, f := range []func() error{
		func() error { _, err := st.Batch(t.Context(), "nobody"); return err },
		func() error { _, err := st.CancelBatch(t.Context(), "nobody"); return err },
	} {
		if err := f(); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("one that is not there: %v", err)
		}
	}
}

func (s *suite) batchAllOrNone(t *testing.T) {
	st := s.open(t)
	submit(t, st, record("taken"))
	for name, bad := range map[string]job.Record{
		"an id that is taken": record("taken"), "an id twice": record("good"), "no id": record(""), "a key": keyed("k", "", "k", "f"),
	} {
		if _, err := st.SubmitBatch(t.Context(), store.Batch{ID: "b"}, []job.Record{record("good"), bad}, 0); job.KindOf(err) != job.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := st.Batch(t.Context(), "b"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: the batch was stored: %v", name, err)
		}
		if _, err := st.Get(t.Context(), "good"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: the other one was stored: %v", name, err)
		}
	}
	for name, b := range map[string]store.Batch{"no jobs": {ID: "b"}, "no id": {}} {
		if _, err := st.SubmitBatch(t.Context(), b, records("r", len(b.ID)^1), 0); job.KindOf(err) != job.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	submitBatch(t, st, store.Batch{ID: "b"}, 1, 0)
	if _, err := st.SubmitBatch(t.Context(), store.Batch{ID: "b"}, records("x", 1), 0); job.KindOf(err) != job.KindInvalid {
		t.Errorf("a batch whose id is taken: %v", err)
	}
}

// What the queue has no room for waits outside and is fed in as it drains, in
// order, within the bound.
func (s *suite) batchFed(t *testing.T) {
	st := s.open(t)
	const n, most = 25, 4
	submit(t, st, record("before"))
	b := submitBatch(t, st, store.Batch{ID: "b", WebhookURL: "https://example.com"}, n, most)
	if b.Counts[job.Queued] != n {
		t.Errorf("submitted as %+v", b)
	}
	for i, want := range []error{nil, nil, store.ErrQueueFull} { // beside a batch that fills half of the queue
		r := record(fmt.Sprint("x", i))
		r.Request.Priority = 1
		if _, err := st.Submit(t.Context(), []job.Record{r}, most); !errors.Is(err, want) {
			t.Errorf("number %d beside a batch: %v", i, err)
		}
	}
	claims, _ := collect(t, st, "n", 1)
	for _, want := range []string{"x0", "x1", "before"} {
		h := receive(t, "a claim", claims)
		if h.Record.ID != want {
			t.Errorf("%s runs, want %s", h.Record.ID, want)
		}
		succeed(t, st, h)
	}
	for i := range n {
		h := receive(t, "a claim", claims)
		if h.Record.BatchIndex != i {
			t.Errorf("number %d runs, want %d", h.Record.BatchIndex, i)
		}
		succeed(t, st, h)
	}
	if b, err := st.Batch(t.Context(), "b"); err != nil || b.Status != "finished" || b.Counts[job.Succeeded] != n {
		t.Errorf("ended as %+v, %v", b, err)
	}
	if n := batchDeliveries(t, st, "b"); n != 1 {
		t.Errorf("%d webhooks", n)
	}
}

// Whoever has a large batch in the queue keeps nobody else's out of it, and
// neither does who fills it with single jobs.
func (s *suite) batchFair(t *testing.T) {
	const most, n = 6, 30
	batch := func(st store.Store, owner string, n int) {
		rs := records(owner, n)
		for i := range rs {
			rs[i].Owner = owner
		}
		if _, err := st.SubmitBatch(t.Context(), store.Batch{ID: owner, Owner: owner}, rs, most); err != nil {
			t.Fatal(err)
		}
	}
	for name, fill := range map[string]func(st store.Store){
		"a batch": func(st store.Store) { batch(st, "big", n) },
		"single jobs": func(st store.Store) {
			batch(st, "big", n)
			if _, err := st.Submit(t.Context(), records("single", most/2), most); err != nil {
				t.Fatal(err)
			}
		},
	} {
		st := s.open(t)
		fill(st)
		batch(st, "small", 3)
		claims, _ := collect(t, st, "n", 1)
		small, last := 0, 0
		for i := 1; small < 3 && i <= n; i++ {
			h := receive(t, "a claim", claims)
			if h.Record.Owner == "small" {
				small, last = small+1, i
			}
			succeed(t, st, h)
		}
		if small < 3 || last > 4*3 {
			t.Errorf("beside %s: %d of the small batch ran, the last as number %d", name, small, last)
		}
	}
}

// Cancelling ends what waits, inside the queue and outside, and marks what runs;
// the batch ends with the last of it.
func (s *suite) batchCancel(t *testing.T) {
	st := s.open(t)
	const n = 120 // more than one transaction cancels
	submitBatch(t, st, store.Batch{ID: "b", WebhookURL: "https://example.com"}, n, 10)
	submitBatch(t, st, store.Batch{ID: "other"}, 2, 0)
	claims, _ := collect(t, st, "n", 2)
	one, two := receive(t, "a claim", claims), receive(t, "a claim", claims)
	for range 2 { // the second finds nothing more to do
		b, err := st.CancelBatch(t.Context(), "b")
		if err != nil || b.Status != "cancelled" || !b.EndedAt.IsZero() || b.Counts[job.Cancelled] != n-2 || b.Counts[job.Running] != 2 {
			t.Errorf("cancelled as %+v, %v", b, err)
		}
	}
	receive(t, "Cancelled closed", one.Cancelled)
	receive(t, "Cancelled closed", two.Cancelled)
	for i, h := range []held{one, two} {
		if got := batchDeliveries(t, st, "b"); got != 0 {
			t.Errorf("%d webhooks before the end", got)
		}
		status := []job.Status{job.Cancelled, job.Succeeded}[i]
		if err := st.Finish(t.Context(), h.Claim, status, outcome("")); err != nil {
			t.Fatal(err)
		}
	}
	b, err := st.Batch(t.Context(), "b")
	if err != nil || b.Status != "cancelled" || b.EndedAt.IsZero() || b.Counts[job.Cancelled] != n-1 || b.Counts[job.Succeeded] != 1 {
		t.Errorf("ended as %+v, %v", b, err)
	}
	if got := batchDeliveries(t, st, "b"); got != 1 {
		t.Errorf("%d webhooks", got)
	}
	if _, err := st.CancelBatch(t.Context(), "b"); !errors.Is(err, store.ErrEnded) {
		t.Errorf("after the end: %v", err)
	}
	if b, err := st.Batch(t.Context(), "other"); err != nil || b.Counts[job.Queued] != 2 {
		t.Errorf("the other batch is %+v, %v", b, err)
	}
	one.end()
	two.end()
}

func (s *suite) batchIdempotency(t *testing.T) {
	st := s.open(t)
	keyedBatch := func(id, owner, fingerprint string) store.Batch {
		return store.Batch{ID: id, Owner: owner, IdempotencyKey: "k", Fingerprint: fingerprint}
	}
	submitBatch(t, st, keyedBatch("a", "me", "f"), 2, 0)
	if again := submitBatch(t, st, keyedBatch("b", "me", "f"), 2, 0); again.ID != "a" {
		t.Errorf("the same again made %s", again.ID)
	}
	if other := submitBatch(t, st, keyedBatch("c", "you", "f"), 1, 0); other.ID != "c" {
		t.Errorf("another owner's key found %s", other.ID)
	}
	if _, err := st.SubmitBatch(t.Context(), keyedBatch("d", "me", "x"), records("d", 1), 0); !errors.Is(err, store.ErrConflict) {
		t.Errorf("another payload: %v", err)
	}
	if stats, err := st.Stats(t.Context()); err != nil || stats.Queued != 3 {
		t.Errorf("stored were %+v, %v", stats, err)
	}
}

// Batches go when none of their records is left, with their deliveries.
func (s *suite) batchExpires(t *testing.T) {
	st := s.open(t)
	submitBatch(t, st, store.Batch{ID: "b", WebhookURL: "https://example.com"}, 3, 0)
	if _, err := st.CancelBatch(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	future := time.Now().Add(time.Hour)
	for i, want := range []int{2, 1, 0} {
		if _, err := st.Batch(t.Context(), "b"); i < 2 && err != nil {
			t.Errorf("the batch went before its last record: %v", err)
		}
		if n, err := st.DeleteBefore(t.Context(), future, 2); n != want || err != nil {
			t.Errorf("removed were %d (%v), want %d", n, err, want)
		}
	}
	if _, err := st.Batch(t.Context(), "b"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the batch is still there: %v", err)
	}
	if n := batchDeliveries(t, st, "b"); n != 0 {
		t.Errorf("%d of its deliveries are still there", n)
	}
}
