package storetest

import (
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// notFound checks calls that name what is not there.
func notFound(t testing.TB, calls map[string]func() error) {
	t.Helper()
	for name, call := range calls {
		if err := call(); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s of what is not there: %v", name, err)
		}
	}
}

// errOf drops the value of a call.
func errOf[T any](_ T, err error) error { return err }

func (s *suite) keys(t *testing.T) {
	st := s.open(t)
	at := time.Unix(1700000000, 123456789).UTC()
	a := job.Key{ID: "a", Name: "näme", Hash: []byte{0, 1, 255}, Prefix: "tk_", Scopes: []job.Scope{job.ScopeRead, job.ScopeExecute},
		CreatedAt: at, ExpiresAt: at.Add(1), WebhookSecret: "s"}
	b := job.Key{ID: "b", Hash: []byte{2}, CreatedAt: at.Add(-1)}
	for _, k := range []job.Key{a, b} {
		if err := st.CreateKey(t.Context(), k); err != nil {
			t.Fatal(err)
		}
	}
	for _, bad := range []job.Key{{ID: "a", Hash: []byte{9}}, {ID: "c", Hash: a.Hash}} {
		if err := st.CreateKey(t.Context(), bad); job.KindOf(err) != job.KindInvalid {
			t.Errorf("a key that is there: %v", err)
		}
	}
	a.LastUsedAt = at.Add(5)
	if err := st.TouchKey(t.Context(), "a", a.LastUsedAt); err != nil {
		t.Error(err)
	}
	byHash, err1 := st.KeyByHash(t.Context(), a.Hash)
	byID, err2 := st.Key(t.Context(), "a")
	list, err3 := st.ListKeys(t.Context())
	if diff := cmp.Diff([]job.Key{a, a, b, a}, append([]job.Key{byHash, byID}, list...)); diff != "" {
		t.Errorf("%v; kept as (-want +got):\n%s", errors.Join(err1, err2, err3), diff)
	}
	if err := st.DeleteKey(t.Context(), "a"); err != nil {
		t.Error(err)
	}
	notFound(t, map[string]func() error{
		"Key":       func() error { return errOf(st.Key(t.Context(), "a")) },
		"KeyByHash": func() error { return errOf(st.KeyByHash(t.Context(), a.Hash)) },
		"DeleteKey": func() error { return st.DeleteKey(t.Context(), "a") },
		"TouchKey":  func() error { return st.TouchKey(t.Context(), "a", at) },
	})
}

