package sqlstore

import (
	"maps"
	"sync"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// claims are those that this process holds. They are what Renew renews: a claim
// that is not here, because giving it back failed, runs out and is recovered.
type claims struct {
	mu   sync.Mutex
	byID map[string]*claim
	// early are ends that were asked for while claims were on their way here:
	// told by another server before the own commit had returned. Each is kept
	// until the takings that were under way then have ended.
	takings map[int64]struct{}
	begun   int64
	early   map[string]int64 // the last taking that had begun then
}

// claim is one of them.
type claim struct {
	record    job.Record
	node      string
	cancelled chan struct{}
	closed    bool   // cancelled is
	release   func() // of its slot; nil for a sync one
	over      bool   // it ended, was retried or was given back
}

func (c *claim) claim() store.Claim {
	return store.Claim{Record: c.record, Node: c.node, Cancelled: c.cancelled}
}

func (cs *claims) add(r job.Record, node string) *claim {
	c := &claim{record: r, node: node, cancelled: make(chan struct{})}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.byID == nil {
		cs.byID = map[string]*claim{}
	}
	if earlier := cs.byID[r.ID]; earlier != nil {
		cs.close(earlier) // it was lost, or nobody could have claimed again
	}
	cs.byID[r.ID] = c
	if _, ok := cs.early[r.ID]; ok {
		cs.close(c)
	}
	return c
}

// begin announces claims that are about to be taken; end is for after they were
// added. In between, early ends are kept.
func (cs *claims) begin() (end func()) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.takings == nil {
		cs.takings, cs.early = map[int64]struct{}{}, map[string]int64{}
	}
	cs.begun++
	n := cs.begun
	cs.takings[n] = struct{}{}
	return func() { cs.taken(n) }
}

func (cs *claims) taken(n int64) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	delete(cs.takings, n)
	if len(cs.early) == 0 {
		return
	}
	oldest := cs.begun + 1
	for n := range cs.takings {
		oldest = min(oldest, n)
	}
	maps.DeleteFunc(cs.early, func(_ string, last int64) bool { return last < oldest })
}

// next has a claim stand for the next attempt.
func (cs *claims) next(sc store.Claim) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if c := cs.byID[sc.Record.ID]; c != nil && c.cancelled == sc.Cancelled {
		c.record = sc.Record
	}
}

// remove forgets a claim, unless the record was claimed again since.
func (cs *claims) remove(c *claim) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	c.over = true
	if cs.byID[c.record.ID] == c {
		delete(cs.byID, c.record.ID)
	}
}

// settled forgets the claim that a report was about.
func (cs *claims) settled(sc store.Claim) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if c := cs.byID[sc.Record.ID]; c != nil && c.cancelled == sc.Cancelled {
		c.over = true
		delete(cs.byID, sc.Record.ID)
	}
}

func (cs *claims) isOver(c *claim) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return c.over
}

// cancel closes Cancelled of a record's claim, if it is here.
func (cs *claims) cancel(id string) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if c := cs.byID[id]; c != nil {
		cs.close(c)
		return
	}
	if len(cs.takings) > 0 {
		cs.early[id] = cs.begun
	}
}

func (cs *claims) close(c *claim) {
	if !c.closed {
		c.closed = true
		close(c.cancelled)
	}
}

// ofNode are the ids of a node's claims.
func (cs *claims) ofNode(node string) []string {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	ids := make([]string, 0, len(cs.byID))
	for id, c := range cs.byID {
		if c.node == node {
			ids = append(ids, id)
		}
	}
	return ids
}
