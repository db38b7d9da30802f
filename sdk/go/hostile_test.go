package tako_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	tako "github.com/takovm/tako/sdk/go"
)

// silent answers with a beginning, and then with nothing.
type silent struct{ begun string }

func (s silent) RoundTrip(r *http.Request) (*http.Response, error) {
	header := http.Header{"Content-Type": {"application/octet-stream"}}
	return &http.Response{StatusCode: 200, Header: header, ContentLength: 1 << 20, Request: r, Body: &quiet{strings.NewReader(s.begun), r.Context()}}, nil
}

type quiet struct {
	begun io.Reader
	ctx   context.Context //nolint:containedctx // of the request
}

func (q *quiet) Read(p []byte) (int, error) {
	if n, err := q.begun.Read(p); err == nil {
		return n, nil
	}
	<-q.ctx.Done()
	return 0, context.Cause(q.ctx)
}

func (q *quiet) Close() error { return nil }

// A file that does not go on is an error after a minute, and not for whoever takes
// an hour between two reads.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := tako.New("http://localhost", tako.Options{HTTPClient: &http.Client{Transport: silent{"begun"}}})
		if err != nil {
			t.Fatal(err)
		}
		r, err := c.OpenArtifact(t.Context(), "j", "a")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if _, err := io.ReadFull(r, make([]byte, 2)); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Hour)
		if _, err := io.ReadFull(r, make([]byte, 3)); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
		defer cancel()
		_, zipErr := c.SaveZip(ctx, "j", io.Discard)
		_, fileErr := io.ReadAll(r)
		for _, err := range []error{zipErr, fileErr} {
			if !errors.Is(err, tako.ErrUnreachable) || !strings.Contains(fmt.Sprint(err), "no answer in time") {
				t.Error(err)
			}
		}
	})
}
