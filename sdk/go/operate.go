package tako

import (
	"context"
	"io"
	"strconv"
)

// Health answers how the server is. It is asked once: ErrUnavailable is a server
// that starts or stops.
func (c *Client) Health(ctx context.Context) (*Health, error) {
	q := get("/health", nil)
	q.once = true
	return checked(ctx, c, q, func(h *Health) string {
		if h.Status == "" {
			return "its health has no status"
		}
		return ""
	})
}

// Ready answers nil where the server takes work. It is asked once.
func (c *Client) Ready(ctx context.Context) error {
	q := get("/ready", nil)
	q.once = true
	_, err := answerOf[Readiness](ctx, c, q)
	return err
}

// Pool answers what runs and waits.
func (c *Client) Pool(ctx context.Context) (*Pool, error) {
	return answerOf[Pool](ctx, c, get("/pool/stats", nil))
}

// Metrics opens the server's metrics, as Prometheus reads them. The caller
// closes them.
func (c *Client) Metrics(ctx context.Context) (io.ReadCloser, error) {
	return c.reader(ctx, get("/metrics", nil))
}

// DLQFilter chooses dead letters. Empty fields choose all.
type DLQFilter struct {
	ListOptions
	ErrorType string
}

// DLQ lists dead letters, newest first.
func (c *Client) DLQ(ctx context.Context, f DLQFilter) (*Page[DeadLetter], error) {
	query := f.query()
	setIf(query, "error_type", f.ErrorType)
	return answerOf[Page[DeadLetter]](ctx, c, get("/dlq", query))
}

// DLQStats counts dead letters.
func (c *Client) DLQStats(ctx context.Context) (*DLQStats, error) {
	return answerOf[DLQStats](ctx, c, get("/dlq/stats", nil))
}

// DeleteDLQ removes a dead letter.
func (c *Client) DeleteDLQ(ctx context.Context, id int64) (*DeadLetterRemoved, error) {
	return answerOf[DeadLetterRemoved](ctx, c, remove("/dlq/"+strconv.FormatInt(id, 10)))
}

// ReplayDLQ submits the job of a dead letter again and removes the letter.
func (c *Client) ReplayDLQ(ctx context.Context, id int64) (*Submitted, error) {
	return c.submitted(ctx, post("/dlq/"+strconv.FormatInt(id, 10)+"/replay", nil))
}

// Keys lists the stored API keys, without the keys.
func (c *Client) Keys(ctx context.Context) ([]Key, error) { return listOf[Key](ctx, c, "/keys") }

// CreateKey makes an API key. It is answered this once.
func (c *Client) CreateKey(ctx context.Context, r KeyRequest) (*CreatedKey, error) {
	return answerOf[CreatedKey](ctx, c, post("/keys", r))
}

// DeleteKey removes an API key.
func (c *Client) DeleteKey(ctx context.Context, id string) (*KeyRemoved, error) {
	path, err := pathOf("/keys/", id, "")
	if err != nil {
		return nil, err
	}
	return answerOf[KeyRemoved](ctx, c, remove(path))
}

// DeliveryFilter chooses webhooks. Empty fields choose all.
type DeliveryFilter struct {
	ListOptions
	JobID string // or the id of a batch
}

// Deliveries lists webhooks, newest first.
func (c *Client) Deliveries(ctx context.Context, f DeliveryFilter) (*Page[Delivery], error) {
	query := f.query()
	setIf(query, "job_id", f.JobID)
	return answerOf[Page[Delivery]](ctx, c, get("/deliveries", query))
}
