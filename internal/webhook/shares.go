package webhook

import "sync"

// shares divide the tries that are made at once among the owners of deliveries:
// an owner may have as many under way as there are places free. So one whose
// receivers never answer takes half of them, a second one half of what is left,
// and there is mostly a place for who has none.
type shares struct {
	mu    sync.Mutex
	free  int
	tries map[string]int // under way, by owner
}

func newShares(places int) *shares { return &shares{free: places, tries: map[string]int{}} }

// used lists the owners that have their share.
func (s *shares) used() (owners []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for owner, n := range s.tries {
		if n >= s.free {
			owners = append(owners, owner)
		}
	}
	return owners
}

func (s *shares) begin(owner string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free--
	s.tries[owner]++
}

func (s *shares) end(owner string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free++
	if s.tries[owner]--; s.tries[owner] == 0 {
		delete(s.tries, owner)
	}
}
