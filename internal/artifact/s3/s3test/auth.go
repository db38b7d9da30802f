package s3test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// refused is an answer of the service that is none of success.
type refused struct {
	status        int
	code, message string
	extra         string // XML
}

func (e *refused) Error() string { return e.code }

// authorize holds a request against its signature. It reads the body.
func (s *Server) authorize(r *http.Request) error {
	auth, ok := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ")
	if !ok {
		return &refused{403, "AccessDenied", "Access Denied", ""}
	}
	fields := map[string]string{}
	for part := range strings.SplitSeq(auth, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		fields[name] = value
	}
	key, scope, _ := strings.Cut(fields["Credential"], "/")
	if key != s.o.AccessKey {
		return &refused{403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.",
			"<AWSAccessKeyId>" + key + "</AWSAccessKeyId>"}
	}
	if err := s.checkScope(r, scope); err != nil {
		return err
	}
	text := s.toSign(r, scope, fields["SignedHeaders"])
	if want := s.signature(scope, text); fields["Signature"] != want {
		return &refused{403, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided.",
			"<AWSAccessKeyId>" + key + "</AWSAccessKeyId><StringToSign>" + text + "</StringToSign>"}
	}
	if err := mustSign(r, fields["SignedHeaders"]); err != nil {
		return err
	}
	return checkPayload(r)
}

// checkScope holds date, region and token against what is expected.
func (s *Server) checkScope(r *http.Request, scope string) error {
	stamp := r.Header.Get("X-Amz-Date")
	at, err := time.Parse("20060102T150405Z", stamp)
	if err != nil {
		return &refused{403, "AccessDenied", "AWS authentication requires a valid Date or x-amz-date header", ""}
	}
	if d := s.o.Now().Sub(at); d.Abs() > 15*time.Minute {
		return &refused{403, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large.", ""}
	}
	parts := strings.Split(scope, "/")
	if len(parts) != 4 || parts[0] != stamp[:8] || parts[2] != "s3" || parts[3] != "aws4_request" {
		return &refused{400, "AuthorizationHeaderMalformed", "The authorization header is malformed.", ""}
	}
	if parts[1] != s.o.Region {
		return &refused{400, "AuthorizationHeaderMalformed", fmt.Sprintf(
			"The authorization header is malformed; the region '%s' is wrong; expecting '%s'", parts[1], s.o.Region),
			"<Region>" + s.o.Region + "</Region>"}
	}
	if r.Header.Get("X-Amz-Security-Token") != s.o.SessionToken {
		return &refused{400, "InvalidToken", "The provided token is malformed or otherwise invalid.", ""}
	}
	return nil
}

// mustSign wants every header signed that says what the request does.
func mustSign(r *http.Request, signed string) error {
	names := strings.Split(signed, ";")
	need := []string{"host"}
	for name := range r.Header {
		name = strings.ToLower(name)
		if strings.HasPrefix(name, "x-amz-") || name == "range" || name == "if-match" || name == "content-type" {
			need = append(need, name)
		}
	}
	for _, name := range need {
		if !slices.Contains(names, name) {
			return &refused{403, "AccessDenied", "There were headers present in the request which were not signed", ""}
		}
	}
	return nil
}

// toSign is the text that a signature is of.
func (s *Server) toSign(r *http.Request, scope, signed string) string {
	path, _, _ := strings.Cut(r.RequestURI, "?")
	var pairs []string
	for name, values := range r.URL.Query() {
		for _, value := range values {
			pairs = append(pairs, encode(name)+"="+encode(value))
		}
	}
	slices.Sort(pairs)
	decoded, _ := url.PathUnescape(path)
	segments := strings.Split(decoded, "/")
	for i := range segments {
		segments[i] = encode(segments[i])
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n%s\n%s\n", r.Method, strings.Join(segments, "/"), strings.Join(pairs, "&"))
	for name := range strings.SplitSeq(signed, ";") {
		value := r.Header.Get(name)
		if name == "host" {
			value = r.Host
		}
		fmt.Fprintf(&b, "%s:%s\n", name, strings.TrimSpace(value))
	}
	fmt.Fprintf(&b, "\n%s\n%s", signed, r.Header.Get("X-Amz-Content-Sha256"))
	return fmt.Sprintf("AWS4-HMAC-SHA256\n%s\n%s\n%x", r.Header.Get("X-Amz-Date"), scope, sha256.Sum256(b.Bytes()))
}

// encode leaves A-Z, a-z, 0-9 and "-._~" as they are.
func encode(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		if c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func (s *Server) signature(scope, text string) string {
	mac := func(key []byte, text string) []byte {
		h := hmac.New(sha256.New, key)
		io.WriteString(h, text)
		return h.Sum(nil)
	}
	p := strings.Split(scope, "/")
	key := mac(mac(mac(mac([]byte("AWS4"+s.o.SecretKey), p[0]), p[1]), p[2]), p[3])
	return hex.EncodeToString(mac(key, text))
}

// checkPayload reads the body and holds it against its digest. It is left for
// the next reader.
func checkPayload(r *http.Request) error {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return &refused{400, "IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header.", ""}
	}
	r.Body = io.NopCloser(bytes.NewReader(data))
	if want := r.Header.Get("X-Amz-Content-Sha256"); want != "UNSIGNED-PAYLOAD" && want != fmt.Sprintf("%x", sha256.Sum256(data)) {
		return &refused{400, "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.", ""}
	}
	return nil
}
