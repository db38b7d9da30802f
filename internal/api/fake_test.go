package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// fake is a service in memory. It keeps what Service promises: what is somebody
// else's is not there, what has ended does not change, what fails stores nothing.
type fake struct {
	mu      sync.Mutex
	changes []string         // what was stored, changed or removed, by method
	fail    map[string]error // what a method answers in place of doing anything, and a list in place of a record
	panics  string           // the method that does not return

	made        int
	records     map[string]job.Record
	order       []string // ids, oldest first
	submissions []Submission
	derivations []Derivation
	filters     []store.Filter
	logs        map[string][]job.Event
	live        func(ctx context.Context, yield func(job.Event, error) bool) // what a log says after what is stored
	blobs       map[string][]byte
	opened      int // of blobs
	uploads     map[string][]byte
	batches     map[string]store.Batch
	lastBatch   BatchSubmission
	keys        map[string]job.Key
	letters     map[int64]store.DeadLetter
	deliveries  []store.Delivery
	types       map[string]JobType
	secrets     map[string]string
	buildErr    error
	buildLog    string
	health      Health
	accepting   error
}

var _ Service = (*fake)(nil)

// epoch is when everything in a fake happened.
func epoch() time.Time { return time.Date(2026, 8, 12, 10, 30, 0, 123456000, time.UTC) }

func newFake() *fake {
	f := &fake{
		secrets: map[string]string{},
		fail:    map[string]error{}, records: map[string]job.Record{}, logs: map[string][]job.Event{}, blobs: map[string][]byte{},
		uploads: map[string][]byte{}, batches: map[string]store.Batch{}, keys: map[string]job.Key{}, letters: map[int64]store.DeadLetter{},
		types: map[string]JobType{},
		health: Health{Ready: true, Engine: Engine{"gvisor", "1", "systrap", "gvisor", true}, Breaker: Breaker{State: "closed"},
			Pool: Pool{1, 2, 4, 100}},
	}
	f.buildLog = "step 1\n"
	f.types["default"] = JobType{config.JobType{Name: "default", PythonVersion: "3.11", MemoryLimit: 512 << 20, CPULimit: 1, Timeout: 30, StartupTimeout: 120}, true}
	return f
}

// begin is what every method does first.
func (f *fake) begin(method string) (end func(), err error) {
	f.mu.Lock()
	if f.panics == method {
		f.mu.Unlock()
		panic("the fake panics in " + method)
	}
	return f.mu.Unlock, f.fail[method]
}

func (f *fake) changed(method string) { f.changes = append(f.changes, method) }

// changedSince answers what was changed after the first n changes.
func (f *fake) changedSince(n int) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.changes[n:])
}

func (f *fake) newID() string {
	f.made++
	return fmt.Sprintf("00000000-0000-4000-8000-%012d", f.made)
}

// put adds a record, complete where r is not.
func (f *fake) put(r job.Record) job.Record {
	if r.ID == "" {
		r.ID = f.newID()
	}
	r.Status = job.Status(or(string(r.Status), string(job.Queued)))
	r.JobType, r.JobRef = or(r.JobType, "default"), or(r.JobRef, "default@latest")
	if r.CreatedAt.IsZero() {
		r.CreatedAt = epoch().Add(time.Duration(len(f.order)) * time.Second)
	}
	r.Request.Priority = max(r.Request.Priority, 1)
	r.Request.Input = rawOr(r.Request.Input, "{}")
	if _, ok := f.records[r.ID]; !ok {
		f.order = append(f.order, r.ID)
	}
	f.records[r.ID] = r
	return r
}

// putBlob adds content and answers its digest.
func (f *fake) putBlob(content string) string {
	sum := sha256.Sum256([]byte(content))
	digest := hex.EncodeToString(sum[:])
	f.blobs[digest] = []byte(content)
	return digest
}

func (f *fake) get(p job.Principal, id string) (job.Record, error) {
	r, ok := f.records[id]
	if !ok || !p.Sees(r.Owner) {
		return job.Record{}, store.ErrNotFound
	}
	return r, nil
}

// accept stores a submission, whose files are read to their end.
func (f *fake) accept(p job.Principal, s Submission, sync bool) (job.Record, error) {
	for _, id := range f.order {
		if r := f.records[id]; s.IdempotencyKey != "" && r.IdempotencyKey == s.IdempotencyKey && r.Owner == p.Owner {
			if r.Request.Code != s.Request.Code {
				return job.Record{}, store.ErrConflict
			}
			return r, nil
		}
	}
	r := job.Record{Owner: p.Owner, Request: s.Request, IdempotencyKey: s.IdempotencyKey, CorrelationID: s.CorrelationID, ClientIP: s.ClientIP, Sync: sync}
	for _, file := range s.Files {
		content := file.Content
		if file.Open != nil {
			rc, err := file.Open()
			if err != nil {
				return job.Record{}, err
			}
			content, err = io.ReadAll(rc)
			if err := errors.Join(err, rc.Close()); err != nil {
				return job.Record{}, err
			}
		}
		if file.Upload != "" && f.uploads[file.Upload] == nil {
			return job.Record{}, job.Errorf(job.KindInvalid, "file %s: there is no upload %s", file.Path, file.Upload)
		}
		r.Request.Files = append(r.Request.Files, job.InputFile{Path: file.Path, SizeBytes: int64(len(content)), SHA256: f.putBlob(string(content))})
	}
	f.submissions = append(f.submissions, s)
	if sync {
		zero := 0
		r.Status, r.StartedAt, r.EndedAt, r.Outcome.ExitCode = job.Succeeded, epoch(), epoch().Add(time.Second), &zero
	}
	return f.put(r), nil
}

