package queue

import (
	"context"
	"fmt"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// Group is what the jobs of a batch have in common.
type Group struct {
	Labels     map[string]string
	WebhookURL string
}

// SubmitBatch accepts jobs that belong together, all or none. With an error
// that is about one of them, index says which; otherwise it is -1.
func (j *Jobs) SubmitBatch(ctx context.Context, requests []job.Request, g Group, o Origin) (b store.Batch, index int, err error) {
	if j.taking.Err() != nil {
		return store.Batch{}, -1, errStopping
	}
	b = store.Batch{
		ID: newUUID(), Owner: o.Principal.Owner, Total: len(requests), Labels: g.Labels, WebhookURL: g.WebhookURL,
		IdempotencyKey: o.IdempotencyKey, CreatedAt: j.now(),
	}
	o.IdempotencyKey = ""
	records := make([]job.Record, len(requests))
	fingerprints := ""
	for i, req := range requests {
		r, err := j.newRecord(ctx, req, o)
		if err != nil {
			return store.Batch{}, i, err
		}
		r.BatchID, r.BatchIndex = b.ID, i
		r.Status, r.QueuedAt = job.Queued, r.CreatedAt
		fingerprints += r.Fingerprint
		records[i] = r
	}
	b.Fingerprint = hash(fmt.Appendf(nil, "%s %v %s", fingerprints, g.Labels, g.WebhookURL))
	b, err = j.opts.Store.SubmitBatch(ctx, b, records, j.opts.MaxQueue)
	return b, -1, err
}
