package api

import (
	"errors"
	"net/http"

	"github.com/takovm/tako/internal/api/schema"
	"github.com/takovm/tako/internal/api/wire"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

func (c *call) submitBatch() error {
	items := c.in.Get("items").Items()
	wrong := c.timeoutProblems(items)
	for i, item := range items {
		if v := item.Get("idempotency_key"); v.Has() && len(wrong) < schema.MaxProblems {
			wrong = append(wrong, schema.Invalid("an item has no idempotency_key of its own: give the batch one", v.Raw(), "body", "items", i, "idempotency_key"))
		}
	}
	if len(wrong) > 0 {
		return wrong
	}
	b := BatchSubmission{
		Labels: c.in.Get("labels").Entries(), WebhookURL: c.in.Get("webhook_url").Text(),
		IdempotencyKey: c.in.Get("idempotency_key").Text(), Caller: c.caller(),
	}
	for _, item := range items {
		s := bindSubmission(item)
		s.Caller = b.Caller
		b.Items = append(b.Items, s)
	}
	stored, err := c.api.service.SubmitBatch(c.r.Context(), c.principal, b)
	var item *ItemError
	if errors.As(err, &item) {
		if p, ok := itemProblems(item); ok {
			return p
		}
	}
	if err != nil {
		return err
	}
	return c.ok(wire.BatchSubmitted{BatchID: stored.ID, Status: stored.Status, Total: stored.Total})
}

// foundBatch is the batch that the path names.
func (c *call) foundBatch() (store.Batch, error) {
	id, err := c.id("batch_id")
	if err != nil {
		return store.Batch{}, err
	}
	return c.api.service.Batch(c.r.Context(), c.principal, id)
}

func (c *call) getBatch() error {
	b, err := c.foundBatch()
	if err != nil {
		return err
	}
	return c.ok(NewBatch(&b))
}

// NewBatch is a batch as it is answered, and as a webhook tells of it.
func NewBatch(b *store.Batch) wire.Batch {
	w := wire.Batch{
		BatchID: b.ID, Status: b.Status, Total: b.Total, Counts: map[job.Status]int{}, Labels: b.Labels,
		CreatedAt: wire.NewTime(b.CreatedAt), EndedAt: wire.NewTime(b.EndedAt),
	}
	for status, n := range b.Counts {
		w.Counts[status] = n
	}
	if w.Labels == nil {
		w.Labels = map[string]string{}
	}
	return w
}

func (c *call) batchResults() error {
	b, err := c.foundBatch()
	if err != nil {
		return err
	}
	limit, offset := c.page()
	return c.list(store.Filter{BatchID: b.ID, Limit: limit, Offset: offset, Ascending: true})
}

func (c *call) cancelBatch() error {
	id, err := c.id("batch_id")
	if err != nil {
		return err
	}
	b, err := c.api.service.CancelBatch(c.r.Context(), c.principal, id)
	if errors.Is(err, store.ErrEnded) {
		return fail(http.StatusNotFound, "%s", c.route.words.ended)
	}
	if err != nil {
		return err
	}
	return c.ok(NewBatch(&b))
}
