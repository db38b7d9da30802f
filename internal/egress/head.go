package egress

import (
	"bufio"
	"bytes"
	"errors"
	"strconv"
	"strings"
)

// requestHead is the head of an HTTP/1 request, understood in one way only.
type requestHead struct {
	host string // of the Host field, canonical, without a port
	// out is the head as it is sent to the server: the fields as they came,
	// except those that are about this connection.
	out       []byte
	length    int64 // of the body
	chunked   bool
	websocket bool
}

const (
	maxHead   = 64 << 10 // bytes
	maxFields = 256
)

var (
	errNoHTTP  = errors.New("port 80 is for HTTP/1, and this is none")
	errBadHead = errors.New("the HTTP request is malformed")
)

// readHead reads a head up to its empty line, and no more.
func readHead(r *bufio.Reader) ([]byte, error) {
	var head []byte
	for {
		line, err := r.ReadSlice('\n')
		head = append(head, line...)
		switch {
		case len(head) > 0 && !isToken(head[0]) && head[0] != '\r':
			return nil, errNoHTTP
		case len(head) > maxHead:
			return nil, errBadHead
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && len(head) > 0 && isEOF(err):
			return nil, errBadHead
		case err != nil:
			return nil, err
		case !bytes.HasSuffix(head, []byte("\r\n")):
			return nil, errBadHead
		case len(head) == 2: // empty lines before a request are to be ignored
			head = nil
		case bytes.HasSuffix(head, []byte("\r\n\r\n")):
			return head, nil
		}
	}
}

// parseHead understands a head, or says why it is refused. It is stricter than
// servers are: what two of them could read in two ways is refused.
func parseHead(raw []byte) (requestHead, error) {
	text, ok := strings.CutSuffix(string(raw), "\r\n\r\n")
	lines := strings.Split(text, "\r\n")
	if !ok || len(lines) > maxFields || strings.ContainsFunc(text, badByte) || strings.Count(text, "\r") != len(lines)-1 ||
		strings.Count(text, "\n") != len(lines)-1 {
		return requestHead{}, errBadHead
	}
	h := requestHead{}
	method, version, err := h.requestLine(lines[0])
	if err != nil {
		return requestHead{}, err
	}
	f := fields{}
	for _, line := range lines[1:] {
		if err := f.add(line); err != nil {
			return requestHead{}, err
		}
	}
	if err := h.fields(&f, version); err != nil {
		return requestHead{}, err
	}
	h.websocket = method == "GET" && version == "HTTP/1.1" && h.length == 0 && !h.chunked && f.asksWebsocket()
	h.finish(&f)
	return h, nil
}

// requestLine checks the first line and begins out with it.
func (h *requestHead) requestLine(line string) (method, version string, err error) {
	parts := strings.Split(line, " ")
	if len(parts) != 3 || parts[0] == "" || strings.ContainsFunc(parts[0], notInToken) {
		return "", "", errBadHead
	}
	method, target, version := parts[0], parts[1], parts[2]
	switch {
	case strings.HasPrefix(version, "HTTP/2"):
		return "", "", errors.New("HTTP/2 without TLS is not carried, its requests could name any host")
	case version != "HTTP/1.1" && version != "HTTP/1.0":
		return "", "", errBadHead
	case strings.EqualFold(method, "CONNECT"):
		return "", "", errors.New("CONNECT asks for a tunnel, in which any host could be named")
	case method == "OPTIONS" && target == "*":
	case strings.Contains(target, "://"):
		if !strings.HasPrefix(target, "/") {
			return "", "", errors.New("the request names a URL, as for a proxy")
		}
	case !strings.HasPrefix(target, "/"):
		return "", "", errBadHead
	}
	h.out = append(h.out, line+"\r\n"...)
	return method, version, nil
}

// fields reads what matters of the fields.
func (h *requestHead) fields(f *fields, version string) error {
	if len(f.hosts) != 1 {
		return errors.New("the HTTP request has no Host, or several")
	}
	host, port, hasPort := strings.Cut(f.hosts[0], ":")
	if h.host = canonical(host); hasPort && port != strconv.Itoa(httpPort) {
		h.host = canonical(f.hosts[0])
	}
	switch {
	case len(f.lengths) > 1 || len(f.codings) > 1 || len(f.lengths)+len(f.codings) > 1:
		return errBadHead // request smuggling
	case len(f.codings) == 1:
		h.chunked = strings.EqualFold(f.codings[0], "chunked")
		if !h.chunked || version != "HTTP/1.1" {
			return errBadHead
		}
	case len(f.lengths) == 1:
		n, err := strconv.ParseUint(f.lengths[0], 10, 63)
		if err != nil || strings.ContainsAny(f.lengths[0], "+_") {
			return errBadHead
		}
		h.length = int64(n)
	}
	return nil
}

// finish writes the fields that are passed on, and ours.
func (h *requestHead) finish(f *fields) {
	for _, line := range f.kept {
		h.out = append(h.out, line+"\r\n"...)
	}
	add := "Connection: close\r\n"
	switch {
	case h.websocket:
		add = "Connection: Upgrade\r\nUpgrade: websocket\r\n"
	case h.chunked:
		add += "Transfer-Encoding: chunked\r\n"
	case len(f.lengths) == 1:
		add += "Content-Length: " + strconv.FormatInt(h.length, 10) + "\r\n"
	}
	h.out = append(h.out, add+"\r\n"...)
}

// fields are the fields of a head, by what we do with them.
type fields struct {
	kept                    []string // lines that are passed on as they are
	hosts, lengths, codings []string
	connection, upgrade     []string
}

func (f *fields) add(line string) error {
	name, value, ok := strings.Cut(line, ":")
	if !ok || name == "" || strings.ContainsFunc(name, notInToken) {
		return errBadHead // a folded line begins with a space, and is one of these
	}
	value = strings.Trim(value, " \t")
	switch strings.ToLower(name) {
	case "host":
		f.hosts = append(f.hosts, value)
		f.kept = append(f.kept, line)
	case "content-length":
		f.lengths = append(f.lengths, value)
	case "transfer-encoding":
		f.codings = append(f.codings, value)
	case "connection":
		f.connection = append(f.connection, value)
	case "upgrade":
		f.upgrade = append(f.upgrade, value)
	case "keep-alive", "proxy-connection", "te", "trailer", "http2-settings":
		// about this connection, which is not the server's
	default:
		f.kept = append(f.kept, line)
	}
	return nil
}

// asksWebsocket reports the one protocol that a connection may change to.
// Another (h2c) is not asked for, as the RFC has it for who does not know it.
func (f *fields) asksWebsocket() bool {
	if len(f.upgrade) != 1 || !strings.EqualFold(f.upgrade[0], "websocket") {
		return false
	}
	for token := range strings.SplitSeq(strings.Join(f.connection, ","), ",") {
		if strings.EqualFold(strings.Trim(token, " \t"), "upgrade") {
			return true
		}
	}
	return false
}

// badByte finds control characters; line ends are looked for elsewhere.
func badByte(r rune) bool { return r < 0x20 && r != '\t' && r != '\r' && r != '\n' || r == 0x7f }

func isToken(c byte) bool {
	return c > 0x20 && c < 0x7f && !strings.ContainsRune(`()<>@,;:\"/[]?={}`, rune(c))
}

func notInToken(r rune) bool { return r > 0x7e || !isToken(byte(r)) }
