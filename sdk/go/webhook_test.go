package tako_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	tako "github.com/takovm/tako/sdk/go"
	"github.com/takovm/tako/test/vectors"
)

// TestWebhooks runs the vectors that all clients and the server share.
func TestWebhooks(t *testing.T) {
	all, err := vectors.Read[vectors.Webhook]("../../test/vectors/webhooks.json")
	if err != nil {
		t.Fatal(err)
	}
	wanted := map[string]error{"": nil, "signature": tako.ErrWebhookSignature, "stale": tako.ErrWebhookStale}
	for _, x := range all {
		t.Run(x.Name, func(t *testing.T) {
			want, known := wanted[x.Error]
			if !known {
				t.Fatalf("no error %q", x.Error)
			}
			o := tako.WebhookOptions{Tolerance: time.Duration(x.Tolerance) * time.Second, Now: time.Unix(x.Now, 0)}
			if err := tako.VerifyWebhook(x.Secret, x.Header, []byte(x.Body), o); !errors.Is(err, want) {
				t.Errorf("%v, want %v", err, want)
			}
			if x.SignedAt == 0 {
				return
			}
			if got := tako.SignWebhook(x.Secret, time.Unix(x.SignedAt, 0), []byte(x.Body)); got != x.Header {
				t.Errorf("signed as %s, want %s", got, x.Header)
			}
		})
	}
}

// A receiver gives the time only in tests.
func TestVerifyWebhookNow(t *testing.T) {
	receive := func(r *http.Request) error {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		return tako.VerifyWebhook("secret", r.Header.Get(tako.WebhookSignature), body, tako.WebhookOptions{})
	}
	for at, want := range map[time.Time]error{time.Now(): nil, time.Now().Add(-time.Hour): tako.ErrWebhookStale} {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("{}"))
		r.Header.Set(tako.WebhookSignature, tako.SignWebhook("secret", at, []byte("{}")))
		if err := receive(r); !errors.Is(err, want) {
			t.Errorf("signed at %v: %v, want %v", at, err, want)
		}
	}
}
