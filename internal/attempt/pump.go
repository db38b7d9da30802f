package attempt

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/takovm/tako/internal/job"
)

const (
	// gatherTime is how long output may wait for more of it before it is
	// stored: what a person sees as at once, and far fewer writes.
	gatherTime = 20 * time.Millisecond
	// maxEvent is the longest output of one event, in bytes.
	maxEvent = 32 << 10
	// maxPending is how much output may wait for a slow store before the
	// program that writes it has to wait, too, in bytes.
	maxPending = 1 << 20
	// storePatience is how long a store that fails is tried again at most
	// before the next try.
	storePatience = 2 * time.Second
)

// pump gathers what an attempt says into events and stores them in order.
type pump struct {
	append  func(ctx context.Context, events []job.Event) error
	attempt int
	now     func() time.Time

	mu      sync.Mutex
	pending []job.Event
	bytes   int
	partial [2][]byte     // the beginning of a character, of each stream
	room    *sync.Cond    // bytes went down, or the pump was given up
	wake    chan struct{} // holds a token when something is pending
	said    int64         // number of the last event
	gone    bool          // given up: what comes is dropped
}

func newPump(log func(context.Context, []job.Event) error, attempt int, now func() time.Time) *pump {
	p := &pump{append: log, attempt: attempt, now: now, wake: make(chan struct{}, 1)}
	p.room = sync.NewCond(&p.mu)
	return p
}

// stream is the writer of one output.
type stream struct {
	pump *pump
	kind job.EventType
	i    int
}

// start has what is said stored until stop, which waits for it and may be called
// again.
func (p *pump) start(ctx context.Context) (stop func()) {
	pumping, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		p.run(pumping)
	}()
	return func() { cancel(); <-stopped }
}

// build is the writer of what the making of an environment says.
func (p *pump) build() io.Writer { return builds{p} }

type builds struct{ *pump }

func (b builds) Write(text []byte) (int, error) {
	for part := range slices.Chunk(text, maxEvent) {
		b.say(job.EventBuild, map[string]string{"text": strings.ToValidUTF8(string(part), "\ufffd")})
	}
	return len(text), nil
}

func (p *pump) stdout() *stream { return &stream{p, job.EventStdout, 0} }
func (p *pump) stderr() *stream { return &stream{p, job.EventStderr, 1} }

// Write takes all of b, waiting while a slow store is behind.
func (s *stream) Write(b []byte) (int, error) {
	p := s.pump
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.bytes > maxPending && !p.gone {
		p.room.Wait()
	}
	p.output(s.kind, s.i, b, false)
	return len(b), nil
}

// output queues b, less the beginning of a character at its end, which waits
// for the rest unless last. The caller holds the lock.
func (p *pump) output(kind job.EventType, i int, b []byte, last bool) {
	whole := append(p.partial[i], b...)
	p.partial[i] = nil
	if cut := incomplete(whole); cut > 0 && !last {
		p.partial[i] = append([]byte(nil), whole[len(whole)-cut:]...)
		whole = whole[:len(whole)-cut]
	}
	for len(whole) > 0 {
		piece := whole[:min(maxEvent, len(whole))]
		if len(piece) < len(whole) {
			piece = piece[:len(piece)-incomplete(piece)]
		}
		whole = whole[len(piece):]
		p.add(kind, outputData(piece), len(piece))
	}
}

// incomplete is how many bytes at the end of b begin a character that goes on.
func incomplete(b []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
		switch c := b[len(b)-n]; {
		case c < utf8.RuneSelf:
			return 0
		case utf8.RuneStart(c):
			if utf8.FullRune(b[len(b)-n:]) {
				return 0
			}
			return n
		}
	}
	return 0
}

// outputData is text where it can be, and base64 where not.
func outputData(b []byte) json.RawMessage {
	field := map[string]string{"b64": base64.StdEncoding.EncodeToString(b)}
	if utf8.Valid(b) {
		field = map[string]string{"text": string(b)}
	}
	return mustJSON(field)
}

// mustJSON encodes what cannot fail.
func mustJSON(v any) json.RawMessage {
	data, err := json.Marshal(v)
	if err != nil {
		panic("attempt: encoding an event: " + err.Error())
	}
	return data
}

// add queues one event. The caller holds the lock.
func (p *pump) add(kind job.EventType, data json.RawMessage, size int) {
	if p.gone {
		return
	}
	p.said++
	p.pending = append(p.pending, job.Event{Attempt: p.attempt, At: p.now(), Type: kind, Data: data, Said: p.said})
	p.bytes += size
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// say queues an event that is no output.
func (p *pump) say(kind job.EventType, fields any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.add(kind, mustJSON(fields), 0)
}

// take empties the queue.
func (p *pump) take() []job.Event {
	p.mu.Lock()
	defer p.mu.Unlock()
	events := p.pending
	p.pending, p.bytes = nil, 0
	p.room.Broadcast()
	return events
}

// run stores what is queued until ctx ends. What is left then is rest's.
func (p *pump) run(ctx context.Context) {
	for {
		select {
		case <-p.wake:
		case <-ctx.Done():
			return
		}
		if !pause(ctx, gatherTime) {
			return
		}
		p.store(ctx, p.take())
	}
}

// store appends events, however often it takes. What could not be stored when
// ctx ends goes back to the front of the queue.
func (p *pump) store(ctx context.Context, events []job.Event) {
	for wait := gatherTime; len(events) > 0; wait = min(2*wait, storePatience) {
		// Not cancelled half-way: nobody could say then whether they are stored.
		err := p.append(context.WithoutCancel(ctx), events)
		if err == nil {
			return
		}
		if job.KindOf(err) != job.KindUnavailable {
			p.abandon() // the claim is lost, or the job is gone
			return
		}
		if !pause(ctx, wait) {
			p.mu.Lock()
			p.pending = append(events, p.pending...)
			p.mu.Unlock()
			return
		}
	}
}

// abandon drops all that comes.
func (p *pump) abandon() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone, p.pending, p.bytes = true, nil, 0
	p.room.Broadcast()
}

// rest ends both streams and returns what is not stored yet, for the
// transaction that ends the job.
func (p *pump) rest() []job.Event {
	p.mu.Lock()
	for i, kind := range []job.EventType{job.EventStdout, job.EventStderr} {
		p.output(kind, i, nil, true)
	}
	p.mu.Unlock()
	return p.take()
}

// errPaused is never seen; it names why a pause ended early.
var errPaused = errors.New("paused")

// pause waits for d; false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer, cancel := context.WithTimeoutCause(ctx, d, errPaused)
	defer cancel()
	<-timer.Done()
	return ctx.Err() == nil
}
