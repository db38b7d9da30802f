package pkgindex

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

var (
	errSilent  = fmt.Errorf("it has sent nothing for %v", silence)
	errEndless = fmt.Errorf("its page takes longer than %v", patience)
)

// patiently sends a request whose context cancel ends. It is given up when nothing
// comes for as long as silence, before the answer or within its body.
func (g *Gateway) patiently(ctx context.Context, cancel context.CancelCauseFunc, req *http.Request) (*http.Response, error) {
	timer := time.AfterFunc(silence, func() { cancel(errSilent) })
	resp, err := g.client.Do(req)
	timer.Stop()
	if err != nil {
		if cause := context.Cause(ctx); errors.Is(cause, errSilent) {
			err = cause
		}
		cancel(nil)
		return nil, err
	}
	resp.Body = &patient{resp.Body, ctx, cancel, timer}
	return resp, nil
}

// patient is the body of such an answer.
type patient struct {
	io.ReadCloser
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer // runs while a read waits
}

func (p *patient) Read(b []byte) (int, error) {
	p.timer.Reset(silence)
	defer p.timer.Stop()
	n, err := p.ReadCloser.Read(b)
	if cause := context.Cause(p.ctx); err != nil && errors.Is(cause, errSilent) {
		err = cause
	}
	return n, err
}

func (p *patient) Close() error {
	defer p.cancel(nil)
	return p.ReadCloser.Close()
}
