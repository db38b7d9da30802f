package storetest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// together submits at once what may share a transaction: each gets the answer
// that it would get alone.
func (s *suite) together(t *testing.T) {
	st := s.open(t)
	submit(t, st, record("taken"), keyed("first", "me", "k", "f"))
	large := record("large")
	large.Request.Code = strings.Repeat("#", 2<<20)
	calls := map[string]struct {
		record job.Record
		want   string // id
		err    func(error) bool
	}{
		"large":    {large, "large", nil},
		"taken":    {record("taken"), "", func(err error) bool { return job.KindOf(err) == job.KindInvalid }},
		"known":    {keyed("second", "me", "k", "f"), "first", nil},
		"conflict": {keyed("third", "me", "k", "other"), "", func(err error) bool { return errors.Is(err, store.ErrConflict) }},
	}
	var all sync.WaitGroup
	for range 5 { // the chance that they meet is good
		for name, c := range calls {
			all.Go(func() {
				stored, err := st.Submit(t.Context(), []job.Record{c.record}, 0)
				switch {
				case c.err != nil:
					if !c.err(err) {
						t.Errorf("%s: %v %v", name, stored, err)
					}
				case err != nil:
					if name != "large" || job.KindOf(err) != job.KindInvalid { // all but one of them
						t.Errorf("%s: %v", name, err)
					}
				case stored[0].ID != c.want:
					t.Errorf("%s: got %s", name, stored[0].ID)
				}
			})
		}
	}
	for i := range 150 {
		all.Go(func() {
			r := record(fmt.Sprint("good-", i))
			r.Request.Labels = map[string]string{"n": fmt.Sprint(i)}
			stored, err := st.Submit(t.Context(), []job.Record{r}, 0)
			if err != nil || stored[0].ID != r.ID || stored[0].Request.Labels["n"] != fmt.Sprint(i) {
				t.Errorf("%s: %v %v", r.ID, stored, err)
			}
		})
	}
	all.Wait()
	list, more, err := st.List(t.Context(), store.Filter{Limit: 200})
	if err != nil || more || len(list) != 153 {
		t.Errorf("%d are stored: %v", len(list), err)
	}
	for i := range 150 {
		if got := get(t, st, fmt.Sprint("good-", i)); got.Request.Labels["n"] != fmt.Sprint(i) {
			t.Errorf("good-%d has %v", i, got.Request.Labels)
		}
	}
}
