package postgres

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"github.com/takovm/tako/internal/store/internal/sqlstore"
)

const (
	// tellInterval is the least time between two sendings: what is told
	// meanwhile goes with the next.
	tellInterval = 10 * time.Millisecond
	// tellTimeout bounds a sending.
	tellTimeout = 5 * time.Second
	// mostTold is how many ids wait to be told, while the database is away for
	// instance, before others are told that they missed some.
	mostTold = 10_000
	// mostIDs is how long the ids in a payload may be together: PostgreSQL takes
	// less than 8000 bytes, and the rest of a message is less than 200.
	mostIDs = 7800
)

// message is a payload.
type message struct {
	From string `json:"from"` // origin
	sqlstore.Notice
	Missed bool `json:"missed,omitempty"`
}

// teller passes notices on to other servers, many in one sending.
type teller struct {
	send   func(ctx context.Context, payloads []string) error
	origin string
	log    *slog.Logger

	mu      sync.Mutex
	pending sqlstore.Notice
	known   map[string]struct{} // those of pending.Changed
	signal  chan struct{}

	closing chan struct{}
	done    sync.WaitGroup
}

func startTeller(send func(context.Context, []string) error, origin string, log *slog.Logger) *teller {
	t := &teller{send: send, origin: origin, log: log, known: map[string]struct{}{}, signal: make(chan struct{}, 1), closing: make(chan struct{})}
	t.done.Go(t.run)
	return t
}

// tell adds a notice to what is to be sent.
func (t *teller) tell(n sqlstore.Notice) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pending.Wake = t.pending.Wake || n.Wake
	t.pending.Missed = t.pending.Missed || n.Missed
	// Ends that are asked for and not told are found when leases are renewed.
	if room := mostTold - len(t.pending.Cancelled); room > 0 {
		t.pending.Cancelled = append(t.pending.Cancelled, n.Cancelled[:min(len(n.Cancelled), room)]...)
	}
	for _, id := range n.Changed {
		if _, ok := t.known[id]; ok {
			continue
		}
		if len(t.pending.Changed) >= mostTold {
			t.pending.Changed, t.pending.Missed = nil, true
			clear(t.known)
		}
		t.known[id] = struct{}{}
		t.pending.Changed = append(t.pending.Changed, id)
	}
	select {
	case t.signal <- struct{}{}:
	default:
	}
}

func (t *teller) take() sqlstore.Notice {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.pending
	t.pending = sqlstore.Notice{}
	clear(t.known)
	return n
}

// stop sends what is left, if the database is there.
func (t *teller) stop() {
	close(t.closing)
	t.done.Wait()
}

func (t *teller) run() {
	retry := newBackoff()
	for {
		select {
		case <-t.closing:
			if err := t.flush(time.Second); err != nil {
				t.log.Debug("the last notices to other servers were not sent", "err", err)
			}
			return
		case <-t.signal:
		}
		wait := tellInterval
		if err := t.flush(tellTimeout); err != nil {
			wait = retry.next()
			t.log.Debug("notices to other servers could not be sent yet", "err", err)
		} else {
			retry = newBackoff()
		}
		select {
		case <-t.closing:
		case <-time.After(wait):
		}
	}
}

// flush sends what waits; what could not be sent waits on.
func (t *teller) flush(timeout time.Duration) error {
	n := t.take()
	payloads := payloads(t.origin, n)
	if len(payloads) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	err := t.send(ctx, payloads)
	if err != nil {
		t.tell(n)
	}
	return err
}

// payloads are a notice in parts that PostgreSQL takes.
func payloads(origin string, n sqlstore.Notice) []string {
	p := packer{origin: origin, message: message{From: origin, Notice: sqlstore.Notice{Wake: n.Wake}, Missed: n.Missed}}
	for _, id := range n.Cancelled {
		if p.fits(id) {
			p.Cancelled = append(p.Cancelled, id)
		}
	}
	for _, id := range n.Changed {
		if p.fits(id) {
			p.Changed = append(p.Changed, id)
		}
	}
	if p.Wake || p.Missed || p.size > 0 {
		p.next()
	}
	return p.list
}

// packer fills one payload after the other.
type packer struct {
	message
	origin string
	size   int // of the ids in the message
	list   []string
}

// next begins a message and keeps the one before.
func (p *packer) next() {
	text, _ := json.Marshal(p.message) // strings and bools: never fails
	p.list = append(p.list, string(text))
	p.message, p.size = message{From: p.origin}, 0
}

// fits makes room for an id; there is none for those that are longer than a
// payload.
func (p *packer) fits(id string) bool {
	text, _ := json.Marshal(id)
	size := len(text) + 1
	if size > mostIDs {
		p.Missed = true
		return false
	}
	if p.size+size > mostIDs {
		p.next()
	}
	p.size += size
	return true
}

// backoff is how long to wait between tries.
type backoff struct{ wait time.Duration }

func newBackoff() *backoff { return &backoff{50 * time.Millisecond} }

func (b *backoff) next() time.Duration {
	wait := b.wait
	b.wait = min(2*wait, 2*time.Second)
	return wait
}
