package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/takovm/tako/internal/api/schema"
	"github.com/takovm/tako/internal/api/wire"
	"github.com/takovm/tako/internal/job"
)

// call is one request on its way.
type call struct {
	api           *API
	w             http.ResponseWriter
	r             *http.Request
	route         *route // nil for none
	correlationID string
	client        netip.Addr // not valid where it is unknown
	principal     job.Principal
	known         bool // the principal is somebody

	body        []byte // of what is not multipart
	isMultipart bool
	in          *schema.Value            // the body, where the route has a table for it
	query       map[string]*schema.Value // what was given and passed
	path        map[string]*schema.Value // of path parameters with a table
}

// id is the job, execution or batch of the path. What cannot be one is not
// there.
func (c *call) id(name string) (string, error) {
	id := c.r.PathValue(name)
	if !validID(id) {
		return "", fail(http.StatusNotFound, "%s", c.route.words.notFound)
	}
	return id, nil
}

func (c *call) caller() Caller {
	o := Caller{CorrelationID: c.correlationID}
	if c.client.IsValid() {
		o.ClientIP = c.client.String()
	}
	return o
}

// queryOf reads a query as Starlette does: what is no escape stands for
// itself. net/url leaves such parameters out, and a filter that is left out
// answers too much.
func queryOf(query string) url.Values {
	values := url.Values{}
	for pair := range strings.SplitSeq(query, "&") {
		if name, value, _ := strings.Cut(pair, "="); pair != "" {
			values.Add(unescape(name), unescape(value))
		}
	}
	return values
}

func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '+' {
			c = ' '
		} else if c == '%' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				c, i = byte(n), i+2
			}
		}
		b.WriteByte(c)
	}
	return b.String()
}

// page are the parameters of a list. What would overflow further down is cut.
func (c *call) page() (limit, offset int) {
	limit, offset = 100, 0
	if v := c.query["limit"]; v.Has() {
		limit = int(v.Int())
	}
	if v := c.query["offset"]; v.Has() {
		offset = int(min(v.Int(), 1<<40))
	}
	return limit, offset
}

func (c *call) full() bool { return c.query["view"].Text() == "full" }

// writeFor is how long a client may take to read an answer, or a piece of a
// long one.
const writeFor = time.Minute

// patient is for routes that wait: the deadlines of the connection are for
// requests that are answered at once, and the one for reading would end the
// context.
func (c *call) patient() {
	rc := http.NewResponseController(c.w)
	_ = rc.SetReadDeadline(time.Time{}) // not every writer can
	_ = rc.SetWriteDeadline(time.Time{})
}

// hurry gives the client its time to read what comes next.
func (c *call) hurry() {
	_ = http.NewResponseController(c.w).SetWriteDeadline(time.Now().Add(writeFor))
}

// encode writes JSON as Python's is written: nothing escaped that need not be.
// Raw parts pass through, save for white space.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("encoding an answer: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// answer sends a value as JSON.
func (c *call) answer(status int, v any) error {
	body, err := encode(v)
	if err != nil {
		return err
	}
	c.send(status, "application/json", body)
	return nil
}

func (c *call) ok(v any) error { return c.answer(http.StatusOK, v) }

func (c *call) send(status int, contentType string, body []byte) {
	h := c.w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	c.hurry()
	c.w.WriteHeader(status)
	if c.r.Method != http.MethodHead {
		_, _ = c.w.Write(body) // the client may be gone
	}
}

// refuse sends an error.
func (c *call) refuse(err error) {
	c.w.Header().Del("Content-Disposition") // of what was to be sent
	if p, ok := err.(problems); ok {
		_ = c.answer(http.StatusUnprocessableEntity, map[string]any{"detail": p})
		return
	}
	var w words
	if c.route != nil {
		w = c.route.words
	}
	answer, log := translate(err, w)
	if log {
		c.api.options.Log.ErrorContext(c.r.Context(), "request failed", "correlation_id", c.correlationID,
			"method", c.r.Method, "path", c.r.URL.Path, "principal", c.principal.Name, "error", err)
	}
	for name, values := range answer.header {
		c.w.Header()[name] = values
	}
	if answer.status < 400 { // a redirect
		c.w.WriteHeader(answer.status)
		return
	}
	body := wire.Error{Detail: wire.Sanitize(answer.detail)}
	if !answer.bare {
		body.CorrelationID = c.correlationID
	}
	_ = c.answer(answer.status, body)
}
