package webhook

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/takovm/tako/internal/store"
)

// Receivers that never answer take no more than their owners' shares, and who
// has others is served at once.
func TestOwnersShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		add := func(owner string, n int) {
			for i := range n {
				s.add(store.Delivery{ID: owner + fmt.Sprint(i), JobID: "j", Owner: owner, CreatedAt: time.Now()})
			}
		}
		under := map[string]int{}
		hung := hanging()
		r := &receiver{}
		r.answer = func(req *http.Request) (int, error) {
			owner := strings.TrimLeft(strings.TrimRight(req.URL.Path, "0123456789"), "/")
			r.mu.Lock()
			under[owner]++
			r.mu.Unlock()
			if owner == "good" {
				return 200, nil
			}
			return hung.answer(req)
		}
		called := func(owner string) int {
			r.mu.Lock()
			defer r.mu.Unlock()
			return under[owner]
		}
		add("bad", 1000)
		stop := start(t, Options{Deliveries: s, Transport: r, Concurrency: 16, Poll: time.Second})
		defer stop()
		synctest.Wait()
		add("worse", 1000)
		advance(t, time.Second)
		synctest.Wait()
		if bad, worse := called("bad"), called("worse"); bad != 8 || worse != 4 {
			t.Errorf("under way are %d and %d", bad, worse)
		}
		add("good", 20)
		advance(t, time.Second)
		synctest.Wait()
		if n := called("good"); n != 20 {
			t.Errorf("%d of the good ones were called", n)
		}
		advance(t, 10*time.Second)
		synctest.Wait()
		if n := called("bad"); n <= 8 {
			t.Errorf("the others do not go on: %d", n)
		}
	})
}
