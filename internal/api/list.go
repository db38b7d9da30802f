package api

import (
	"bytes"
	"net/http"

	"github.com/takovm/tako/internal/api/wire"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// pageAtOnce is how much of a page of records is gathered before it is sent. A
// page that fits is an answer like any other, with its length.
const pageAtOnce = 256 << 10

// list answers a page of records. A thousand of them can be more than memory
// holds, so it is sent while it is read.
func (c *call) list(f store.Filter) error {
	f.NoRequest = !c.full()
	p := &recordPage{c: c}
	more, err := c.api.service.List(c.r.Context(), c.principal, f, p.add)
	if err != nil {
		return err
	}
	return p.end(f, more)
}

// recordPage is a wire.Page of records on its way.
type recordPage struct {
	c     *call
	ready bytes.Buffer // not sent yet
	begun bool
	count int
}

func (p *recordPage) add(r *job.Record) error {
	body, err := encode(p.c.record(r))
	if err != nil {
		return err
	}
	if p.count > 0 {
		p.ready.WriteByte(',')
	} else {
		p.ready.WriteString(`{"items":[`)
	}
	p.count++
	p.ready.Write(body)
	if p.ready.Len() < pageAtOnce {
		return nil
	}
	return p.send()
}

// send sends what is ready. From the first time on errors cut the answer off.
func (p *recordPage) send() error {
	if !p.begun {
		p.begun = true
		p.c.patient()
		p.c.w.Header().Set("Content-Type", "application/json")
		p.c.w.WriteHeader(http.StatusOK)
	}
	p.c.hurry()
	_, err := p.c.w.Write(p.ready.Bytes())
	p.ready = bytes.Buffer{} // which a large record has made large
	return err
}

// end sends what follows the items.
func (p *recordPage) end(f store.Filter, more bool) error {
	frame := wire.NewPage([]any{}, f.Limit, f.Offset, more)
	if p.count == 0 {
		return p.c.ok(frame)
	}
	frame.Count = p.count
	body, err := encode(frame)
	if err != nil {
		return err
	}
	_, rest, _ := bytes.Cut(body, []byte("["))
	p.ready.Write(rest)
	if p.begun {
		return p.send()
	}
	p.c.send(http.StatusOK, "application/json", p.ready.Bytes())
	return nil
}
