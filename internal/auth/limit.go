package auth

import (
	"container/list"
	"net/netip"
	"sync"
	"time"

	"github.com/takovm/tako/internal/job"
)

// LimitOptions configure a Limiter.
type LimitOptions struct {
	// Requests are allowed in each Window. Defaults 120 and one minute.
	Requests int
	Window   time.Duration
	// Callers is how many are counted at once, at most; a further one takes the
	// place of the one whose window began first. Default 65,536, about 12 MB.
	Callers int
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Limiter counts calls in fixed windows, one per caller, each of which begins
// with the caller's first call. Any number of goroutines may use it.
type Limiter struct {
	o LimitOptions

	mu      sync.Mutex
	windows map[string]*list.Element
	// begun has the windows in the order in which they began, so that those
	// that are over are in front.
	begun *list.List
}

// window is one caller's.
type window struct {
	caller string
	start  time.Time
	calls  int
}

// NewLimiter makes a Limiter.
func NewLimiter(o LimitOptions) *Limiter {
	if o.Requests <= 0 {
		o.Requests = 120
	}
	if o.Window <= 0 {
		o.Window = time.Minute
	}
	if o.Callers <= 0 {
		o.Callers = 1 << 16
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Limiter{o: o, windows: map[string]*list.Element{}, begun: list.New()}
}

// Allow counts a call of that caller (see LimitKey) and reports whether it may
// go on; if not, it may try again after wait, which is rounded up to whole
// seconds, for Retry-After, and at least one.
func (l *Limiter) Allow(caller string) (ok bool, wait time.Duration) {
	now := l.o.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.current(caller, now)
	if w.calls < l.o.Requests {
		w.calls++
		return true, 0
	}
	left := l.o.Window - now.Sub(w.start)
	return false, max((left + time.Second - 1).Truncate(time.Second), time.Second)
}

// current answers the caller's window, a new one if there is none or it is
// over.
func (l *Limiter) current(caller string, now time.Time) *window {
	l.evict(now)
	if e, ok := l.windows[caller]; ok {
		w := e.Value.(*window)
		// A clock that was set back must not lock anybody out.
		if age := now.Sub(w.start); age >= 0 && age < l.o.Window {
			return w
		}
		w.start, w.calls = now, 0
		l.begun.MoveToBack(e)
		return w
	}
	if len(l.windows) >= l.o.Callers {
		l.drop(l.begun.Front())
	}
	w := &window{caller: caller, start: now}
	l.windows[caller] = l.begun.PushBack(w)
	return w
}

// evict removes windows that ended two windows ago. Two at a time keep up with
// the one that a call can add.
func (l *Limiter) evict(now time.Time) {
	for range 2 {
		e := l.begun.Front()
		if e == nil || now.Sub(e.Value.(*window).start) < 2*l.o.Window {
			return
		}
		l.drop(e)
	}
}

func (l *Limiter) drop(e *list.Element) {
	delete(l.windows, l.begun.Remove(e).(*window).caller)
}

// LimitKey names a caller for a Limiter: the principal where there is one, else
// the address, and of an IPv6 address its /64, because a caller has all of it.
// An address that is not valid is "unknown".
func LimitKey(p job.Principal, client netip.Addr) string {
	switch {
	case p.Name != "" && p.Name != Anonymous().Name:
		return p.Name
	case !client.IsValid():
		return "unknown"
	case client.Is4() || client.Is4In6():
		return "address:" + client.Unmap().String()
	}
	prefix, err := client.WithZone("").Prefix(64)
	if err != nil {
		return "unknown"
	}
	return "address:" + prefix.String()
}
