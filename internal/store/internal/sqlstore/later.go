package sqlstore

import (
	"context"
	"sync"
	"time"

	"github.com/takovm/tako/internal/store"
)

// later knows how many records of each owner wait for their time, without
// counting them for every submission. What other servers accept, what is
// cancelled and what has come due is seen when a count is old.
type later struct {
	mu     sync.Mutex
	counts map[string]*laterCount // by owner
}

type laterCount struct {
	n       int
	counted time.Time
}

// boundLater refuses rows that wait for their time where their owner has too
// many of them already: they would stay for as long as they please.
func (t *txn) boundLater(ctx context.Context, rows []row, fresh []int, most int) error {
	more, last := map[string]int{}, map[string]string{}
	for _, i := range fresh {
		if t.s.isLater(&rows[i]) {
			more[rows[i].Owner]++
			last[rows[i].Owner] = rows[i].ID
		}
	}
	for owner, n := range more {
		fits, err := t.s.later.take(owner, n, most, func() (int, error) { return t.countLater(ctx, owner) })
		if err != nil {
			return err
		}
		if !fits {
			return &rowError{last[owner], store.ErrQueueFull}
		}
	}
	return nil
}

func (t *txn) countLater(ctx context.Context, owner string) (n int, err error) {
	_, err = one(ctx, t, "SELECT count(*) FROM records WHERE status = 'queued' AND ready_at > $1 AND owner = $2",
		[]any{nanos(t.s.now().Add(dueSoon)), owner}, &n)
	return n, err
}

// take counts n more of an owner, if they fit. A transaction that comes to
// nothing afterwards has been counted until the next count.
func (l *later) take(owner string, n, most int, count func() (int, error)) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.counts[owner]
	if c == nil || time.Since(c.counted) > roomLasts || c.n+n > most {
		have, err := count()
		if err != nil {
			return false, err
		}
		c = &laterCount{n: have, counted: time.Now()}
		if l.counts == nil || len(l.counts) > 1000 {
			l.counts = map[string]*laterCount{}
		}
		l.counts[owner] = c
	}
	if c.n+n > most {
		return false, nil
	}
	c.n += n
	return true, nil
}