func (s *suite) deadLetters(t *testing.T) {
	st := s.open(t)
	at := time.Unix(1700000000, 123456789).UTC()
	var want []store.DeadLetter // newest first
	for i, typ := range []string{"engine", "engine", "interrupted"} {
		d := store.DeadLetter{ID: int64(i + 1), JobID: fmt.Sprint("j", i), JobData: []byte("{ \"a\":\"\u2028\"}"), ErrorType: typ, ErrorMessage: "m<&>",
			RetryCount: i, CreatedAt: at.Add(time.Duration(i) * time.Hour), ClientIP: "::1", CorrelationID: "c", Owner: "me"}
		if err := st.AddDeadLetter(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		want = append([]store.DeadLetter{d}, want...)
	}
	for name, tc := range map[string]struct {
		typ           string
		limit, offset int
		want          []store.DeadLetter
		more          bool
	}{
		"all": {"", 9, 0, want, false}, "a page": {"", 1, 1, want[1:2], true}, "the last": {"", 2, 2, want[2:], false},
		"beyond": {"", 1, 9, nil, false}, "a type": {"engine", 9, 0, want[1:], false}, "no such type": {"x", 9, 0, nil, false},
	} {
		got, more, err := st.DeadLetters(t.Context(), tc.typ, tc.limit, tc.offset)
		if diff := cmp.Diff(tc.want, got); diff != "" || more != tc.more || err != nil {
			t.Errorf("%s: more: %v, %v (-want +got):\n%s", name, more, err, diff)
		}
	}
	if _, _, err := st.DeadLetters(t.Context(), "", 0, 0); job.KindOf(err) != job.KindInvalid {
		t.Errorf("without a limit: %v", err)
	}
	if d, err := st.DeadLetter(t.Context(), 2); err != nil || cmp.Diff(want[1], d) != "" {
		t.Errorf("one of them is %+v, %v", d, err)
	}
	if counts, err := st.DeadLetterStats(t.Context()); err != nil || !maps.Equal(counts, map[string]int{"engine": 2, "interrupted": 1}) {
		t.Errorf("the counts are %v, %v", counts, err)
	}
	if n, err := st.DeleteDeadLettersBefore(t.Context(), at.Add(time.Hour)); n != 1 || err != nil {
		t.Errorf("removed were %d, %v", n, err)
	}
	if err := st.DeleteDeadLetter(t.Context(), 3); err != nil {
		t.Error(err)
	}
	notFound(t, map[string]func() error{
		"DeadLetter":       func() error { return errOf(st.DeadLetter(t.Context(), 1)) },
		"DeleteDeadLetter": func() error { return st.DeleteDeadLetter(t.Context(), 3) },
	})
	if got, _, err := st.DeadLetters(t.Context(), "", 9, 0); err != nil || cmp.Diff(want[1:2], got) != "" {
		t.Errorf("left is %+v, %v", got, err)
	}
}

// endedWith makes records that ended, with webhooks.
func endedWith(t testing.TB, st store.Store, owner string, ids ...string) {
	t.Helper()
	for _, id := range ids {
		r := record(id)
		r.Owner, r.Request.WebhookURL = owner, "https://example.com/"+id
		submit(t, st, r)
		if _, err := st.Cancel(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *suite) deliveries(t *testing.T) {
	st := s.open(t)
	now := time.Now()
	if _, err := st.ClaimDelivery(t.Context(), now.Add(time.Hour), time.Minute); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("when there is none: %v", err)
	}
	endedWith(t, st, "me", "a")
	now = time.Now()
	if _, err := st.ClaimDelivery(t.Context(), now.Add(-time.Hour), time.Minute); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("before it is due: %v", err)
	}
	d, err := st.ClaimDelivery(t.Context(), now, time.Minute)
	if err != nil || d.JobID != "a" || d.BatchID != "" || d.Owner != "me" || d.URL != "https://example.com/a" || d.Status != "pending" || d.Tries != 0 {
		t.Fatalf("claimed as %+v, %v", d, err)
	}
	if _, err := st.ClaimDelivery(t.Context(), now.Add(59*time.Second), time.Minute); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("while it is hidden: %v", err)
	}
	if again, err := st.ClaimDelivery(t.Context(), now.Add(time.Minute), time.Minute); err != nil || again.ID != d.ID {
		t.Errorf("after its lease: %+v, %v", again, err)
	}
	d.Tries, d.LastStatus, d.LastError, d.NextAt = 1, 503, "busy", now.Add(time.Hour).UTC().Round(0)
	save := func() {
		t.Helper()
		if err := st.SaveDelivery(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		list, more, err := st.ListDeliveries(t.Context(), nil, "a", 9, 0)
		if diff := cmp.Diff([]store.Delivery{d}, list); diff != "" || more || err != nil {
			t.Errorf("%v; saved as (-want +got):\n%s", err, diff)
		}
	}
	save()
	if _, err := st.ClaimDelivery(t.Context(), now.Add(59*time.Minute), time.Minute); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("before its next try: %v", err)
	}
	d.Status, d.DeliveredAt = "delivered", now.UTC().Round(0)
	save()
	if _, err := st.ClaimDelivery(t.Context(), now.Add(time.Hour), time.Minute); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("after it was delivered: %v", err)
	}
	notFound(t, map[string]func() error{"SaveDelivery": func() error { return st.SaveDelivery(t.Context(), store.Delivery{ID: "nobody"}) }})
	s.deliveryPages(t, st)
}

func (s *suite) deliveryPages(t *testing.T, st store.Store) {
	endedWith(t, st, "you", "b", "c")
	you, nobody := "you", ""
	for name, tc := range map[string]struct {
		owner         *string
		id            string
		limit, offset int
		want          string
		more          bool
	}{
		"all": {nil, "", 9, 0, "cba", false}, "a page": {nil, "", 1, 1, "b", true}, "an owner": {&you, "", 9, 0, "cb", false},
		"nobody": {&nobody, "", 9, 0, "", false}, "a job": {nil, "b", 9, 0, "b", false}, "another's job": {&you, "a", 9, 0, "", false},
	} {
		list, more, err := st.ListDeliveries(t.Context(), tc.owner, tc.id, tc.limit, tc.offset)
		got := ""
		for _, d := range list {
			got += d.JobID
		}
		if got != tc.want || more != tc.more || err != nil {
			t.Errorf("%s: %s (more: %v), %v", name, got, more, err)
		}
	}
	if _, _, err := st.ListDeliveries(t.Context(), nil, "", 0, 0); job.KindOf(err) != job.KindInvalid {
		t.Errorf("without a limit: %v", err)
	}
}

