package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/takovm/tako/internal/api/jsondoc"
	"github.com/takovm/tako/internal/api/schema"
)

// readBody holds the body against the limit of size, by what it says of its
// length and by what comes (a chunked one says nothing), and reads it whole;
// multipart is left for who takes it. It comes before the route, as upstream has
// it: a body that is too large is 413 even where nothing wants it.
func (c *call) readBody() error {
	o := c.api.options
	media := mediaType(c.r)
	limit := o.MaxPayloadBytes
	if media == "multipart/form-data" && c.route != nil && c.route.multipart {
		limit, c.isMultipart = o.MaxUploadBytes, true
	}
	if limit > 0 {
		if c.r.ContentLength > limit {
			return payloadTooLarge(limit)
		}
		c.r.Body = http.MaxBytesReader(c.w, c.r.Body, limit)
	}
	if c.isMultipart {
		return nil
	}
	body, err := io.ReadAll(c.r.Body)
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return payloadTooLarge(limit)
		}
		return unread(err)
	}
	if len(body) > 0 && o.Auth == nil && media != "application/json" && media != "multipart/form-data" {
		return fail(http.StatusUnsupportedMediaType, "The Content-Type must be application/json or multipart/form-data.")
	}
	c.body = body
	c.r.Body = io.NopCloser(bytes.NewReader(body)) // for handlers that are passed in
	return nil
}

// checkBody holds a JSON body against the route's table, as FastAPI does: without
// a type it is JSON, of another type it is text, which is no object.
func (c *call) checkBody(t *schema.Type) (*schema.Value, []schema.Problem, error) {
	if len(c.body) == 0 {
		return nil, []schema.Problem{schema.Missing(json.RawMessage("null"), "body")}, nil
	}
	doc := c.body
	if media := c.r.Header.Get("Content-Type"); media != "" && !isJSON(mediaType(c.r)) {
		doc = asText(c.body)
	}
	return c.checkDocument(t, doc)
}

func (c *call) checkDocument(t *schema.Type, doc []byte) (*schema.Value, []schema.Problem, error) {
	v, err := jsondoc.Parse(doc)
	var syntax *jsondoc.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return nil, nil, problems{{
			Type: "json_invalid", Loc: []any{"body", syntax.Pos}, Msg: "JSON decode error", Input: json.RawMessage("{}"),
			Ctx: json.RawMessage(fmt.Sprintf(`{"error":%s}`, asText([]byte(syntax.Msg)))),
		}}
	case err != nil:
		return nil, nil, fail(http.StatusBadRequest, "There was an error parsing the body")
	case v.Kind() == jsondoc.Null:
		return nil, []schema.Problem{schema.Missing(v.Raw(), "body")}, nil
	}
	in, wrong := schema.Check(t, v, "body")
	return in, wrong, nil
}

// asText is text as JSON.
func asText(b []byte) json.RawMessage {
	out, err := encode(string(b))
	if err != nil {
		return json.RawMessage(`""`)
	}
	return out
}
