package storetest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// faultsOnce has every point of failure fail once: whoever called tries again.
func (s *suite) faultsOnce(t *testing.T) { s.faults(t, false) }

// faultsDeadly has the process die before and after every commit. Where it dies
// before one makes no difference: nothing of the transaction is left.
func (s *suite) faultsDeadly(t *testing.T) { s.faults(t, true) }

// faults runs the scenario without a fault, to learn which points there are,
// and then once for each of them.
func (s *suite) faults(t *testing.T, deadly bool) {
	f := &faulty{deadly: deadly}
	f.arm("")
	db := s.New(t)
	_, all, _ := runTrial(t, db, start(t, db, Options{Fault: f.fault}), f)
	for _, name := range []string{"submit", "batch", "begin", "claim", "append", "finish", "giveup", "again", "retry", "release", "cancel", "cancelbatch",
		"recover", "renew", "promote", "feed", "delivery", "key", "upload", "letter", "delete", "expire"} {
		for _, end := range []string{".begin", ".commit", ".committed"} {
			if !slices.Contains(all, name+end) {
				t.Errorf("the scenario does not pass %s", name+end)
			}
		}
	}
	if deadly {
		all = slices.DeleteFunc(all, func(point string) bool { return !strings.Contains(point, ".commit") })
	}
	const shards = 3
	for i := range shards {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			var mine []string
			for n := i; n < len(all); n += shards {
				mine = append(mine, all[n])
			}
			s.trials(t, mine, deadly)
		})
	}
}

// trials runs the scenario with each of the points failing. The second life of
// a server, in which a trial ends, is the first one of the next.
func (s *suite) trials(t *testing.T, points []string, deadly bool) {
	f := &faulty{deadly: deadly}
	db := s.New(t)
	st, hit := start(t, db, Options{Fault: f.fault}), false
	for _, point := range points {
		f.arm(point)
		if st, _, hit = runTrial(t, db, st, f); !hit {
			t.Errorf("the scenario did not pass %s this time", point)
		}
		if t.Failed() { // what one leaves disturbs the next
			t.Fatalf("the fault was at %q", point)
		}
	}
}

var errFault = errors.New("a fault")

// faulty decides which points fail.
type faulty struct {
	deadly bool

	mu    sync.Mutex
	point string
	armed bool // until it is hit
	dead  bool
	seen  map[string]bool
}

// arm chooses the point that fails next.
func (f *faulty) arm(point string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.point, f.armed, f.dead, f.seen = point, true, false, map[string]bool{}
}

func (f *faulty) fault(point string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen[point] = true
	switch {
	case f.dead:
		return errDead
	case point == f.point && f.armed:
		f.armed, f.dead = false, f.deadly
		return errFault
	}
	return nil
}

// kill ends the process, and answers which points it passed and whether it
// failed.
func (f *faulty) kill() (passed []string, hit bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dead = true
	return slices.Sorted(maps.Keys(f.seen)), !f.armed
}

// revive begins the next one, which has no faults before arm is called.
func (f *faulty) revive() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.armed, f.dead = false, false
}

func (f *faulty) isDead() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dead
}

// about reports whether the trial is about transactions of one of these names.
// Without a fault it is about all of them.
func (f *faulty) about(names ...string) bool {
	name, _, _ := strings.Cut(f.point, ".")
	return name == "" || slices.Contains(names, name)
}

// trial is one run of the scenario, over two lives of a server, and what its
// clients were told.
type trial struct {
	testing.TB
	*faulty
	st   store.Store
	work *server

	mu      sync.Mutex
	told    map[string]bool       // what was accepted
	ended   map[string]job.Record // what was seen to have ended
	ends    map[string]int        // reports of an end that were accepted
	reports map[string][]string   // all of them, by what they say
	claims  map[string]int        // by record and attempt
	handles int                   // that run
}

// runTrial returns the store of the second life, the points that were passed in
// the first one, and whether one of them failed.
func runTrial(t *testing.T, db Database, st store.Store, f *faulty) (next store.Store, passed []string, hit bool) {
	tr := &trial{TB: t, faulty: f, st: st, told: map[string]bool{},
		ended: map[string]job.Record{}, ends: map[string]int{}, reports: map[string][]string{}, claims: map[string]int{}}
	tr.scenario()
	passed, hit = tr.kill()
	if tr.work != nil {
		tr.work.stop()
	}
	if err := tr.st.Close(); err != nil {
		t.Error(err)
	}
	tr.revive()
	tr.st = start(t, db, Options{Fault: f.fault})
	tr.recoverAll()
	tr.check()
	return tr.st, passed, hit
}

// ask repeats a call that failed, as a client does, and returns the answer.
func (tr *trial) ask(call func() error) error {
	err := call()
	for range 2 {
		if errors.Is(err, errFault) && !tr.isDead() {
			err = call()
		}
	}
	if tr.isDead() && err != nil {
		return errDead
	}
	return err
}

