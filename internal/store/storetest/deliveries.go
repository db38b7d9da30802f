package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/takovm/tako/internal/store"
)

// Who claims deliveries says whose he wants none of; among the others, who waits
// longest is first.
func (s *suite) deliveriesExcept(t *testing.T) {
	st := s.open(t)
	for i := range 20 {
		endedWith(t, st, "many", fmt.Sprint("m", i))
	}
	endedWith(t, st, "one", "o")
	endedWith(t, st, "", "n")
	now := time.Now()
	for _, tc := range []struct {
		except []string
		want   string // the job; empty for none
	}{
		{nil, "m0"},
		{[]string{"nobody"}, "m1"},
		{[]string{"many"}, "o"},
		{[]string{"many", "one"}, "n"},
		{[]string{"many"}, ""},
		{[]string{"one", ""}, "m2"},
	} {
		d, err := st.ClaimDelivery(t.Context(), now, time.Minute, tc.except...)
		if tc.want == "" && errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil || d.JobID != tc.want {
			t.Errorf("except %q: %q, %v; want %q", tc.except, d.JobID, err, tc.want)
		}
	}
}
