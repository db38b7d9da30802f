package webhook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// shelf keeps deliveries in memory.
type shelf struct {
	mu       sync.Mutex
	list     map[string]*store.Delivery
	hidden   map[string]time.Time
	saves    int
	claimErr error
	saveErr  error
}

func newShelf(list ...store.Delivery) *shelf {
	s := &shelf{list: map[string]*store.Delivery{}, hidden: map[string]time.Time{}}
	for _, d := range list {
		s.add(d)
	}
	return s
}

func (s *shelf) add(d store.Delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.URL == "" {
		d.URL = "https://receiver.example/" + d.ID + "?token=hidden"
	}
	d.Status = pending
	s.list[d.ID] = &d
}

func (s *shelf) ClaimDelivery(ctx context.Context, now time.Time, lease time.Duration, except ...string) (store.Delivery, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.claimErr != nil {
		return store.Delivery{}, s.claimErr
	}
	for id, d := range s.list {
		if d.Status == pending && !d.NextAt.After(now) && !s.hidden[id].After(now) && !slices.Contains(except, d.Owner) {
			s.hidden[id] = now.Add(lease)
			return *d, ctx.Err()
		}
	}
	return store.Delivery{}, store.ErrNotFound
}

func (s *shelf) SaveDelivery(ctx context.Context, d store.Delivery) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.saves++
	if s.saveErr != nil || ctx.Err() != nil {
		return errors.Join(s.saveErr, ctx.Err())
	}
	s.list[d.ID] = &d
	delete(s.hidden, d.ID)
	return nil
}

func (s *shelf) get(id string) store.Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	return *s.list[id]
}

// receiver is an http.RoundTripper that answers as it is told.
type receiver struct {
	mu     sync.Mutex
	at     []time.Time // of the requests
	answer func(r *http.Request) (int, error)
	now    int // requests under way
	most   int
}

func (r *receiver) RoundTrip(req *http.Request) (*http.Response, error) {
	r.mu.Lock()
	r.at = append(r.at, time.Now())
	r.now++
	r.most = max(r.most, r.now)
	r.mu.Unlock()
	defer func() { r.mu.Lock(); r.now--; r.mu.Unlock() }()
	status, err := r.answer(req)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader("")), Request: req}, nil
}

func (r *receiver) times() []time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.at)
}

func answering(status int) *receiver {
	return &receiver{answer: func(*http.Request) (int, error) { return status, nil }}
}

// hanging never answers.
func hanging() *receiver {
	return &receiver{answer: func(r *http.Request) (int, error) { <-r.Context().Done(); return 0, r.Context().Err() }}
}

func message(context.Context, store.Delivery) (Message, error) {
	return Message{Event: "job.finished", Body: []byte("{}"), Secret: "secret"}, nil
}

// start runs a dispatcher until the test calls stop, which waits for its end.
func start(t *testing.T, o Options) (stop func()) {
	t.Helper()
	if o.Build == nil {
		o.Build = message
	}
	if o.Random == nil {
		o.Random = func() float64 { return 0 }
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { New(o).Run(ctx); close(done) }()
	return func() { cancel(); <-done }
}

func due(id string) store.Delivery { return store.Delivery{ID: id, JobID: id, CreatedAt: time.Now()} }

func TestDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := newShelf(due("a"), due("b")), answering(204)
		stop := start(t, Options{Deliveries: s, Transport: r})
		synctest.Wait()
		stop()
		for _, id := range []string{"a", "b"} {
			if d := s.get(id); d.Status != delivered || d.Tries != 1 || d.LastStatus != 204 || !d.DeliveredAt.Equal(time.Now()) {
				t.Errorf("%+v", d)
			}
		}
	})
}

// Every wait doubles, and after a day no further try is made.
func TestBackoffAndGivingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		s, r := newShelf(due("a")), answering(500)
		stop := start(t, Options{Deliveries: s, Transport: r})
		for s.get("a").Status == pending {
			synctest.Wait()
			advance(t, time.Minute)
		}
		stop()
		var got []time.Duration
		for _, at := range r.times() {
			got = append(got, at.Sub(begin))
		}
		var want []time.Duration
		for tries, at := 1, time.Duration(0); at <= 24*time.Hour; tries++ {
			want = append(want, at)
			at += waitAfter(tries, 0)
		}
		if !slices.Equal(got, want) {
			t.Errorf("tries at %v\nwant %v", got, want)
		}
		if d := s.get("a"); d.Status != failed || d.Tries != len(want) || d.LastStatus != 500 || d.LastError != "the receiver answered 500" {
			t.Errorf("%+v", d)
		}
	})
}

// advance lets the bubble's time go on.
func advance(t *testing.T, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	<-ctx.Done()
}

func TestRetryAfterFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(due("a"))
		answers := []int{0, 302, 404, 200}
		r := &receiver{}
		r.answer = func(*http.Request) (int, error) {
			status := answers[0]
			answers = answers[1:]
			if status == 0 {
				return 0, errors.New("connection refused")
			}
			return status, nil
		}
		stop := start(t, Options{Deliveries: s, Transport: r})
		for i, want := range []string{"connection refused", "the receiver answered 302", "the receiver answered 404", ""} {
			synctest.Wait()
			if d := s.get("a"); d.LastError != want || d.Tries != i+1 {
				t.Errorf("try %d: %+v", i+1, d)
			}
			advance(t, waitAfter(i+1, 0))
		}
		stop()
		if d := s.get("a"); d.Status != delivered {
			t.Errorf("%+v", d)
		}
	})
}

