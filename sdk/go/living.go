package tako

import (
	"fmt"
	"io"
	"time"
)

// silence is after what time without a sign of life an answer that is read bit by
// bit counts as cut. Of events the server sends one every 15 s.
const silence = time.Minute

// living reads the body of an answer, and ends the call when nothing comes while
// somebody reads.
func (a *answer) living() io.Reader {
	l := &living{r: a.Body, clock: time.AfterFunc(silence, func() { a.cancel(errSilent) })}
	l.clock.Stop()
	return l
}

type living struct {
	r     io.Reader
	clock *time.Timer
}

func (l *living) Read(p []byte) (int, error) {
	l.clock.Reset(silence) // what the reader does between two reads is its own time
	defer l.clock.Stop()
	return l.r.Read(p)
}

// cut is the error of an answer that breaks off.
func (a *answer) cut(err error) error {
	if a.ctx.Err() != nil {
		return fmt.Errorf("reading %s: %w", a.url, a.ctx.Err())
	}
	return &Error{Detail: fmt.Sprintf("the answer of %s broke off: %v", a.url, err), kind: ErrUnreachable, cause: err}
}