func (f *fake) Execute(_ context.Context, p job.Principal, s Submission) (job.Record, error) {
	end, err := f.begin("Execute")
	defer end()
	if err != nil {
		return job.Record{}, err
	}
	r, err := f.accept(p, s, true)
	if err == nil {
		f.changed("Execute")
	}
	return r, err
}

func (f *fake) Submit(_ context.Context, p job.Principal, s Submission) (job.Record, error) {
	end, err := f.begin("Submit")
	defer end()
	if err != nil {
		return job.Record{}, err
	}
	r, err := f.accept(p, s, false)
	if err == nil {
		f.changed("Submit")
	}
	return r, err
}

func (f *fake) Get(_ context.Context, p job.Principal, id string) (job.Record, error) {
	end, err := f.begin("Get")
	defer end()
	if err != nil {
		return job.Record{}, err
	}
	return f.get(p, id)
}

func (f *fake) Position(_ context.Context, p job.Principal, id string) (int, error) {
	end, err := f.begin("Position")
	defer end()
	if err != nil {
		return 0, err
	}
	_, err = f.get(p, id)
	return 1, err
}

// Wait does not wait: what has not ended has run out of time.
func (f *fake) Wait(ctx context.Context, p job.Principal, id string) (job.Record, error) {
	end, err := f.begin("Wait")
	defer end()
	if err != nil {
		return job.Record{}, err
	}
	r, err := f.get(p, id)
	if err == nil && !r.Status.Terminal() {
		return r, context.DeadlineExceeded
	}
	return r, err
}

func (f *fake) List(_ context.Context, p job.Principal, filter store.Filter, each func(*job.Record) error) (more bool, err error) {
	list, more, err := f.list(p, filter)
	if err != nil {
		return false, err
	}
	for i := range list {
		if err := f.fail[list[i].ID]; err != nil {
			return false, err
		}
		if err := each(&list[i]); err != nil {
			return false, err
		}
	}
	return more, nil
}

func (f *fake) list(p job.Principal, filter store.Filter) (list []job.Record, more bool, err error) {
	end, err := f.begin("List")
	defer end()
	f.filters = append(f.filters, filter)
	if err != nil {
		return nil, false, err
	}
	ids := slices.Clone(f.order)
	if !filter.Ascending {
		slices.Reverse(ids)
	}
	for _, id := range ids {
		r := f.records[id]
		labels := true
		for k, v := range filter.Labels {
			have, ok := r.Request.Labels[k]
			labels = labels && ok && have == v
		}
		if p.Sees(r.Owner) && labels && (filter.Status == "" || filter.Status == string(r.Status)) && (filter.JobType == "" || filter.JobType == r.JobType) &&
			(filter.BatchID == "" || filter.BatchID == r.BatchID) && (filter.ParentID == "" || filter.ParentID == r.ParentID) {
			if filter.NoRequest {
				r.Request = job.Request{}
			}
			if filter.NoOutcome {
				r.Outcome = job.Outcome{}
			}
			list = append(list, r)
		}
	}
	list, more = cut(list, filter.Limit, filter.Offset)
	return list, more, nil
}

// cut is a page of a list.
func cut[T any](list []T, limit, offset int) (page []T, more bool) {
	list = list[min(offset, len(list)):]
	return list[:min(limit, len(list))], len(list) > limit
}

func (f *fake) Cancel(_ context.Context, p job.Principal, id string) (job.Record, error) {
	end, err := f.begin("Cancel")
	defer end()
	if err != nil {
		return job.Record{}, err
	}
	r, err := f.get(p, id)
	if err != nil {
		return r, err
	}
	if r.Status.Terminal() {
		return r, store.ErrEnded
	}
	r.Status = job.Cancelled
	f.changed("Cancel")
	return f.put(r), nil
}

func (f *fake) Delete(_ context.Context, p job.Principal, id string) error {
	end, err := f.begin("Delete")
	defer end()
	if err != nil {
		return err
	}
	r, err := f.get(p, id)
	if err != nil {
		return err
	}
	if !r.Status.Terminal() {
		return ErrNotEnded
	}
	delete(f.records, id)
	f.order = slices.DeleteFunc(f.order, func(other string) bool { return other == id })
	f.changed("Delete")
	return nil
}

