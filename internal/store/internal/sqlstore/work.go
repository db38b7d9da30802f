package sqlstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/takovm/tako/internal/store"
	"github.com/takovm/tako/internal/store/internal/entry"
)

const (
	// mostAtOnce is how many claims share a transaction.
	mostAtOnce = 16
	// abandonedDelay keeps a handle that returns without a report from being
	// called again at once, forever.
	abandonedDelay = time.Second
	// giveBackTimeout bounds giving a claim back that nobody reported on.
	giveBackTimeout = 10 * time.Second
)

// work is a call of Work.
type work struct {
	s      *Store
	ctx    context.Context
	node   store.Node
	slots  store.Slots
	handle func(context.Context, store.Claim)

	mu      sync.Mutex
	claimed map[int64]*claim // by entry, until Run takes them
	last    string           // the queue that was served last
}

// Work hands out claims.
func (s *Store) Work(ctx context.Context, node store.Node, slots store.Slots, handle func(context.Context, store.Claim)) error {
	if node.Name == "" || node.Lease <= 0 {
		return invalid("a node needs a name and a lease")
	}
	if !s.working.TryLock() {
		return invalid("this store is working already")
	}
	defer s.working.Unlock()
	s.measure(ctx)
	ctx, cancel := context.WithCancel(ctx)
	w := &work{s: s, ctx: ctx, node: node, slots: slots, handle: handle, claimed: map[int64]*claim{}}
	var feeding sync.WaitGroup
	feeding.Go(func() { s.feed(ctx) })
	defer feeding.Wait()
	defer cancel()
	return wrap("working", s.db.Work(ctx, w))
}

// Fetch claims what may run: as many as there are slots, after waiting for one.
func (w *work) Fetch(ctx context.Context) ([]entry.Taken, error) {
	if ctx.Err() != nil {
		return nil, nil
	}
	ready, err := w.s.has(ctx, "SELECT 1 FROM river_job WHERE state = 'available' LIMIT 1")
	if err != nil || !ready {
		return nil, ignoreEnd(ctx, err)
	}
	releases, err := w.acquire(ctx)
	if err != nil {
		return nil, ignoreEnd(ctx, err)
	}
	claims, taken, err := w.claim(ctx, releases)
	for _, release := range releases[len(claims):] {
		release()
	}
	if len(taken) > 0 || len(claims) > 0 {
		w.s.db.Wake() // there may be more
	}
	if w.s.held.Load() {
		// That this fails is no reason to lose what was claimed.
		if err := ignoreEnd(ctx, w.s.letIn(ctx)); err != nil {
			w.s.log.Warn("feeding the queue failed and is tried again", "err", err)
		}
	}
	return taken, err
}

func (w *work) acquire(ctx context.Context) (releases []func(), err error) {
	release, err := w.slots.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	releases = append(releases, release)
	for len(releases) < mostAtOnce {
		release, ok := w.slots.TryAcquire()
		if !ok {
			break
		}
		releases = append(releases, release)
	}
	return releases, nil
}

// claim takes entries and claims their records in one transaction.
func (w *work) claim(ctx context.Context, releases []func()) ([]*claim, []entry.Taken, error) {
	defer w.s.claims.begin()()
	var rows []row
	var taken []entry.Taken
	err := w.s.write(ctx, "claim", func(ctx context.Context, t *txn) error {
		rows, taken = nil, nil
		all, err := w.take(ctx, t, len(releases))
		if err != nil {
			return err
		}
		if err := t.point("entries"); err != nil {
			return err
		}
		for _, e := range all {
			r, ok, err := w.claimRecord(ctx, t, e.ID)
			if err != nil {
				return err
			}
			if ok {
				rows, taken = append(rows, r), append(taken, e)
			}
		}
		return nil
	})
	if err != nil {
		// Should it have been committed, the leases run out and Recover acts.
		return nil, nil, err
	}
	claims := make([]*claim, len(rows))
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, r := range rows {
		claims[i] = w.s.claims.add(r.Record, w.node.Name)
		claims[i].release = releases[i]
		w.claimed[r.entry] = claims[i]
	}
	return claims, taken, nil
}

// claimRecord makes the record of an entry run. An entry without a record that
// waits is removed.
func (w *work) claimRecord(ctx context.Context, t *txn, id int64) (r row, ok bool, err error) {
	now := w.s.instant()
	query := `UPDATE records SET status = 'running', started_at = $1, node = $2, life = $3, lease = $4, event_seq = event_seq + 1
 WHERE entry = $5 AND entry <> 0 AND status = 'queued' RETURNING ` + rowColumns
	err = t.Each(ctx, query, []any{nanos(now), w.node.Name, w.s.life, nanos(w.s.shared(now.Add(w.node.Lease))), id}, func(scan Scan) error {
		ok = true
		return r.scan(scan)
	})
	if err != nil {
		return row{}, false, err
	}
	if !ok {
		_, err := t.Exec(ctx, "DELETE FROM river_job WHERE id = $1", id)
		return row{}, false, err
	}
	var body, input []byte
	if _, err := one(ctx, t, "SELECT body, input FROM requests WHERE seq = $1", []any{r.seq}, &body, &input); err != nil {
		return row{}, false, err
	}
	if err := r.decodeRequest(body, input); err != nil {
		return row{}, false, err
	}
	t.changed(r.ID)
	r.eventSeq-- // which logStatus counts for itself
	return r, true, t.logStatus(ctx, &r)
}

// Run calls handle with the claim of an entry.
func (w *work) Run(_ context.Context, id int64) {
	w.mu.Lock()
	c := w.claimed[id]
	delete(w.claimed, id)
	w.mu.Unlock()
	if c == nil {
		return
	}
	lasting := context.WithoutCancel(w.ctx)
	// Deferred, because River recovers a panic of handle.
	defer c.release()
	defer func() {
		if !w.s.claims.isOver(c) {
			w.giveBack(lasting, c)
		}
	}()
	w.handle(lasting, c.claim())
}

func (w *work) giveBack(ctx context.Context, c *claim) {
	ctx, cancel := context.WithTimeout(ctx, giveBackTimeout)
	defer cancel()
	err := w.s.release(ctx, c.claim(), abandonedDelay, cmp.Or(w.node.MaxInterruptions, -1))
	w.s.claims.remove(c) // where that failed the lease runs out
	if err != nil && !isAnswer(err) {
		w.s.log.Error("a job could not be given back and waits for its lease to end", "job", c.record.ID, "err", err)
	}
}

// has reports whether a query finds something.
func (s *Store) has(ctx context.Context, query string, args ...any) (found bool, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, q Querier) error {
		var n int
		found, err = one(ctx, q, query, args, &n)
		return err
	})
	return found, err
}

// ignoreEnd is nil for what fails because ctx ended.
func ignoreEnd(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("looking for work: %w", err)
}

// isAnswer reports an error that settles a report, other than one that leaves
// it open.
func isAnswer(err error) bool {
	return errors.Is(err, store.ErrLost) || errors.Is(err, store.ErrEnded) || errors.Is(err, store.ErrNotFound)
}
