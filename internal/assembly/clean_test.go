package assembly

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/takovm/tako/internal/service"
	"github.com/takovm/tako/internal/store"
)

// aged is a store in which so many records are old.
type aged struct {
	store.Store
	left int
	most int // that a call removed
}

func (a *aged) DeleteBefore(_ context.Context, _ time.Time, limit int) (int, error) {
	n := min(a.left, limit)
	a.left, a.most = a.left-n, max(a.most, n)
	return n, nil
}

// A server with much to remove leaves its database to others most of the time.
func TestExpireLeavesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &aged{left: 1010}
		s := &served{Service: &service.Service{Store: a}}
		began := time.Now()
		if err := s.expire(t.Context(), began); err != nil || a.left != 0 {
			t.Errorf("%d are left, %v", a.left, err)
		}
		if took := time.Since(began); a.most > 20 || took < 2*time.Second {
			t.Errorf("they were removed in %v, %d at a time", took, a.most)
		}
		a.left = 1010
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.expire(ctx, began); err == nil || a.left == 0 {
			t.Errorf("it does not end with its context: %v", err)
		}
	})
}
