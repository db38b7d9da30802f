package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/takovm/tako/internal/egress"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// Submit accepts a job for later. What it returns without an error will run,
// whatever becomes of this server; with an idempotency key that was used
// before it is the job of then.
func (j *Jobs) Submit(ctx context.Context, req job.Request, o Origin) (job.Record, error) {
	if j.taking.Err() != nil {
		return job.Record{}, errStopping
	}
	r, err := j.newRecord(ctx, req, o)
	if err != nil {
		return job.Record{}, err
	}
	r.Status, r.QueuedAt = job.Queued, r.CreatedAt
	stored, err := j.opts.Store.Submit(ctx, []job.Record{r}, j.opts.MaxQueue)
	if err != nil {
		return job.Record{}, err
	}
	return stored[0], nil
}

// Get answers a record that p may see; of another's it says that there is none.
func (j *Jobs) Get(ctx context.Context, p job.Principal, id string) (job.Record, error) {
	r, err := j.opts.Store.Get(ctx, id)
	if err == nil && !p.Sees(r.Owner) {
		err = store.ErrNotFound
	}
	if err != nil {
		return job.Record{}, err
	}
	return r, nil
}

// Wait answers a record when it has ended, or ctx's error. It looks for itself
// now and then, too: a change may have been made by a server that did not get
// to tell. Until the end it looks at the status alone: a job that says much
// changes often, and its input may be large.
func (j *Jobs) Wait(ctx context.Context, id string) (job.Record, error) {
	changed, leave := j.Listen(id)
	defer leave()
	for {
		status, err := j.opts.Store.Status(ctx, id)
		if err != nil {
			return job.Record{}, err
		}
		if status.Terminal() {
			return j.opts.Store.Get(ctx, id)
		}
		if err := changed(ctx); err != nil {
			return job.Record{}, err
		}
	}
}

// Listen lets a reader wait for changes of a record: wait returns after the
// next one, or after a while, in case it was not told. Leave ends it.
func (j *Jobs) Listen(id string) (wait func(context.Context) error, leave func()) {
	const look = 2 * time.Second
	changed, leave := j.hub.listen(id)
	return func(ctx context.Context) error {
		timer := time.NewTimer(look)
		defer timer.Stop()
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		return nil
	}, leave
}

// Cancel ends a job: at once if it waits, within moments if it runs. It is
// store.ErrEnded for one that has ended.
func (j *Jobs) Cancel(ctx context.Context, p job.Principal, id string) (job.Record, error) {
	if _, err := j.Get(ctx, p, id); err != nil {
		return job.Record{}, err
	}
	r, err := j.opts.Store.Cancel(ctx, id)
	if err != nil {
		return job.Record{}, err
	}
	j.hub.changed(id)
	j.ended(&r)
	return r, nil
}

// Change is what a rerun or a fork has other than its parent.
type Change struct {
	Code    *string // of a fork
	JobType *string
	Timeout *int
}

// Again accepts a job that repeats an earlier one, as it was but for change.
func (j *Jobs) Again(ctx context.Context, id string, how job.Relationship, change Change, o Origin) (job.Record, error) {
	parent, err := j.Get(ctx, o.Principal, id)
	if err != nil {
		return job.Record{}, err
	}
	if !parent.Status.Terminal() {
		return job.Record{}, job.Errorf(job.KindInvalid, "Cannot %s job that hasn't completed", how)
	}
	req := parent.Request
	req.RunAt = time.Time{} // it was that run's
	if ran := parent.Outcome.Environment.Digest; ran != "" {
		req.Environment = ran
	}
	if change.Code != nil {
		req.Code = *change.Code
	}
	if change.JobType != nil {
		req.JobType, req.Type, req.Environment = *change.JobType, nil, "" // as that one is now
	}
	if change.Timeout != nil {
		req.Timeout = *change.Timeout
	}
	if err := j.narrow(ctx, &req); err != nil {
		return job.Record{}, err
	}
	o.ParentID, o.Relationship = parent.ID, how
	return j.Submit(ctx, req, o)
}

// narrow keeps a job that repeats another from having a network or secrets that
// its type no longer gives: what was taken away stays away. All else is as it was.
func (j *Jobs) narrow(ctx context.Context, req *job.Request) error {
	if req.Type == nil || !req.Type.Network.Open() {
		return nil
	}
	now, err := j.opts.Types.Resolve(ctx, req.Type.Name)
	if err != nil && job.KindOf(err) != job.KindConfig {
		return err
	}
	t := *req.Type
	switch {
	case err != nil || now.Name != t.Name: // there is no such type any more
		t.Network, now.Secrets = job.Network{Mode: job.NetworkNone}, nil
	case egress.Narrow(now.Network, t.Network) != nil:
		t.Network = now.Network
	}
	t.Secrets = slices.DeleteFunc(slices.Clone(t.Secrets), func(b job.SecretBinding) bool { return !slices.Contains(now.Secrets, b) })
	req.Type = &t
	return nil
}

// Lineage is a job's ancestors, the oldest first, the job itself, and what was
// made of it, without what these were given and brought. At most limit of either.
func (j *Jobs) Lineage(ctx context.Context, p job.Principal, id string, limit int) (line, children []job.Record, err error) {
	r, err := j.Get(ctx, p, id)
	if err != nil {
		return nil, nil, err
	}
	line = []job.Record{r}
	for r.ParentID != "" && len(line) <= limit {
		if r, err = j.Get(ctx, p, r.ParentID); errors.Is(err, store.ErrNotFound) {
			break // purged, or another's
		}
		if err != nil {
			return nil, nil, err
		}
		line = append([]job.Record{r}, line...)
	}
	filter := store.Filter{ParentID: id, Limit: limit, Ascending: true, NoRequest: true, NoOutcome: true}
	if !p.Can(job.ScopeAdmin) {
		filter.Owner = &p.Owner
	}
	if children, _, err = j.opts.Store.List(ctx, filter); err != nil {
		return nil, nil, fmt.Errorf("looking for what was made of %s: %w", id, err)
	}
	return line, children, nil
}
