package sqlstore

import (
	"context"
	"errors"

	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/takovm/tako/internal/job"
)

// What is submitted at once is stored in one transaction, on either database:
// most of what a submission costs is the way there and back of its statements
// and its commit, not the rows.
const (
	mostGathered  = mostInStatement // rows of a transaction
	gatheredBytes = mostToSend      // code and input of its rows
	// gatherFor is how long a transaction waits for who submitted at the same
	// time as others shortly before. Who submits alone does not wait.
	gatherFor = 2 * time.Millisecond
)

// submission is one call of Submit.
type submission struct {
	rows   []row
	max    int
	stored []job.Record
	err    error
	done   chan struct{}
}

func (s *submission) finish(stored []job.Record, err error) {
	s.stored, s.err = stored, err
	close(s.done)
}

func (s *submission) weight() (n int) {
	for i := range s.rows {
		n += s.rows[i].weight()
	}
	return n
}

// gathering is what waits to be stored.
type gathering struct {
	mu       sync.Mutex
	waiting  []*submission
	carrying bool // somebody stores what waits,
	carried  int  // at the moment so many submissions
	// crowd is how many submissions there were at once of late, as many as are
	// waited for.
	crowd int
	come  chan struct{} // has an element when they have come
}

// join adds a submission, and reports whether a carrier is to be started.
func (g *gathering) join(s *submission) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = append(g.waiting, s)
	g.crowd = min(max(g.crowd, len(g.waiting)+g.carried), mostGathered)
	if len(g.waiting) >= g.crowd {
		signal(g.come)
	}
	start := !g.carrying
	g.carrying = true
	return start
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// leave takes back what no carrier has taken.
func (g *gathering) leave(s *submission) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.waiting, s)
	if i < 0 {
		return false
	}
	g.waiting = slices.Delete(g.waiting, i, i+1)
	return true
}

// await returns when as many wait as came together before, or after a moment.
func (g *gathering) await() {
	g.mu.Lock()
	select {
	case <-g.come: // for an earlier transaction
	default:
	}
	complete := len(g.waiting) == 0 || len(g.waiting) >= g.crowd
	g.mu.Unlock()
	if complete {
		return
	}
	timer := time.NewTimer(gatherFor)
	defer timer.Stop()
	select {
	case <-g.come:
	case <-timer.C:
		g.mu.Lock()
		g.crowd = len(g.waiting) // fewer than there were
		g.mu.Unlock()
	}
}

// next is what one transaction stores; without any, the carrier is done.
func (g *gathering) next() []*submission {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, rows, bytes := 0, 0, 0
	for _, s := range g.waiting {
		rows += len(s.rows)
		bytes += s.weight()
		if n > 0 && (s.max != g.waiting[0].max || rows > mostGathered || bytes > gatheredBytes) {
			break
		}
		n++
	}
	group := slices.Clone(g.waiting[:n])
	g.waiting = slices.Delete(g.waiting, 0, n)
	g.carried, g.carrying = n, n > 0
	return group
}

// answering says that those which are carried are answered from now on, and may
// come again.
func (g *gathering) answering() {
	g.mu.Lock()
	g.carried = 0
	g.mu.Unlock()
}

// gathered stores a submission with what else is submitted meanwhile. Given up
// by its caller it is not stored, unless it is about to be.
func (s *Store) gathered(ctx context.Context, rows []row, max int) ([]job.Record, error) {
	sub := &submission{rows: rows, max: max, done: make(chan struct{})}
	if s.gathering.join(sub) {
		go s.carry(context.WithoutCancel(ctx))
	}
	select {
	case <-sub.done:
	case <-ctx.Done():
		if s.gathering.leave(sub) {
			return nil, ctx.Err()
		}
		<-sub.done
	}
	return sub.stored, sub.err
}

// carry stores what waits, until nothing does.
func (s *Store) carry(ctx context.Context) {
	for {
		s.gathering.await()
		group := s.gathering.next()
		if len(group) == 0 {
			return
		}
		s.storeGroup(ctx, group)
	}
}

