package api

import (
	"crypto/rand"
	"time"

	"github.com/takovm/tako/internal/api/wire"
	"github.com/takovm/tako/internal/auth"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

func (c *call) deadLetterStats() error {
	counts, err := c.api.service.DeadLetterStats(c.r.Context())
	if err != nil {
		return err
	}
	stats := wire.DLQStats{ByErrorType: map[string]int{}}
	for kind, n := range counts {
		stats.ByErrorType[kind] = n
		stats.Total += n
	}
	return c.ok(stats)
}

func (c *call) deadLetters() error {
	limit, offset := c.page()
	list, more, err := c.api.service.DeadLetters(c.r.Context(), c.query["error_type"].Text(), limit, offset)
	if err != nil {
		return err
	}
	items := make([]wire.DeadLetter, len(list))
	for i := range list {
		items[i] = newDeadLetter(&list[i])
	}
	return c.ok(wire.NewPage(items, limit, offset, more))
}

func newDeadLetter(d *store.DeadLetter) wire.DeadLetter {
	return wire.DeadLetter{
		ID: d.ID, JobID: d.JobID, JobData: rawOr(d.JobData, "{}"), ErrorType: d.ErrorType, ErrorMessage: wire.OrNil(d.ErrorMessage),
		RetryCount: d.RetryCount, CreatedAt: wire.ZTime{Time: d.CreatedAt}, ClientIP: wire.OrNil(d.ClientIP), CorrelationID: wire.OrNil(d.CorrelationID),
	}
}

func (c *call) deleteDeadLetter() error {
	id := c.path["entry_id"].Int()
	if err := c.api.service.DeleteDeadLetter(c.r.Context(), id); err != nil {
		return err
	}
	return c.ok(wire.DeadLetterRemoved{Status: "removed", EntryID: id})
}

func (c *call) replayDeadLetter() error {
	r, err := c.api.service.ReplayDeadLetter(c.r.Context(), c.principal, c.path["entry_id"].Int(), c.caller())
	if err != nil {
		return err
	}
	return c.ok(wire.Submitted{JobID: r.ID, Status: r.Status})
}

// NewKey is a stored key as it is answered.
func NewKey(k *job.Key) wire.Key {
	out := wire.Key{
		ID: k.ID, Name: k.Name, Prefix: k.Prefix, Scopes: []string{},
		CreatedAt: wire.NewTime(k.CreatedAt), ExpiresAt: wire.NewTime(k.ExpiresAt), LastUsedAt: wire.NewTime(k.LastUsedAt),
	}
	for _, s := range k.Scopes {
		out.Scopes = append(out.Scopes, string(s))
	}
	return out
}

func (c *call) listKeys() error {
	keys, err := c.api.service.ListKeys(c.r.Context())
	if err != nil {
		return err
	}
	out := []wire.Key{}
	for i := range keys {
		out = append(out, NewKey(&keys[i]))
	}
	return c.ok(out)
}

func (c *call) createKey() error {
	var expires time.Time
	if v := c.in.Get("expires_at"); v.Has() {
		expires, _ = time.Parse(time.RFC3339, v.Text()) // the table has held it
	}
	stored, key := MakeKey(c.in.Get("name").Text(), scopes(c.in.Get("scopes").Texts()), c.api.options.Now(), expires)
	if err := c.api.service.CreateKey(c.r.Context(), stored); err != nil {
		return err
	}
	return c.ok(wire.CreatedKey{Key: NewKey(&stored), APIKey: key.Reveal(), WebhookSecret: stored.WebhookSecret})
}

// MakeKey makes an API key: what is stored of it, and the key itself, which is
// not kept. A zero expires is never.
func MakeKey(name string, scopes []job.Scope, now, expires time.Time) (job.Key, auth.Key) {
	key := auth.NewKey()
	return job.Key{
		ID: newUUID(), Name: name, Hash: key.Hash(), Prefix: key.Shown(), Scopes: scopes,
		CreatedAt: now.UTC().Truncate(time.Microsecond), ExpiresAt: expires.UTC(), WebhookSecret: rand.Text(),
	}, key
}

func (c *call) deleteKey() error {
	id, err := c.id("key_id")
	if err != nil {
		return err
	}
	if err := c.api.service.DeleteKey(c.r.Context(), id); err != nil {
		return err
	}
	return c.ok(wire.KeyRemoved{Status: "removed", ID: id})
}

func (c *call) deliveries() error {
	limit, offset := c.page()
	id := c.query["job_id"].Text()
	if id != "" && !validID(id) {
		return store.ErrNotFound
	}
	list, more, err := c.api.service.Deliveries(c.r.Context(), c.principal, id, limit, offset)
	if err != nil {
		return err
	}
	items := make([]wire.Delivery, len(list))
	for i := range list {
		items[i] = newDelivery(&list[i])
	}
	return c.ok(wire.NewPage(items, limit, offset, more))
}

func newDelivery(d *store.Delivery) wire.Delivery {
	next := d.NextAt
	if d.Status != "pending" {
		next = time.Time{}
	}
	return wire.Delivery{
		ID: d.ID, JobID: wire.OrNil(d.JobID), BatchID: wire.OrNil(d.BatchID), URL: d.URL, Status: d.Status, Tries: d.Tries,
		NextAt: wire.NewTime(next), LastStatus: wire.OrNil(d.LastStatus), LastError: wire.OrNil(d.LastError),
		CreatedAt: wire.NewTime(d.CreatedAt), DeliveredAt: wire.NewTime(d.DeliveredAt),
	}
}
