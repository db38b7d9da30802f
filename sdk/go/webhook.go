package tako

import (
	"time"

	"github.com/takovm/tako/internal/webhook/signature"
)

// WebhookSignature is the header of a webhook that VerifyWebhook is given.
const WebhookSignature = signature.Header

// Why a webhook is refused, for errors.Is.
var (
	// ErrWebhookSignature: it was not signed with this secret.
	ErrWebhookSignature = signature.ErrInvalid
	// ErrWebhookStale: it was, but at another time. Somebody may have kept it.
	ErrWebhookStale = signature.ErrStale
)

// WebhookOptions are all optional.
type WebhookOptions struct {
	// Tolerance is how far the signature's time may be from Now in either
	// direction: 5 minutes by default.
	Tolerance time.Duration
	// Now is by default the time.
	Now time.Time
}

// VerifyWebhook is for receivers of webhooks: it answers nil where body was
// signed with this secret, and not long ago. header is the request's
// WebhookSignature, body what was received, before anything decodes it: a Record
// as JSON, or a Batch. An empty secret verifies nothing.
func VerifyWebhook(secret, header string, body []byte, o WebhookOptions) error {
	return signature.Verify(secret, header, body, o.Tolerance, o.now())
}

// SignWebhook answers the WebhookSignature of a body that a server sends at that
// time, to test receivers with.
func SignWebhook(secret string, at time.Time, body []byte) string {
	return signature.Sign(secret, at, body)
}

func (o WebhookOptions) now() time.Time {
	if o.Now.IsZero() {
		return time.Now()
	}
	return o.Now
}