func (f *fake) Rerun(_ context.Context, p job.Principal, id string, d Derivation) (job.Record, error) {
	return f.derive("Rerun", p, id, d, job.Rerun)
}

func (f *fake) Fork(_ context.Context, p job.Principal, id string, d Derivation) (job.Record, error) {
	return f.derive("Fork", p, id, d, job.Fork)
}

func (f *fake) derive(method string, p job.Principal, id string, d Derivation, how job.Relationship) (job.Record, error) {
	end, err := f.begin(method)
	defer end()
	if err != nil {
		return job.Record{}, err
	}
	parent, err := f.get(p, id)
	if err != nil {
		return parent, err
	}
	if !parent.Status.Terminal() {
		return parent, ErrNotEnded
	}
	r := job.Record{Owner: p.Owner, Request: parent.Request, ParentID: id, Relationship: how}
	if d.Code != nil {
		r.Request.Code = *d.Code
	}
	f.derivations = append(f.derivations, d)
	f.changed(method)
	return f.put(r), nil
}

func (f *fake) Events(ctx context.Context, p job.Principal, id string, after int64, follow bool) iter.Seq2[job.Event, error] {
	return func(yield func(job.Event, error) bool) {
		end, err := f.begin("Events")
		events, live := slices.Clone(f.logs[id]), f.live
		end()
		if err != nil {
			yield(job.Event{}, err)
			return
		}
		for _, e := range events {
			if e.Seq > after && !yield(e, nil) {
				return
			}
		}
		if follow && live != nil {
			live(ctx, yield)
		}
	}
}

// blob is open content.
type blob struct{ *bytes.Reader }

func (blob) Close() error { return nil }

func (f *fake) OpenBlob(_ context.Context, digest string) (io.ReadSeekCloser, error) {
	end, err := f.begin("OpenBlob")
	defer end()
	f.opened++
	content, ok := f.blobs[digest]
	if err == nil && !ok {
		err = store.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return blob{bytes.NewReader(content)}, nil
}

func (f *fake) SaveUpload(_ context.Context, p job.Principal, content io.Reader) (store.Upload, error) {
	end, err := f.begin("SaveUpload")
	defer end()
	if err != nil {
		return store.Upload{}, err
	}
	all, err := io.ReadAll(content)
	if err != nil {
		return store.Upload{}, fmt.Errorf("storing: %w", err)
	}
	u := store.Upload{ID: f.newID(), Owner: p.Owner, SizeBytes: int64(len(all)), SHA256: f.putBlob(string(all)), CreatedAt: epoch()}
	f.uploads[u.ID] = all
	f.changed("SaveUpload")
	return u, nil
}

func (f *fake) SubmitBatch(_ context.Context, p job.Principal, b BatchSubmission) (store.Batch, error) {
	end, err := f.begin("SubmitBatch")
	defer end()
	if err != nil {
		return store.Batch{}, err
	}
	made := store.Batch{ID: f.newID(), Owner: p.Owner, Total: len(b.Items), Status: "running", Labels: b.Labels, CreatedAt: epoch(), Counts: map[job.Status]int{job.Queued: len(b.Items)}}
	for i, item := range b.Items {
		if strings.Contains(item.Request.Code, "refuse me") {
			return store.Batch{}, &ItemError{i, job.Errorf(job.KindInvalid, "this server refuses it")}
		}
	}
	for i, item := range b.Items {
		f.put(job.Record{Owner: p.Owner, BatchID: made.ID, BatchIndex: i, Request: item.Request})
	}
	f.batches[made.ID], f.lastBatch = made, b
	f.changed("SubmitBatch")
	return made, nil
}

func (f *fake) batch(p job.Principal, id string) (store.Batch, error) {
	b, ok := f.batches[id]
	if !ok || !p.Sees(b.Owner) {
		return store.Batch{}, store.ErrNotFound
	}
	return b, nil
}

func (f *fake) Batch(_ context.Context, p job.Principal, id string) (store.Batch, error) {
	end, err := f.begin("Batch")
	defer end()
	if err != nil {
		return store.Batch{}, err
	}
	return f.batch(p, id)
}

func (f *fake) CancelBatch(_ context.Context, p job.Principal, id string) (store.Batch, error) {
	end, err := f.begin("CancelBatch")
	defer end()
	if err != nil {
		return store.Batch{}, err
	}
	b, err := f.batch(p, id)
	if err != nil {
		return b, err
	}
	if b.Status != "running" {
		return b, store.ErrEnded
	}
	b.Status, b.EndedAt, b.Counts = "cancelled", epoch(), map[job.Status]int{job.Cancelled: b.Total}
	f.batches[id] = b
	f.changed("CancelBatch")
	return b, nil
}

// event is one of a log, its data being what JSON makes of data.
func event(seq int64, kind job.EventType, data any) job.Event {
	raw, err := json.Marshal(data)
	if err != nil {
		panic(err)
	}
	return job.Event{Seq: seq, At: epoch().Add(time.Duration(seq)), Type: kind, Data: raw}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