func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r, begin := newShelf(due("a")), hanging(), time.Now()
		stop := start(t, Options{Deliveries: s, Transport: r})
		advance(t, 11*time.Second)
		synctest.Wait()
		d := s.get("a")
		stop()
		if d.LastError != "there was no answer within 10s" || !d.NextAt.Equal(begin.Add(20*time.Second)) || d.LastStatus != 0 {
			t.Errorf("%+v", d)
		}
	})
}

func TestWake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r, wake := newShelf(), answering(200), make(chan struct{}, 1)
		stop := start(t, Options{Deliveries: s, Transport: r, Wake: wake})
		synctest.Wait()
		s.add(due("a"))
		wake <- struct{}{}
		synctest.Wait()
		if s.get("a").Status != delivered {
			t.Error("the signal was not heard")
		}
		s.add(due("b")) // without a signal
		synctest.Wait()
		if s.get("b").Status != pending {
			t.Error("delivered without a look")
		}
		advance(t, 15*time.Second)
		synctest.Wait()
		if s.get("b").Status != delivered {
			t.Error("what has no signal is not found")
		}
		stop()
	})
}

func TestConcurrencyIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := newShelf(), hanging()
		for i := range 20 {
			d := due(fmt.Sprint(i))
			d.Owner = d.ID
			s.add(d)
		}
		stop := start(t, Options{Deliveries: s, Transport: r, Concurrency: 4})
		advance(t, time.Minute)
		stop()
		if r.most != 4 || len(r.times()) < 20 {
			t.Errorf("%d at once, %d in all", r.most, len(r.times()))
		}
	})
}

// A stop waits for answers, shortly; a try that it cuts off is not counted and
// is made by the next start.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		s := newShelf(due("quick"), due("slow"))
		r := &receiver{answer: func(r *http.Request) (int, error) {
			patience := time.Hour
			if strings.Contains(r.URL.Path, "quick") {
				patience = 3 * time.Second
			}
			select {
			case <-time.After(patience):
				return 200, nil
			case <-r.Context().Done():
				return 0, r.Context().Err()
			}
		}}
		stop := start(t, Options{Deliveries: s, Transport: r})
		synctest.Wait()
		stop()
		if took := time.Since(begin); took != 5*time.Second {
			t.Errorf("the stop took %v", took)
		}
		if d := s.get("quick"); d.Status != delivered {
			t.Errorf("%+v", d)
		}
		if d := s.get("slow"); d.Status != pending || d.Tries != 0 || d.LastError != "" || d.NextAt.After(time.Now()) {
			t.Errorf("%+v", d)
		}
		if len(r.times()) != 2 {
			t.Errorf("%d requests", len(r.times()))
		}
	})
}

func TestBuildFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := newShelf(due("gone"), due("missing"), due("down"), due("slow")), answering(200)
		stop := start(t, Options{Deliveries: s, Transport: r, Build: func(ctx context.Context, d store.Delivery) (Message, error) {
			switch d.JobID {
			case "gone":
				return Message{}, fmt.Errorf("reading the record: %w", store.ErrNotFound)
			case "missing":
				return Message{}, job.Errorf(job.KindNotFound, "no batch of that id")
			case "slow":
				<-ctx.Done()
				return Message{}, ctx.Err()
			}
			return Message{}, errors.New("dial unix /run/postgresql: connection refused")
		}})
		advance(t, 11*time.Second)
		synctest.Wait()
		stop()
		for id, want := range map[string]store.Delivery{
			"gone":    {Status: failed, LastError: "what is to be sent was deleted"},
			"missing": {Status: failed, LastError: "what is to be sent was deleted"},
			"down":    {Status: pending, LastError: "what is to be sent could not be read"},
			"slow":    {Status: pending, LastError: "what is to be sent could not be read"},
		} {
			if d := s.get(id); d.Status != want.Status || d.LastError != want.LastError && d.LastError != "there was no answer within 10s" || d.Tries == 0 {
				t.Errorf("%s: %+v", id, d)
			}
		}
		if len(r.times()) != 0 {
			t.Error("something was sent")
		}
	})
}

// A store that is down is asked again, not incessantly.
func TestStoreDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := newShelf(due("a")), answering(200)
		s.claimErr = errors.New("the database is locked")
		stop := start(t, Options{Deliveries: s, Transport: r})
		synctest.Wait()
		s.mu.Lock()
		s.claimErr, s.saveErr = nil, errors.New("the database is full")
		s.mu.Unlock()
		advance(t, 20*time.Second) // claimed, sent, not saved
		synctest.Wait()
		if s.saves != 1 || len(r.times()) != 1 {
			t.Errorf("%d saves, %d requests", s.saves, len(r.times()))
		}
		s.mu.Lock()
		s.saveErr = nil
		s.mu.Unlock()
		advance(t, 90*time.Second) // the lease is over
		synctest.Wait()
		stop()
		if d := s.get("a"); d.Status != delivered || len(r.times()) != 2 {
			t.Errorf("%d requests, %+v", len(r.times()), d)
		}
	})
}

func TestNewPanics(t *testing.T) {
	for name, o := range map[string]Options{
		"no store": {Build: message, Transport: answering(200)},
		"no build": {Deliveries: newShelf(), Transport: answering(200)},
		"no guard": {Deliveries: newShelf(), Build: message},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			New(o)
		}()
	}
}
