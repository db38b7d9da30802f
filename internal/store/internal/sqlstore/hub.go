package sqlstore

import (
	"context"
	"sync"
)

// mostPending is how many changes wait for one follower before it is told that
// it missed some.
const mostPending = 4096

// hub passes changes to followers. A slow one delays nobody: what waits for it
// is a set of ids, and beyond mostPending the word that some were missed.
type hub struct {
	mu        sync.Mutex
	followers map[*follower]struct{}
}

type follower struct {
	mu      sync.Mutex
	pending []string
	known   map[string]struct{}
	missed  bool
	signal  chan struct{}
}

func (h *hub) follow(ctx context.Context, changed func(id string)) error {
	f := &follower{known: map[string]struct{}{}, signal: make(chan struct{}, 1), missed: true}
	f.signal <- struct{}{}
	h.mu.Lock()
	if h.followers == nil {
		h.followers = map[*follower]struct{}{}
	}
	h.followers[f] = struct{}{}
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		delete(h.followers, f)
		h.mu.Unlock()
	}()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-f.signal:
		}
		ids, missed := f.take()
		if missed {
			changed("")
		}
		for _, id := range ids {
			changed(id)
		}
	}
}

func (h *hub) publish(n Notice) {
	if len(n.Changed) == 0 && !n.Missed {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for f := range h.followers {
		f.add(n)
	}
}

func (f *follower) add(n Notice) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.missed = f.missed || n.Missed
	for _, id := range n.Changed {
		if _, ok := f.known[id]; ok {
			continue
		}
		if len(f.pending) >= mostPending {
			f.pending, f.missed = nil, true
			clear(f.known)
		}
		f.known[id] = struct{}{}
		f.pending = append(f.pending, id)
	}
	select {
	case f.signal <- struct{}{}:
	default:
	}
}

func (f *follower) take() (ids []string, missed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	ids, missed = f.pending, f.missed
	f.pending, f.missed = nil, false
	clear(f.known)
	return ids, missed
}
