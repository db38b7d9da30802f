package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// full is a record with every field that a submission may have.
func full(id string) job.Record {
	r := record(id)
	stdin := "in\x00put"
	memory := int64(128 << 20)
	r.Owner, r.ParentID, r.Relationship = "key1", "parent", job.Fork
	r.CorrelationID, r.ClientIP, r.IdempotencyKey, r.Fingerprint = "corr", "10.0.0.1", "idem-"+id, "fp"
	r.Request.Args, r.Request.Env, r.Request.Stdin = []string{"a", "<&>"}, map[string]string{"K": "v\nw"}, &stdin
	r.Request.Files = []job.InputFile{{Path: "d/f", SizeBytes: 3, SHA256: digest(1)}}
	r.Request.Input = []byte("{ \"b\": 1e400,\n \"a\": \"<\u2028\\u0000>\" }")
	r.Request.Limits.Memory = &memory
	r.Request.Network = &job.Network{Mode: job.NetworkAllow, Allow: []string{"example.com"}}
	r.Request.Labels, r.Request.WebhookURL = map[string]string{"team": "x", "env": "prod"}, "https://example.com/hook"
	r.Request.RunAt = time.Now().UTC().Add(-time.Hour)
	return r
}

func digest(n int) string { return fmt.Sprintf("%064x", n) }

func (s *suite) submitGet(t *testing.T) {
	st := s.open(t)
	before := time.Now()
	stored := submit(t, st, full("a"), record("b"))
	for _, r := range stored {
		if r.Status != job.Queued || r.CreatedAt.Before(before) || r.QueuedAt.Before(before) || r.CreatedAt.Location() != time.UTC {
			t.Errorf("stored as %+v", r)
		}
		if diff := cmp.Diff(r, get(t, st, r.ID)); diff != "" {
			t.Errorf("what is read back differs (-stored +read):\n%s", diff)
		}
		if status, err := st.Status(t.Context(), r.ID); status != job.Queued || err != nil {
			t.Errorf("its status is %s, %v", status, err)
		}
	}
	want := full("a")
	want.Request.RunAt = stored[0].Request.RunAt
	if diff := cmp.Diff(want.Request, stored[0].Request); diff != "" {
		t.Errorf("the request differs (-want +got):\n%s", diff)
	}
	if _, err := st.Get(t.Context(), "nobody"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a record that is not there: %v", err)
	}
	if _, err := st.Status(t.Context(), "nobody"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the status of one that is not there: %v", err)
	}
}

func (s *suite) submitAllOrNone(t *testing.T) {
	st := s.open(t)
	submit(t, st, record("a"))
	for name, bad := range map[string]job.Record{"the same id": record("a"), "no id": record(""), "odd priority": func() job.Record {
		r := record("odd")
		r.Request.Priority = 9
		return r
	}()} {
		_, err := st.Submit(t.Context(), []job.Record{record("new"), bad}, 0)
		if job.KindOf(err) != job.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := st.Get(t.Context(), "new"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: the other one was stored: %v", name, err)
		}
	}
	if stored, err := st.Submit(t.Context(), nil, 0); err != nil || len(stored) != 0 {
		t.Errorf("nothing: %v %v", stored, err)
	}
}

func keyed(id, owner, key, fingerprint string) job.Record {
	r := record(id)
	r.Owner, r.IdempotencyKey, r.Fingerprint = owner, key, fingerprint
	return r
}

