package environment

import (
	"context"
	"io"
)

// meterStep is how many bytes pass between two reports.
const meterStep = 4 << 20

// meter counts bytes of one phase, reports now and then, and ends reads when
// its context does.
type meter struct {
	ctx         context.Context
	report      func(Progress) // may be nil
	phase       Phase
	done, total int64
	reported    int64
}

func (m *meter) add(n int) error {
	m.done += int64(n)
	if m.report != nil && (m.done-m.reported >= meterStep || (m.done == m.total && m.reported != m.total)) {
		m.reported = m.done
		m.report(Progress{Phase: m.phase, Done: m.done, Total: m.total})
	}
	return m.ctx.Err()
}

func (m *meter) reader(r io.Reader) io.Reader { return &metered{m, r} }

type metered struct {
	m *meter
	r io.Reader
}

func (r *metered) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if ended := r.m.add(n); ended != nil {
		return n, ended
	}
	return n, err
}

func (r *metered) Close() error {
	if c, ok := r.r.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