// storeGroup stores submissions in one transaction, but for those that cannot
// be: what is wrong with one is not the others'.
func (s *Store) storeGroup(ctx context.Context, group []*submission) {
	// In one order, so that two transactions do not wait for each other's keys.
	slices.SortStableFunc(group, func(a, b *submission) int { return strings.Compare(orderOf(a), orderOf(b)) })
	for len(group) > 1 {
		err := s.storeTogether(ctx, group)
		if err == nil {
			return
		}
		at := culprit(group, err)
		switch {
		case at >= 0:
			bad := group[at]
			group = slices.Delete(group, at, at+1)
			stored, own := s.storeAlone(ctx, bad) // mostly what is wrong with it
			bad.finish(stored, own)
			if own != nil && job.KindOf(own) == job.KindUnavailable {
				s.storeEach(ctx, group, own)
				return
			}
		case errors.Is(err, errAgain):
		default:
			s.storeEach(ctx, group, err)
			return
		}
	}
	stored, err := s.storeAlone(ctx, group[0])
	s.gathering.answering()
	group[0].finish(stored, err)
}

// storeEach stores each of a group alone, which failed together with err. Where
// the database is not available it is so for each; and a commit that may have
// happened is not to be tried again.
func (s *Store) storeEach(ctx context.Context, group []*submission, err error) {
	s.gathering.answering()
	for _, sub := range group {
		if job.KindOf(err) == job.KindUnavailable {
			sub.finish(nil, err)
			continue
		}
		stored, own := s.storeAlone(ctx, sub)
		if own != nil && job.KindOf(own) == job.KindUnavailable {
			err = own // the rest need not find out one after the other
		}
		sub.finish(stored, own)
	}
}

// storeTogether stores a group in one transaction, or nothing of it.
func (s *Store) storeTogether(ctx context.Context, group []*submission) error {
	var rows []row
	for _, sub := range group {
		rows = append(rows, sub.rows...)
	}
	stored, err := s.storeRows(ctx, rows, group[0].max)
	if err != nil {
		return err
	}
	s.gathering.answering()
	for _, sub := range group {
		n := len(sub.rows)
		sub.finish(stored[:n:n], nil)
		stored = stored[n:]
	}
	return nil
}

// rowError is what is wrong with one of several records.
type rowError struct {
	id  string
	err error
}

func (e *rowError) Error() string { return e.err.Error() }
func (e *rowError) Unwrap() error { return e.err }

// culprit is the place of the submission that has the record at fault; -1
// where none is.
func culprit(group []*submission, err error) int {
	var at *rowError
	if !errors.As(err, &at) || job.KindOf(err) == job.KindUnavailable {
		return -1
	}
	// The last: of two with one id, the first may be stored.
	for i := len(group) - 1; i >= 0; i-- {
		if slices.ContainsFunc(group[i].rows, func(r row) bool { return r.ID == at.id }) {
			return i
		}
	}
	return -1
}

func orderOf(s *submission) string {
	if len(s.rows) == 0 {
		return ""
	}
	return s.rows[0].Owner + "\x00" + s.rows[0].IdempotencyKey
}

// storeAlone tries again as long as others take its keys.
func (s *Store) storeAlone(ctx context.Context, sub *submission) ([]job.Record, error) {
	for {
		stored, err := s.storeRows(ctx, sub.rows, sub.max)
		if !errors.Is(err, errAgain) {
			return stored, err
		}
	}
}

// storeRows is one transaction. A panic in it is an error: it is not to end the
// server, and others wait for its end.
func (s *Store) storeRows(ctx context.Context, rows []row, max int) (stored []job.Record, err error) {
	defer func() {
		if p := recover(); p != nil {
			stored, err = nil, job.Errorf(job.KindInternal, "storing jobs panicked: %v\n%s", p, debug.Stack())
		}
	}()
	err = s.write(ctx, "submit", func(ctx context.Context, t *txn) (err error) {
		stored, err = t.submit(ctx, rows, admission{later: half(max)})
		return err
	})
	if err != nil {
		return nil, err
	}
	return stored, nil
}