func (s *suite) idempotency(t *testing.T) {
	st := s.open(t)
	first := submit(t, st, keyed("a", "me", "k", "f"))[0]
	if again := submit(t, st, keyed("b", "me", "k", "f"))[0]; again.ID != "a" {
		t.Errorf("the same again made %s", again.ID)
	}
	if other := submit(t, st, keyed("c", "you", "k", "f"))[0]; other.ID != "c" {
		t.Errorf("another owner's key found %s", other.ID)
	}
	if _, err := st.Submit(t.Context(), []job.Record{keyed("d", "me", "k", "other")}, 0); !errors.Is(err, store.ErrConflict) {
		t.Errorf("another payload: %v", err)
	}
	mixed := submit(t, st, keyed("e", "me", "n", "f"), keyed("f", "me", "k", "f"), keyed("g", "me", "n", "f"))
	if ids := []string{mixed[0].ID, mixed[1].ID, mixed[2].ID}; !slices.Equal(ids, []string{"e", "a", "e"}) {
		t.Errorf("several at once made %v", ids)
	}
	if _, err := st.Submit(t.Context(), []job.Record{keyed("h", "me", "m", "f"), keyed("i", "me", "m", "other")}, 0); !errors.Is(err, store.ErrConflict) {
		t.Errorf("a conflict among themselves: %v", err)
	}
	if _, err := st.Cancel(t.Context(), first.ID); err != nil {
		t.Fatal(err)
	}
	if again := submit(t, st, keyed("j", "me", "k", "f"))[0]; again.ID != "a" || again.Status != job.Cancelled {
		t.Errorf("after the end the key finds %+v", again)
	}
	if err := st.Delete(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if fresh := submit(t, st, keyed("k", "me", "k", "f"))[0]; fresh.ID != "k" {
		t.Errorf("after it is gone the key finds %s", fresh.ID)
	}
}

// A hundred submissions with one key make one job, with a sync one among them.
func (s *suite) idempotencyRace(t *testing.T) {
	db := s.New(t)
	stores := []store.Store{start(t, db, Options{})}
	if s.Shared {
		stores = append(stores, start(t, db, Options{}))
	}
	var wg sync.WaitGroup
	ids := make([]string, 100)
	for i := range ids {
		wg.Go(func() {
			r := keyed(fmt.Sprintf("r%d", i), "me", "one", "f")
			st := stores[i%len(stores)]
			if i == 50 {
				c, existing, err := st.Begin(t.Context(), r, node("n"))
				if err != nil {
					t.Error(err)
				}
				if ids[i] = c.Record.ID; existing != nil {
					ids[i] = existing.ID
				}
				return
			}
			stored, err := st.Submit(t.Context(), []job.Record{r}, 1000)
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = stored[0].ID
		})
	}
	wg.Wait()
	slices.Sort(ids)
	if ids = slices.Compact(ids); len(ids) != 1 {
		t.Errorf("they made %v", ids)
	}
	list, _, err := stores[0].List(t.Context(), store.Filter{Limit: 10})
	if err != nil || len(list) != 1 {
		t.Errorf("%d records, %v", len(list), err)
	}
}

func (s *suite) queueFull(t *testing.T) {
	st := s.open(t)
	const max = 3
	add := func(id string) error {
		_, err := st.Submit(t.Context(), []job.Record{keyed(id, "", "key-"+id, "f")}, max)
		return err
	}
	for _, id := range []string{"a", "b"} {
		if err := add(id); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := st.Submit(t.Context(), records("two", 2), max); !errors.Is(err, store.ErrQueueFull) {
		t.Errorf("two where one fits: %v", err)
	}
	if err := add("c"); err != nil {
		t.Errorf("the last that fits: %v", err)
	}
	if err := add("d"); !errors.Is(err, store.ErrQueueFull) {
		t.Errorf("one too many: %v", err)
	}
	if err := add("a"); err != nil {
		t.Errorf("what was accepted before, when full: %v", err)
	}
	if _, err := st.Cancel(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	if err := add("d"); err != nil {
		t.Errorf("the key of a refused one, with room again: %v", err)
	}
	claims, _ := collect(t, st, "n", 1)
	h := receive(t, "a claim", claims)
	if err := add("e"); err != nil {
		t.Errorf("after one began to run: %v", err)
	}
	succeed(t, st, h)
}

func (s *suite) list(t *testing.T) {
	st := s.open(t)
	me := "me"
	base := time.Now().Add(-time.Hour)
	for i, set := range []func(*job.Record){
		func(r *job.Record) { r.Owner = me },
		func(r *job.Record) { r.JobType = "other" },
		func(r *job.Record) { r.ParentID = "r0" },
		func(r *job.Record) { r.Request.Labels = map[string]string{"a": "1", "b": "2"} },
		func(r *job.Record) { r.Request.Labels = map[string]string{"a": "1"}; r.Owner = me },
	} {
		r := record(fmt.Sprintf("r%d", i))
		r.CreatedAt = base.Add(time.Duration(i) * time.Second)
		set(&r)
		submit(t, st, r)
	}
	if _, err := st.Cancel(t.Context(), "r1"); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		f    store.Filter
		want []string
		more bool
	}{
		"all":          {store.Filter{Limit: 10}, []string{"r4", "r3", "r2", "r1", "r0"}, false},
		"a page":       {store.Filter{Limit: 2, Offset: 1}, []string{"r3", "r2"}, true},
		"the last":     {store.Filter{Limit: 2, Offset: 3}, []string{"r1", "r0"}, false},
		"beyond":       {store.Filter{Limit: 2, Offset: 9}, nil, false},
		"ascending":    {store.Filter{Limit: 2, Ascending: true}, []string{"r0", "r1"}, true},
		"owner":        {store.Filter{Limit: 9, Owner: &me}, []string{"r4", "r0"}, false},
		"nobody's":     {store.Filter{Limit: 9, Owner: new(string)}, []string{"r3", "r2", "r1"}, false},
		"status":       {store.Filter{Limit: 9, Status: "cancelled"}, []string{"r1"}, false},
		"odd status":   {store.Filter{Limit: 9, Status: "nope"}, nil, false},
		"type":         {store.Filter{Limit: 9, JobType: "other"}, []string{"r1"}, false},
		"parent":       {store.Filter{Limit: 9, ParentID: "r0"}, []string{"r2"}, false},
		"label":        {store.Filter{Limit: 9, Labels: map[string]string{"a": "1"}}, []string{"r4", "r3"}, false},
		"labels":       {store.Filter{Limit: 9, Labels: map[string]string{"a": "1", "b": "2"}}, []string{"r3"}, false},
		"many filters": {store.Filter{Limit: 9, Owner: &me, Status: "queued", JobType: "default", Labels: map[string]string{"a": "1"}}, []string{"r4"}, false},
	} {
		list, more, err := st.List(t.Context(), tc.f)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var ids []string
		for _, r := range list {
			ids = append(ids, r.ID)
			if diff := cmp.Diff(get(t, st, r.ID), r); diff != "" {
				t.Errorf("%s: listed otherwise than read (-read +listed):\n%s", name, diff)
			}
		}
		if !slices.Equal(ids, tc.want) || more != tc.more {
			t.Errorf("%s: %v (more: %v), want %v (%v)", name, ids, more, tc.want, tc.more)
		}
	}
	if _, _, err := st.List(t.Context(), store.Filter{}); job.KindOf(err) != job.KindInvalid {
		t.Errorf("without a limit: %v", err)
	}
}

// A page is read some records at a time, and only what was asked for.
func (s *suite) listEach(t *testing.T) {
	st := s.open(t)
	const n = 8
	large := []byte(`"` + strings.Repeat("x", 1<<20) + `"`)
	for i := range n {
		r := full(fmt.Sprint("r", i))
		r.Request.Input = large
		c, _, err := st.Begin(t.Context(), r, node("n"))
		if err != nil {
			t.Fatal(err)
		}
		out := outcome("")
		out.Output = large
		if err := st.Finish(t.Context(), c, job.Succeeded, out); err != nil {
			t.Fatal(err)
		}
	}
	for name, f := range map[string]store.Filter{
		"all": {}, "no requests": {NoRequest: true}, "no outcomes": {NoOutcome: true}, "neither": {NoRequest: true, NoOutcome: true},
	} {
		f.Limit, f.Offset = n-1, 1
		count := n - 1
		more, err := st.ListEach(t.Context(), f, func(r *job.Record) error {
			count--
			want := get(t, st, fmt.Sprint("r", count))
			if f.NoRequest {
				want.Request = job.Request{}
			}
			if f.NoOutcome {
				want.Outcome = job.Outcome{}
			}
			if !reflect.DeepEqual(want, *r) {
				t.Errorf("%s: %s is listed otherwise than read", name, r.ID)
			}
			return nil
		})
		if more || err != nil || count != 0 {
			t.Errorf("%s: %d were left out, %v, %v", name, count, more, err)
		}
	}
	var ids []string
	more, err := st.ListEach(t.Context(), store.Filter{Limit: n - 1}, func(r *job.Record) error {
		if ids = append(ids, r.ID); len(ids) > 1 {
			return nil
		}
		return errors.Join(st.Delete(t.Context(), "r1"), st.Delete(t.Context(), "r0"))
	})
	if !more || err != nil || !slices.Equal(ids, []string{"r7", "r6", "r5", "r4", "r3", "r2"}) {
		t.Errorf("while the last were removed: %v, %v, %v", ids, more, err)
	}
	enough := errors.New("enough")
	if _, err := st.ListEach(t.Context(), store.Filter{Limit: n}, func(*job.Record) error { return enough }); err != enough {
		t.Errorf("an error of who reads comes back as %v", err)
	}
}

func (s *suite) delete(t *testing.T) {
	st := s.open(t)
	submit(t, st, full("a"), record("b"), record("c"))
	if err := st.Delete(t.Context(), "a"); job.KindOf(err) != job.KindInvalid {
		t.Errorf("one that waits: %v", err)
	}
	if err := st.Delete(t.Context(), "nobody"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("one that is not there: %v", err)
	}
	for _, id := range []string{"a", "b"} {
		if _, err := st.Cancel(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	if err := st.Delete(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if _, err := st.Get(t.Context(), "a"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("it is still there: %v", err)
	}
	if _, err := st.Events(t.Context(), "a", 0, 1); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("its log is still there: %v", err)
	}
	if list, _, _ := st.ListDeliveries(t.Context(), nil, "a", 1, 0); len(list) != 0 {
		t.Error("its delivery is still there")
	}
	if list, _, _ := st.List(t.Context(), store.Filter{Limit: 9, Labels: map[string]string{"team": "x"}}); len(list) != 0 {
		t.Error("its labels are still there")
	}
	if n, err := st.DeleteBefore(t.Context(), time.Now().Add(-time.Hour), 10); n != 0 || err != nil {
		t.Errorf("before anything ended: %d, %v", n, err)
	}
	if n, err := st.DeleteBefore(t.Context(), time.Now().Add(time.Hour), 10); n != 1 || err != nil {
		t.Errorf("all that ended: %d, %v", n, err)
	}
	if r := get(t, st, "c"); r.Status != job.Queued {
		t.Errorf("what waits is %+v", r)
	}
}

// What is removed goes in short transactions, however much there is of it:
// others write in between.
func (s *suite) deleteLarge(t *testing.T) {
	var mu sync.Mutex
	passed := map[string]int{}
	since := func() map[string]int {
		mu.Lock()
		defer mu.Unlock()
		was := passed
		passed = map[string]int{}
		return was
	}
	st := start(t, s.New(t), Options{Fault: func(point string) error {
		mu.Lock()
		defer mu.Unlock()
		passed[point]++
		return nil
	}})
	finish := func(id string, events int, size int) {
		c, _, err := st.Begin(t.Context(), record(id), node("n"))
		if err != nil {
			t.Fatal(err)
		}
		log := make([]job.Event, events)
		for i := range log {
			log[i] = job.Event{Type: job.EventStdout, Data: []byte(`"` + strings.Repeat("x", size) + `"`)}
		}
		if err := errors.Join(st.Append(t.Context(), c, log, 0), st.Finish(t.Context(), c, job.Succeeded, outcome(""))); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 40 {
		finish(fmt.Sprint("small", i), 200, 10)
	}
	finish("long", 5000, 10)
	finish("wide", 10, 1<<20)
	finish("mine", 5000, 10)
	since()
	if err := st.Delete(t.Context(), "mine"); err != nil {
		t.Fatal(err)
	}
	if p := since(); p["trim.commit"] < 4 || p["delete.commit"] != 1 {
		t.Errorf("one with a long log was removed by %v", p)
	}
	if n, err := st.DeleteBefore(t.Context(), time.Now().Add(time.Hour), 100); n != 42 || err != nil {
		t.Errorf("removed were %d, %v", n, err)
	}
	if p := since(); p["trim.commit"] < 6 || p["expire.commit"] < 4 {
		t.Errorf("they were removed by %v", p)
	}
	if list, _, err := st.List(t.Context(), store.Filter{Limit: 9}); err != nil || len(list) != 0 {
		t.Errorf("%d are left, %v", len(list), err)
	}
}