// does is ask, for what should succeed.
func (tr *trial) does(what string, call func() error) bool {
	err := tr.ask(call)
	if err != nil && !errors.Is(err, errDead) {
		tr.Errorf("%s: %v", what, err)
	}
	return err == nil
}

func (tr *trial) accepted(ids ...string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, id := range ids {
		tr.told[id] = true
	}
}

// scenario is all that may happen to jobs, as far as it has to do with what the
// trial is about, and as far as the process lives.
func (tr *trial) scenario() {
	steps := []func() bool{tr.submits}
	if tr.about("batch", "cancelbatch", "feed", "finish", "claim") {
		steps = append(steps, tr.batches)
	}
	steps = append(steps, tr.serves)
	if tr.about("begin", "append", "finish", "again") {
		steps = append(steps, tr.syncs)
	}
	steps = append(steps, tr.quiet)
	if tr.about("recover", "promote", "submit", "claim", "giveup") {
		steps = append(steps, tr.taken, tr.quiet)
	}
	steps = append(steps, tr.left)
	if tr.about("delivery", "key", "upload", "letter", "delete", "expire") {
		if tr.point != "" {
			steps = steps[:1]
		}
		steps = append(steps, tr.rest)
	}
	for _, step := range steps {
		if !step() {
			return
		}
	}
}

func (tr *trial) submits() bool {
	a := keyed("a", "me", "ka", "f")
	a.Request.WebhookURL = "https://example.com"
	ok := tr.does("submit", func() error {
		_, err := tr.st.Submit(tr.Context(), []job.Record{a, keyed("b", "me", "kb", "f"), keyed("c", "me", "kc", "f")}, 100)
		return err
	})
	if !ok {
		return false
	}
	tr.accepted("a", "b", "c")
	later := keyed("later", "me", "kl", "f")
	later.Request.RunAt, later.Request.WebhookURL = time.Now().Add(time.Hour), "https://example.com"
	if !tr.does("submit", func() error { return errOf(tr.st.Submit(tr.Context(), []job.Record{later}, 100)) }) {
		return false
	}
	tr.accepted("later")
	err := tr.ask(func() error { return errOf(tr.st.Cancel(tr.Context(), "later")) })
	if err != nil && !errors.Is(err, store.ErrEnded) {
		if !errors.Is(err, errDead) {
			tr.Errorf("cancel: %v", err)
		}
		return false
	}
	tr.note(get(tr, tr.st, "later"))
	return true
}

func (tr *trial) batches() bool {
	for _, id := range []string{"bx", "by"} {
		b := store.Batch{ID: id, IdempotencyKey: "k" + id, Fingerprint: "f", WebhookURL: "https://example.com"}
		rs := records(id, 2)
		for i := range rs {
			rs[i].Request.RunAt = map[string]time.Time{"by": time.Now().Add(time.Hour)}[id]
		}
		if !tr.does("batch", func() error { return errOf(tr.st.SubmitBatch(tr.Context(), b, rs, 2)) }) {
			return false
		}
		tr.accepted(id+"-0", id+"-1")
		if !tr.about("batch", "cancelbatch") {
			return true
		}
	}
	err := tr.ask(func() error { return errOf(tr.st.CancelBatch(tr.Context(), "by")) })
	if err != nil && !errors.Is(err, store.ErrEnded) && !errors.Is(err, errDead) {
		tr.Errorf("cancelling a batch: %v", err)
	}
	return !errors.Is(err, errDead)
}

func (tr *trial) begin(id string) (c store.Claim, ok bool) {
	var existing *job.Record
	ok = tr.does("begin", func() (err error) {
		c, existing, err = tr.st.Begin(tr.Context(), keyed(id, "me", "k"+id, "f"), node("n"))
		return err
	})
	if ok {
		tr.accepted(id)
	}
	return c, ok && existing == nil
}

func (tr *trial) serves() bool {
	tr.work = serve(tr, tr.st, "n", 2, tr.handle)
	return true
}

// syncs may find that the claim of a record was lost with an answer: then the
// record waits for its lease to end.
func (tr *trial) syncs() bool {
	if c, ok := tr.begin("s"); ok {
		said := text(5)
		said.Said = 1
		_ = tr.ask(func() error { return tr.st.Append(tr.Context(), c, []job.Event{said}, 0) })
		if n := strings.Count(story(tr, tr.st, "s"), "stdout:"); n > 1 {
			tr.Errorf("what was said once is in the log %d times", n)
		}
		err := tr.ask(func() (err error) {
			next, err := tr.st.NextAttempt(tr.Context(), c, job.Failure{Type: "x"})
			if err == nil {
				c = next
			}
			return err
		})
		if err == nil || errors.Is(err, store.ErrLost) { // the answer got lost: the claim cannot be used any more
			tr.finish(c, job.Succeeded)
		}
	}
	return !tr.isDead()
}

