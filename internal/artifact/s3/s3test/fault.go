package s3test

import (
	"fmt"
	"io"
	"net/http"
)

// Fault is something that goes wrong. Without Match, Skip and Times it goes
// wrong with the next request.
type Fault struct {
	// Match picks requests. Nil picks all.
	Match func(r *http.Request) bool
	// Skip is how many that match go well before.
	Skip int
	// Times is how many go wrong. Default 1; negative is all.
	Times int

	// Before is called first, if there is one. It may use the Server.
	Before func()

	// Status and what follows are answered instead of what was asked for. With
	// neither a Code nor a Body there is no body.
	Status        int
	Code, Message string
	Header        map[string]string
	Body          string

	// After is the number of bytes of the answer's body after which Hold and Cut
	// happen. At 0 they happen before the request is looked at.
	After int64
	// Hold has the answer wait until it is closed or the client is gone.
	Hold <-chan struct{}
	// Cut has the connection closed.
	Cut bool
}

// Method is a Fault's Match for requests of this method.
func Method(method string) func(*http.Request) bool {
	return func(r *http.Request) bool { return r.Method == method }
}

// Fail has something go wrong.
func (s *Server) Fail(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.Times == 0 {
		f.Times = 1
	}
	s.faults = append(s.faults, &f)
}

// fault answers what goes wrong with a request. Of several that match it is the
// one that was told first.
func (s *Server) fault(r *http.Request) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		switch {
		case f.Times == 0 || f.Match != nil && !f.Match(r):
			continue
		case f.Skip > 0:
			f.Skip--
			continue
		}
		if f.Times > 0 {
			f.Times--
		}
		return f
	}
	return nil
}

// faulty is an answer that something goes wrong with.
type faulty struct {
	http.ResponseWriter
	f    *Fault
	r    *http.Request
	done <-chan struct{}
	left int64 // bytes until it does
	over bool
}

// instead does what happens before the request is looked at, and reports
// whether that was the answer.
func (w *faulty) instead() bool {
	if w.f.Before != nil {
		w.f.Before()
	}
	if w.left == 0 {
		w.strike()
	}
	if w.f.Status == 0 {
		return false
	}
	io.Copy(io.Discard, w.r.Body)
	for name, value := range w.f.Header {
		w.Header().Set(name, value)
	}
	body := w.f.Body
	if body == "" && w.f.Code != "" {
		body = fmt.Sprintf("<Error><Code>%s</Code><Message>%s</Message></Error>", w.f.Code, w.f.Message)
	}
	w.WriteHeader(w.f.Status)
	if w.r.Method != http.MethodHead {
		io.WriteString(w, body)
	}
	return true
}

func (w *faulty) Write(p []byte) (int, error) {
	if w.over || int64(len(p)) < w.left {
		w.left -= int64(len(p))
		return w.ResponseWriter.Write(p)
	}
	n, err := w.ResponseWriter.Write(p[:w.left])
	if err != nil {
		return n, err
	}
	w.ResponseWriter.(http.Flusher).Flush()
	w.strike()
	rest, err := w.ResponseWriter.Write(p[n:])
	return n + rest, err
}

// strike holds the answer and cuts the connection.
func (w *faulty) strike() {
	if w.over {
		return
	}
	w.over = true
	if w.f.Hold != nil {
		select {
		case <-w.f.Hold:
		case <-w.r.Context().Done():
		case <-w.done:
		}
	}
	if w.f.Cut {
		panic(http.ErrAbortHandler)
	}
}
