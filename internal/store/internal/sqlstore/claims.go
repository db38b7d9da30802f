package sqlstore

import (
	"sync"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// claims are those that this process holds. They are what Renew renews: a claim
// that is not here, because giving it back failed, runs out and is recovered.
type claims struct {
	mu   sync.Mutex
	byID map[string]*claim
	// early are ends that were asked for while a claim was on its way here:
	// told by another server before the own commit had returned.
	taking int
	early  map[string]struct{}
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

// begin and end bracket the taking of claims, during which early ends are kept.
func (cs *claims) begin() {
	cs.mu.Lock()
	cs.taking++
	cs.mu.Unlock()
}

func (cs *claims) end() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.taking--; cs.taking == 0 {
		cs.early = nil
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
	if cs.taking > 0 {
		if cs.early == nil {
			cs.early = map[string]struct{}{}
		}
		cs.early[id] = struct{}{}
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