// taken has a claim taken back from a server that is alive, and a record wait
// for its time.
func (tr *trial) taken() bool {
	r, p := keyed("r", "me", "kr", "f"), keyed("p", "me", "kp", "f")
	if tr.about("promote") { // it takes long
		p.Request.RunAt = time.Now().Add(300 * time.Millisecond)
	}
	ok := tr.does("submit", func() error { return errOf(tr.st.Submit(tr.Context(), []job.Record{r, p}, 100)) })
	if ok {
		tr.accepted("r", "p")
	}
	return ok
}

// rest is what is not about the life of a job.
func (tr *trial) rest() bool {
	ctx, now := tr.Context(), time.Now()
	key := job.Key{ID: "k-" + tr.point, Hash: []byte(tr.point + "h"), CreatedAt: now}
	upload := store.Upload{ID: "u-" + tr.point, SHA256: digest(1)}
	for _, call := range []func() error{
		func() error { return tr.st.CreateKey(ctx, key) },
		func() error { return tr.st.AddUpload(ctx, upload) },
		func() error { return errOf(tr.st.DeleteUploadsBefore(ctx, now.Add(time.Hour))) },
		func() error { return tr.st.AddDeadLetter(ctx, store.DeadLetter{JobID: "x"}) },
		func() error {
			d, err := tr.st.ClaimDelivery(ctx, now, time.Minute)
			if err != nil {
				return err
			}
			return tr.st.SaveDelivery(ctx, d)
		},
		func() error { return tr.st.Delete(ctx, "later") },
		func() error { return errOf(tr.st.DeleteBefore(ctx, now.Add(-time.Hour), 10)) },
	} {
		err := tr.ask(call)
		// An answer that got lost makes the second call find it done.
		if err != nil && !errors.Is(err, errDead) && !errors.Is(err, store.ErrNotFound) && job.KindOf(err) != job.KindInvalid {
			tr.Error(err)
		}
	}
	return !tr.isDead()
}

// left leaves a sync record running.
func (tr *trial) left() bool {
	if _, ok := tr.begin("left"); !ok {
		return false
	}
	return tr.does("renew", func() error { return tr.st.Renew(tr.Context(), "n", time.Now().Add(time.Hour)) })
}

// quiet waits until nothing waits and no handle runs. Claims that were lost
// with an answer may be left.
func (tr *trial) quiet() bool {
	for end := time.Now().Add(patience); time.Now().Before(end); <-time.After(5 * time.Millisecond) {
		if tr.isDead() {
			return false
		}
		stats, err := tr.st.Stats(tr.Context())
		if err != nil {
			tr.Error(err)
			return false
		}
		tr.mu.Lock()
		// Between a claim and its handle there is a moment in which neither shows.
		onItsWay := func(id, about string) bool { return tr.about(about) && tr.told[id] && tr.claims[id+"/0/0"] == 0 }
		busy := tr.handles > 0 || onItsWay("r", "recover") || onItsWay("p", "giveup")
		tr.mu.Unlock()
		if stats.Queued == 0 && !busy {
			return true
		}
	}
	tr.Error("waited in vain for the end of the work")
	return false
}

// name says which attempt a claim is of.
func name(c store.Claim) string {
	return fmt.Sprintf("%s/%d/%d", c.Record.ID, c.Record.Attempt, c.Record.Interruptions)
}

// enter notes a claim, which nobody got before.
func (tr *trial) enter(c store.Claim) (leave func()) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.handles++
	if tr.claims[name(c)]++; tr.claims[name(c)] > 1 {
		tr.Errorf("%s was handed out twice", name(c))
	}
	return func() {
		tr.mu.Lock()
		defer tr.mu.Unlock()
		tr.handles--
	}
}

// finish ends a record.
func (tr *trial) finish(c store.Claim, status job.Status) {
	tr.reportEnd(c, "finish", func() error { return tr.st.Finish(tr.Context(), c, status, outcome(name(c)), text(4)) })
}

// reportEnd brings a record to an end and notes what the answer was.
func (tr *trial) reportEnd(c store.Claim, doing string, call func() error) {
	tr.report(c)
	err := tr.ask(call)
	if errors.Is(err, errDead) || errors.Is(err, store.ErrLost) {
		return
	}
	if err != nil && !errors.Is(err, store.ErrEnded) {
		tr.Errorf("%s %s: %v", doing, name(c), err)
		return
	}
	tr.note(get(tr, tr.st, c.Record.ID))
	if err == nil {
		tr.mu.Lock()
		tr.ends[c.Record.ID]++
		tr.mu.Unlock()
	}
}

// report notes what the end of a record may say.
func (tr *trial) report(c store.Claim) {
	tr.mu.Lock()
	tr.reports[c.Record.ID] = append(tr.reports[c.Record.ID], name(c))
	tr.mu.Unlock()
}

// note keeps a record that has ended: it is to stay like that.
func (tr *trial) note(r job.Record) {
	tr.mu.Lock()
	tr.ended[r.ID] = r
	tr.mu.Unlock()
}
