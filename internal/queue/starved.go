package queue

// passedMost is how often the other class may take memory before who waits for
// it. More would keep large jobs waiting, none would keep memory idle.
const passedMost = 4

// passOver counts for who waits for memory of which the other class took some.
func (s *Slots) passOver(want Want) {
	for class := range classes {
		w := s.first(class)
		if class != want.Class && want.Memory > 0 && w != nil && s.hasSlot(w.Want) && !s.fits(w.Want) {
			w.passed++
		}
	}
}

// starved is who was passed over too often, the oldest of them: two that keep
// memory from each other would both wait for ever. It is nobody who lacks a slot
// as well: memory that is kept for such a one is of use to nobody.
func (s *Slots) starved() *waiter {
	var oldest *waiter
	for class := range classes {
		w := s.first(class)
		if w != nil && w.passed >= passedMost && s.hasSlot(w.Want) && (oldest == nil || w.n < oldest.n) {
			oldest = w
		}
	}
	return oldest
}
