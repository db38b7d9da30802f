package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/takovm/tako/internal/netguard"
	"github.com/takovm/tako/internal/store"
	"github.com/takovm/tako/internal/webhook/signature"
)

// Names of the headers of a delivery, beside signature.Header.
const (
	HeaderEvent    = "Tako-Event"    // what happened: "job.finished"
	HeaderDelivery = "Tako-Delivery" // the id of the delivery, the same for every try
)

// maxAnswer is how much of an answer is read, in bytes.
const maxAnswer = 64 << 10

// maxError is how much of an error a record keeps, in bytes.
const maxError = 300

// Message is what is sent.
type Message struct {
	Event  string // "job.finished"
	Body   []byte // JSON
	Secret string // empty: the message is not signed
}

// errURL is wrapped for a URL that will never do.
var errURL = errors.New("the URL cannot be called")

// transport connects through the guard and nothing else.
func transport(guard *netguard.Guard) *http.Transport {
	return &http.Transport{
		Proxy:                  nil, // the guard would judge the proxy
		DialContext:            guard.DialContext,
		DisableKeepAlives:      true, // each try is judged anew
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxAnswer,
	}
}

// client does what it is told once.
func client(t http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// checkURL takes what may be called. The API says the same to whoever submits;
// this holds whatever got into the store, and by today's configuration.
func checkURL(text string, allowHTTP bool) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "":
		return fmt.Errorf("%w: it names no host", errURL)
	case u.User != nil:
		return fmt.Errorf("%w: it has a user or password", errURL)
	case u.Scheme == "https", u.Scheme == "http" && allowHTTP:
		return nil
	case u.Scheme == "http":
		return fmt.Errorf("%w: it is not https", errURL)
	}
	return fmt.Errorf("%w: it is neither https nor http", errURL)
}

// send makes one try and answers the status of the receiver, 0 where there was
// none.
func (d *Dispatcher) send(ctx context.Context, del store.Delivery, m Message) (status int, err error) {
	if err := checkURL(del.URL, d.o.AllowHTTP); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, d.o.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, del.URL, bytes.NewReader(m.Body))
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errURL, err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Tako-Webhook")
	req.Header.Set(HeaderEvent, m.Event)
	req.Header.Set(HeaderDelivery, del.ID)
	if m.Secret != "" {
		req.Header.Set(signature.Header, signature.Sign(m.Secret, d.o.Now(), m.Body))
	}
	resp, err := d.client.Do(req)
	if request := (*url.Error)(nil); errors.As(err, &request) {
		err = request.Err // without the URL, which may hold a secret of the receiver
	}
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	// Read, so that a receiver can finish its answer; it has been given.
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer)
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return resp.StatusCode, fmt.Errorf("the receiver answered %d", resp.StatusCode)
	}
	return resp.StatusCode, nil
}

// describe puts a failure into one line for the owner of the delivery, who may
// learn neither the addresses of the operator's names nor who resolves them.
func describe(err error, timeout time.Duration) string {
	var refused *netguard.RefusedError
	var unresolved *net.DNSError
	switch {
	case errors.As(err, &refused) && refused.Addr.IsValid():
		return "the address of its host may not be called"
	case errors.As(err, &refused):
		return refused.Error()
	case errors.As(err, &unresolved):
		return "its host name cannot be resolved"
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("there was no answer within %v", timeout)
	}
	text := strings.ToValidUTF8(err.Error(), "\ufffd")
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
	if len(text) > maxError {
		text = strings.ToValidUTF8(text[:maxError], "") + "..."
	}
	return text
}
