package sqlstore

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/takovm/tako/internal/store/internal/entry"
)

// queuesOf lists the queues that have entries in a state, available ones to be
// taken. Each is one look into River's index (state, queue, ...), however long
// the queues are.
func queuesOf(state string) string {
	return strings.ReplaceAll(`WITH RECURSIVE waiting(name) AS (
 SELECT min(queue) FROM river_job WHERE state = '$state'
 UNION ALL
 SELECT (SELECT min(queue) FROM river_job WHERE state = '$state' AND queue > waiting.name) FROM waiting WHERE waiting.name IS NOT NULL
) SELECT name FROM waiting WHERE name IS NOT NULL`, "$state", state)
}

// turn is an owner's queue when slots are shared out.
type turn struct {
	queue   string
	running int // jobs of the owner, on all servers
	n       int // to be taken now
}

// take takes up to n entries. Every owner has a queue, and the one whose jobs
// run least is served first, in turn among equals: whoever submits thousands of
// jobs does not keep others waiting. Within a queue priority decides, and age.
func (w *work) take(ctx context.Context, t *txn, n int) ([]entry.Taken, error) {
	turns, err := w.turns(ctx, t)
	if err != nil {
		return nil, err
	}
	switch len(turns) {
	case 0: // another server was faster
		return nil, nil
	case 1:
		return t.TakeEntries(ctx, turns[0].queue, n)
	}
	w.share(turns, n)
	var all []entry.Taken
	for _, u := range turns {
		if u.n == 0 {
			continue
		}
		taken, err := t.TakeEntries(ctx, u.queue, u.n)
		if err != nil {
			return nil, err
		}
		all = append(all, taken...)
	}
	return all, nil
}

// turns are the queues with something to take, and how much of each runs.
func (w *work) turns(ctx context.Context, t *txn) ([]*turn, error) {
	var turns []*turn
	err := t.Each(ctx, queuesOf("available"), nil, func(scan Scan) error {
		u := &turn{}
		turns = append(turns, u)
		return scan(&u.queue)
	})
	if err != nil || len(turns) < 2 {
		return turns, err
	}
	running := map[string]int{}
	err = t.Each(ctx, "SELECT owner, count(*) FROM records WHERE status = 'running' GROUP BY owner", nil, func(scan Scan) error {
		var owner string
		var n int
		if err := scan(&owner, &n); err != nil {
			return err
		}
		running[entry.QueueOf(owner)] = n
		return nil
	})
	for _, u := range turns {
		u.running = running[u.queue]
	}
	return turns, err
}

// share gives n slots out, one after the other.
func (w *work) share(turns []*turn, n int) {
	for range n {
		next := slices.MinFunc(turns, func(a, b *turn) int {
			return cmp.Or(
				cmp.Compare(a.running+a.n, b.running+b.n),
				// Behind the one that was served last, and then from the beginning.
				-compareBool(a.queue > w.last, b.queue > w.last),
				cmp.Compare(a.queue, b.queue),
			)
		})
		next.n++
		w.last = next.queue
	}
}

// compareBool has false before true.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
