package queue

import "sync"

// hub wakes those who wait for a record to change. It knows only the ids that
// somebody waits for.
type hub struct {
	mu      sync.Mutex
	waiters map[string]map[chan struct{}]bool
}

// listen returns a channel that holds a token after every change of the record,
// until leave is called. Several changes may leave one token.
func (h *hub) listen(id string) (changed <-chan struct{}, leave func()) {
	c := make(chan struct{}, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waiters == nil {
		h.waiters = map[string]map[chan struct{}]bool{}
	}
	if h.waiters[id] == nil {
		h.waiters[id] = map[chan struct{}]bool{}
	}
	h.waiters[id][c] = true
	return c, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.waiters[id], c)
		if len(h.waiters[id]) == 0 {
			delete(h.waiters, id)
		}
	}
}

// changed wakes those who wait for id; "" wakes everybody, because something
// may have been missed.
func (h *hub) changed(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if id != "" {
		wake(h.waiters[id])
		return
	}
	for _, waiters := range h.waiters {
		wake(waiters)
	}
}

func wake(waiters map[chan struct{}]bool) {
	for c := range waiters {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}
