package tako

import (
	"context"
	"net/url"
	"strconv"
)

// ListOptions choose a part of a list. The server's limit is 100 where Limit is
// 0, and at most 1,000.
type ListOptions struct{ Limit, Offset int }

func (o ListOptions) query() url.Values {
	q := url.Values{}
	if o.Limit != 0 {
		q.Set("limit", strconv.Itoa(o.Limit))
	}
	if o.Offset != 0 {
		q.Set("offset", strconv.Itoa(o.Offset))
	}
	return q
}

// ExecutionFilter chooses executions. Empty fields choose all.
type ExecutionFilter struct {
	ListOptions
	Status  string
	JobType string
	Labels  map[string]string // all of them
}

// Executions lists executions, newest first.
func (c *Client) Executions(ctx context.Context, f ExecutionFilter) (*Page[Record], error) {
	query := f.query()
	setIf(query, "status", f.Status)
	setIf(query, "job_type", f.JobType)
	for name, value := range f.Labels {
		query.Add("label", name+":"+value)
	}
	return answerOf[Page[Record]](ctx, c, get("/executions", query))
}

// Execution answers an execution.
func (c *Client) Execution(ctx context.Context, id string) (*FullRecord, error) {
	path, err := pathOf("/executions/", id, "")
	if err != nil {
		return nil, err
	}
	return answerOf[FullRecord](ctx, c, get(path, url.Values{"view": {"full"}}))
}

// Lineage answers what an execution came from and what came of it.
func (c *Client) Lineage(ctx context.Context, id string) (*Lineage, error) {
	path, err := pathOf("/executions/", id, "/lineage")
	if err != nil {
		return nil, err
	}
	return answerOf[Lineage](ctx, c, get(path, nil))
}

// Diff answers what two executions do not share.
func (c *Client) Diff(ctx context.Context, id, other string) (*Diff, error) {
	left, err := pathOf("/executions/", id, "/diff/")
	if err != nil {
		return nil, err
	}
	path, err := pathOf(left, other, "")
	if err != nil {
		return nil, err
	}
	return answerOf[Diff](ctx, c, get(path, nil))
}

// SubmitBatch submits up to 1,000 jobs, all or none. With an idempotency key the
// call may be repeated.
func (c *Client) SubmitBatch(ctx context.Context, r BatchRequest) (*BatchSubmitted, error) {
	q := post("/batches", r)
	q.repeat = r.IdempotencyKey != ""
	return checked(ctx, c, q, func(b *BatchSubmitted) string {
		if b.BatchID == "" {
			return "it names no batch"
		}
		return ""
	})
}

// Batch answers where a batch stands.
func (c *Client) Batch(ctx context.Context, id string) (*Batch, error) {
	path, err := pathOf("/batches/", id, "")
	if err != nil {
		return nil, err
	}
	return answerOf[Batch](ctx, c, get(path, nil))
}

// BatchResults lists the records of a batch, in the order of its items.
func (c *Client) BatchResults(ctx context.Context, id string, o ListOptions) (*Page[Record], error) {
	path, err := pathOf("/batches/", id, "/results")
	if err != nil {
		return nil, err
	}
	return answerOf[Page[Record]](ctx, c, get(path, o.query()))
}

// CancelBatch ends what is left of a batch.
func (c *Client) CancelBatch(ctx context.Context, id string) (*Batch, error) {
	path, err := pathOf("/batches/", id, "/cancel")
	if err != nil {
		return nil, err
	}
	return answerOf[Batch](ctx, c, post(path, nil))
}

func setIf(q url.Values, name, value string) {
	if value != "" {
		q.Set(name, value)
	}
}
