package sandbox

import (
	"context"
	"errors"
	"time"
)

// refill makes one sandbox after the other, so that those which run keep the
// machine, and takes away those that nobody asks for.
func (p *Pool) refill() {
	tick := time.NewTicker(idlePatience / 4)
	defer tick.Stop()
	for p.making.Err() == nil {
		if p.fillOne() {
			select {
			case <-tick.C:
				p.shrink()
			default:
			}
			continue
		}
		select {
		case <-p.wake:
			p.rest()
		case <-tick.C:
			p.shrink()
		case <-p.making.Done():
		}
	}
}

// rest leaves the machine to the attempt that has just taken a sandbox: most are
// over before another could be made.
func (p *Pool) rest() {
	timer := time.NewTimer(headStart)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.making.Done():
	}
}

// order is a sandbox to be made.
type order struct {
	key, snapshot string
	request       Request
	warm          bool
	shape         *shape
}

// fillOne makes a sandbox of the shape that lacks one and is used most; false
// when none lacks any, or none can be made now.
func (p *Pool) fillOne() bool {
	o := p.lacking()
	if o == nil {
		return false
	}
	begun := time.Now()
	ctx, cancel := context.WithTimeout(p.making, makeTime)
	defer cancel()
	box, err := p.restore(ctx, o.snapshot, o.request, o.warm)
	heavy := 0
	if err == nil {
		if used, err := box.Stats(ctx); err == nil {
			heavy = int(max(0, used.Memory-1) / footprint)
		}
	}
	// There is nothing to restore yet, or somebody makes it.
	notYet := errors.Is(err, errBusy) || errors.Is(err, errNoSnapshot)
	if left := p.record(o, made{box, heavy, err, notYet, time.Since(begun)}); left != nil {
		p.destroy(left)
	}
	if err != nil && !notYet && p.making.Err() == nil {
		p.opts.Log.Warn("no sandbox could be made ready", "error", err)
	}
	return !notYet
}

// made is what became of an order.
type made struct {
	box    *Sandbox
	heavy  int
	err    error
	notYet bool
	took   time.Duration
}

// record adds what was made, or counts that nothing was. It returns the sandbox
// that there is no place for.
func (p *Pool) record(o *order, m made) (left *Sandbox) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := o.shape
	s.making--
	if m.err == nil {
		p.made, p.took = p.made+1, m.took
		s.heavy = m.heavy
	} else if !m.notYet {
		p.failed++
		s.after = time.Now().Add(failurePause)
	}
	known := !p.closed && p.shapes[o.key] == s
	if m.box != nil && known && (len(s.promised) > 0 || p.place(s)) {
		s.keep(m.box, time.Now())
		return nil
	}
	s.keep(nil, time.Now())
	return m.box
}

// lacking chooses the shape to make a sandbox of, and counts it as being made.
func (p *Pool) lacking() *order {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	var best *order
	now, all := time.Now(), p.weight()
	for key, s := range p.shapes {
		lacks := len(s.ready)+s.making < s.want && !now.Before(s.after)
		if lacks && (best == nil || s.before(best.shape)) && (all+1+s.heavy <= p.max || p.victim(s) != nil) {
			best = &order{key, s.snapshot, s.request, s.warm, s}
		}
	}
	if best == nil {
		return nil
	}
	best.shape.making++
	return best
}

// before has those first that are kept warm, then those that are used most.
func (s *shape) before(other *shape) bool {
	if s.warm != other.warm {
		return s.warm
	}
	if s.uses != other.uses {
		return s.uses > other.uses
	}
	return s.used.After(other.used)
}

// place reports whether one more of s may wait, and makes room for it where
// that takes one of another. The caller holds the lock.
func (p *Pool) place(s *shape) bool {
	all := p.weight()
	for all+1+s.heavy > p.max {
		other := p.victim(s)
		if other == nil {
			return false
		}
		other.want = max(0, other.want-1)
		p.dismiss(other, 1)
		all -= 1 + other.heavy
	}
	return true
}

// weight is how many ordinary sandboxes all that there is counts as. The caller
// holds the lock.
func (p *Pool) weight() (all int) {
	for _, s := range p.shapes {
		all += (len(s.ready) + s.making) * (1 + s.heavy)
	}
	return all
}

// victim is the shape that has rested longest of those that can give one away
// for s: not in use, or hardly beside s, and not down to the one that is kept
// warm. The caller holds the lock.
func (p *Pool) victim(s *shape) (oldest *shape) {
	now := time.Now()
	for _, c := range p.shapes {
		spare := len(c.ready) > 0 && (!c.warm || len(c.ready) > 1)
		idle := now.Sub(c.used) > inUse || 4*c.uses < s.uses
		if c != s && spare && idle && (oldest == nil || c.used.Before(oldest.used)) {
			oldest = c
		}
	}
	return oldest
}

// dismiss destroys the first n that wait. The caller holds the lock.
func (p *Pool) dismiss(s *shape, n int) {
	for _, w := range s.ready[:n] {
		p.retire(w.box)
	}
	s.ready = append([]*waiting(nil), s.ready[n:]...)
}

// shrink lets shapes go that are not used, and sandboxes that are old.
func (p *Pool) shrink() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for key, s := range p.shapes {
		s.uses -= (s.uses + 3) / 4
		p.dismiss(s, s.old(now))
		switch rested := now.Sub(s.used); {
		case rested > idleKeep && !s.warm:
			p.dismiss(s, len(s.ready))
			s.want = 0
			if s.making == 0 {
				delete(p.shapes, key)
			}
		case rested > idlePatience:
			s.want = min(s.want, 1)
		case now.Sub(s.shrunk) > idlePatience && s.want > least: // it had enough for long
			s.want--
			s.shrunk = now
		}
		if more := len(s.ready) - s.want; more > 0 {
			p.dismiss(s, more)
		}
	}
	p.signal()
}
