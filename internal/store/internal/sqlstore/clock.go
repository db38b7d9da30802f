package sqlstore

import (
	"context"
	"time"
)

// Leases are told by the clock that all servers of a database share, its own: a
// server whose clock is ahead would take back what others still hold.

// measure finds out how far the database's clock is from this machine's. A
// database that does not answer leaves it as it was.
func (s *Store) measure(ctx context.Context) {
	before := s.now()
	there, err := s.db.Clock(ctx)
	if err != nil || there.IsZero() {
		return
	}
	after := s.now()
	s.skew.Store(int64(there.Sub(before.Add(after.Sub(before) / 2))))
}

// shared is t of this machine's clock on the one that all servers share.
func (s *Store) shared(t time.Time) time.Time { return t.Add(time.Duration(s.skew.Load())) }