// Of those that look for deliveries at once each gets another one.
func (s *suite) deliveriesOnce(t *testing.T) {
	db := s.New(t)
	stores := []store.Store{start(t, db, Options{})}
	if s.Shared {
		stores = append(stores, start(t, db, Options{}))
	}
	const n = 12
	for i := range n {
		endedWith(t, stores[0], "", fmt.Sprint("r", i))
	}
	now := time.Now()
	var wg sync.WaitGroup
	var mu sync.Mutex
	claimed := map[string]int{}
	for i := range 4 {
		wg.Go(func() {
			for {
				d, err := stores[i%len(stores)].ClaimDelivery(t.Context(), now, time.Minute)
				if errors.Is(err, store.ErrNotFound) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				claimed[d.JobID]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for id, times := range claimed {
		if times != 1 {
			t.Errorf("the delivery of %s was claimed %d times", id, times)
		}
	}
	if len(claimed) != n {
		t.Errorf("%d of %d were claimed", len(claimed), n)
	}
}

func (s *suite) uploads(t *testing.T) {
	st := s.open(t)
	at := time.Unix(1700000000, 123456789).UTC()
	us := []store.Upload{{ID: "a", Owner: "me", SizeBytes: 1 << 40, SHA256: digest(1), CreatedAt: at}, {ID: "b", SHA256: digest(1), CreatedAt: at.Add(1)}}
	for _, u := range us {
		if err := st.AddUpload(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		if got, err := st.Upload(t.Context(), u.ID); err != nil || cmp.Diff(u, got) != "" {
			t.Errorf("kept as %+v, %v", got, err)
		}
	}
	if err := st.AddUpload(t.Context(), us[0]); job.KindOf(err) != job.KindInvalid {
		t.Errorf("an id that is taken: %v", err)
	}
	if n, err := st.DeleteUploadsBefore(t.Context(), at.Add(1)); n != 1 || err != nil {
		t.Errorf("removed were %d, %v", n, err)
	}
	notFound(t, map[string]func() error{"Upload": func() error { return errOf(st.Upload(t.Context(), "a")) }})
	if got, err := st.Upload(t.Context(), "b"); err != nil || got.ID != "b" {
		t.Errorf("the younger one is %+v, %v", got, err)
	}
}

// A blob is in use while any record, upload or dead letter refers to it.
func (s *suite) blobs(t *testing.T) {
	st := s.open(t)
	input, output, upload, letter, both, none := digest(1), digest(2), digest(3), digest(4), digest(5), digest(6)
	used := func(want ...string) {
		t.Helper()
		wanted := map[string]bool{}
		for _, d := range want {
			wanted[d] = true
		}
		got, err := st.Blobs(t.Context(), []string{input, output, upload, letter, both, none})
		maps.DeleteFunc(got, func(_ string, in bool) bool { return !in })
		if !maps.Equal(got, wanted) || err != nil {
			t.Errorf("in use are %v (%v), want %v", got, err, wanted)
		}
	}
	used()
	r := record("a")
	r.Request.Files = []job.InputFile{{Path: "a", SHA256: input}, {Path: "b", SHA256: both}, {Path: "c", SHA256: both}}
	h := runOne(t, st, r)
	used(input, both)
	out := outcome("")
	out.Artifacts = []job.Artifact{{Name: "x", SHA256: output}, {Name: "y", SHA256: output}}
	if err := st.Finish(t.Context(), h.Claim, job.Succeeded, out); err != nil {
		t.Fatal(err)
	}
	h.end()
	if err := st.AddUpload(t.Context(), store.Upload{ID: "u", SHA256: upload}); err != nil {
		t.Fatal(err)
	}
	data := fmt.Appendf(nil, `{"artifacts": [{"sha256": "%s"}], "files": [{"sha256": "%s"}]}`, letter, both)
	if err := st.AddDeadLetter(t.Context(), store.DeadLetter{JobID: "a", JobData: data}); err != nil {
		t.Fatal(err)
	}
	used(input, output, upload, letter, both)
	if err := st.Delete(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	used(upload, letter, both)
	if n, err := st.DeleteUploadsBefore(t.Context(), time.Now().Add(time.Hour)); n != 1 || err != nil {
		t.Errorf("%d uploads, %v", n, err)
	}
	used(letter, both)
	if n, err := st.DeleteDeadLettersBefore(t.Context(), time.Now().Add(time.Hour)); n != 1 || err != nil {
		t.Errorf("%d dead letters, %v", n, err)
	}
	used()
	many := make([]string, 1000)
	for i := range many {
		many[i] = digest(i + 100)
	}
	if got, err := st.Blobs(t.Context(), many); err != nil || len(got) != 0 {
		t.Errorf("of many in use are %v, %v", got, err)
	}
}
