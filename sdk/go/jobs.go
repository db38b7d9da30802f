package tako

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Execute runs code and waits for its end. It is bounded by ctx; code that goes
// on when the caller is gone is ended only with CancelOnDisconnect. With an
// idempotency key the call may be repeated, and a repeat waits for the first.
func (c *Client) Execute(ctx context.Context, r ExecuteRequest) (*ExecuteResponse, error) {
	q := post("/execute", r)
	q.within, q.repeat = forever, r.IdempotencyKey != ""
	return answerOf[ExecuteResponse](ctx, c, q)
}

// Submit puts a job into the queue. With an idempotency key the call may be
// repeated, and the answer to a repeat is the first job.
func (c *Client) Submit(ctx context.Context, r ExecuteRequest) (*Submitted, error) {
	q := post("/execute/async", r)
	q.repeat = r.IdempotencyKey != ""
	return c.submitted(ctx, q)
}

// submitted makes a call whose answer names a job.
func (c *Client) submitted(ctx context.Context, q call) (*Submitted, error) {
	return checked(ctx, c, q, func(s *Submitted) string {
		if s.JobID == "" {
			return "it names no job"
		}
		return ""
	})
}

// Status answers where a job stands; "pending" is one with a place in the queue.
func (c *Client) Status(ctx context.Context, id string) (*JobStatus, error) {
	path, err := pathOf("/jobs/", id, "")
	if err != nil {
		return nil, err
	}
	return answerOf[JobStatus](ctx, c, get(path, nil))
}

// longestWait is how long the server waits at most in one call.
const longestWait = 300 * time.Second

// Result answers a job's record. It waits for the job's end for as long as wait
// says; after that the error is ErrTimeout, and the job goes on. A wait of 0
// answers the record as it is now.
func (c *Client) Result(ctx context.Context, id string, wait time.Duration) (*FullRecord, error) {
	path, err := pathOf("/jobs/", id, "/result")
	if err != nil {
		return nil, err
	}
	query := url.Values{"view": {"full"}}
	if wait <= 0 {
		return answerOf[FullRecord](ctx, c, get(path, query))
	}
	for until := time.Now().Add(wait); ; {
		// A second is the least that the server waits.
		part := min(max(time.Until(until), time.Second), longestWait)
		query.Set("wait", "true")
		query.Set("timeout", strconv.FormatFloat(part.Seconds(), 'f', 3, 64))
		q := get(path, query)
		q.within = part + max(c.options.Timeout, 0)
		if c.options.Timeout < 0 {
			q.within = forever
		}
		r, err := answerOf[FullRecord](ctx, c, q)
		if !errors.Is(err, ErrTimeout) || !time.Now().Before(until) {
			return r, err
		}
	}
}

// Wait waits for a job's end, for as long as ctx lets it, and answers its record.
// It goes on when the server is started again meanwhile, and gives up when that
// takes longer than two minutes.
func (c *Client) Wait(ctx context.Context, id string) (*FullRecord, error) {
	p := newPatience(0)
	for {
		r, err := c.Result(ctx, id, longestWait)
		switch {
		case err == nil:
			return r, nil
		case errors.Is(err, ErrTimeout):
			p.renew()
		case !temporary(err):
			return nil, err
		case !p.pause(ctx, err):
			return nil, ended(ctx, err)
		}
	}
}

// Cancel ends a job, whether it waits or runs. ErrNotFound for one that has
// ended already.
func (c *Client) Cancel(ctx context.Context, id string) (*Done, error) {
	path, err := pathOf("/jobs/", id, "/cancel")
	if err != nil {
		return nil, err
	}
	return answerOf[Done](ctx, c, post(path, nil))
}

// Delete removes a job that has ended: its record, its events and its files.
func (c *Client) Delete(ctx context.Context, id string) (*Done, error) {
	path, err := pathOf("/jobs/", id, "")
	if err != nil {
		return nil, err
	}
	return answerOf[Done](ctx, c, remove(path))
}

// Rerun submits a job that has ended again.
func (c *Client) Rerun(ctx context.Context, id string, r RerunRequest) (*Submitted, error) {
	path, err := pathOf("/jobs/", id, "/rerun")
	if err != nil {
		return nil, err
	}
	return c.submitted(ctx, post(path, r))
}

// Fork submits other code with the input of a job that has ended.
func (c *Client) Fork(ctx context.Context, id string, r ForkRequest) (*Submitted, error) {
	path, err := pathOf("/jobs/", id, "/fork")
	if err != nil {
		return nil, err
	}
	return c.submitted(ctx, post(path, r))
}

// pathOf puts an id or name into a path, as one part of it.
func pathOf(before, id, after string) (string, error) {
	// Empty parts and dots would make another path of it on the way.
	if strings.Trim(id, ".") == "" {
		return "", invalid("%q is no id and no name", id)
	}
	return before + url.PathEscape(id) + after, nil
}
