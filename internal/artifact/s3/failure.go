package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/takovm/tako/internal/artifact"
	"github.com/takovm/tako/internal/job"
)

// maxErrorBody is as much of an error's body as is read, in bytes. Services
// send less than 1 KiB.
const maxErrorBody = 64 << 10

// failure is what became of a request that has no answer of success. Callers
// inside the package look at it; problem makes of it what others see.
type failure struct {
	err     error  // why there is no answer; nil if there is one
	status  int    // of the answer
	code    string // such as NoSuchKey; empty if the answer had none
	message string
	region  string // the bucket's, if the service says it
	request string // its identifier, for the operator of the service

	again    bool // it may work if it is asked again
	attempts int  // that were made, once no further one is
}

func (f *failure) Error() string {
	var b strings.Builder
	if f.err != nil {
		b.WriteString(f.err.Error())
	} else {
		fmt.Fprintf(&b, "the service answered %d", f.status)
		for _, part := range []struct{ before, text, after string }{
			{" ", f.code, ""}, {": ", f.message, ""}, {" (request ", f.request, ")"},
		} {
			if part.text != "" {
				b.WriteString(part.before + part.text + part.after)
			}
		}
	}
	if f.attempts > 1 {
		fmt.Fprintf(&b, ", in %d attempts", f.attempts)
	}
	return b.String()
}

func (f *failure) Unwrap() error { return f.err }

// asFailure answers the failure that err is, or nil.
func asFailure(err error) *failure {
	var f *failure
	errors.As(err, &f)
	return f
}

// noAnswer is what becomes of a request that ended without an answer.
func (c *client) noAnswer(ctx, attempt context.Context, err error) error {
	var spool *spoolError
	var trust *tls.CertificateVerificationError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(context.Cause(attempt), errStalled):
		return &failure{err: fmt.Errorf("%w (%v)", errStalled, c.timeout), again: true}
	case errors.As(err, &spool), errors.As(err, &trust):
		return &failure{err: err}
	}
	// As text: io.EOF and its like mean something else to those who read blobs.
	return &failure{err: errors.New("no answer: " + c.clean(err.Error())), again: true}
}

// refusal reads an answer that is none of success.
func (c *client) refusal(ctx context.Context, resp *http.Response) error {
	f, err := decodeError(io.LimitReader(resp.Body, maxErrorBody))
	discard(resp.Body)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil { // no body, half a one, or one of a proxy's: the status says enough
		f = failure{}
	}
	f.status = resp.StatusCode
	if f.region == "" {
		f.region = resp.Header.Get("X-Amz-Bucket-Region")
	}
	if f.request == "" {
		f.request = resp.Header.Get("X-Amz-Request-Id")
	}
	for _, text := range []*string{&f.code, &f.message, &f.region, &f.request} {
		*text = c.clean(*text)
	}
	f.again = transient(f.status, f.code)
	return &f
}

// decodeError reads the body of an error. Its fields are a stranger's text.
func decodeError(r io.Reader) (failure, error) {
	var body struct {
		XMLName                          xml.Name `xml:"Error"`
		Code, Message, Region, RequestId string
	}
	err := xml.NewDecoder(r).Decode(&body)
	return failure{code: body.Code, message: body.Message, region: body.Region, request: body.RequestId}, err
}

// transient reports an answer that may be another one the next time.
func transient(status int, code string) bool {
	switch code {
	case "RequestTimeout", "IncompleteBody", "BadDigest", "XAmzContentSHA256Mismatch", "OperationAborted", "SlowDown":
		return true
	}
	return status == http.StatusTooManyRequests || status == http.StatusRequestTimeout ||
		status >= 500 && status != http.StatusNotImplemented
}

// errNoS3 is a success that no such service answers: a web page at the address,
// or a proxy's.
var errNoS3 = errors.New("the answer is not that of an S3 service")

// problem makes the one line for a service that does not do its part. Errors
// that say what they are already stay as they are.
func (s *Store) problem(doing string, err error) error {
	f := asFailure(err)
	switch {
	case err == nil:
		return nil
	case f == nil && errors.As(err, new(*job.Error)):
		return err
	case f == nil: // the context's
		return fmt.Errorf("%s: %w", doing, err)
	case f.err != nil:
		return s.unanswered(doing, f)
	case f.attempts > 0 || f.status >= 500 && f.status != http.StatusNotImplemented:
		return job.Errorf(job.KindUnavailable, "%s in bucket %s: %w", doing, s.bucket, f)
	case f.code == "EntityTooLarge":
		return job.Errorf(job.KindInvalid, "%s in bucket %s: %w", doing, s.bucket, f)
	}
	hint := s.mend(f)
	return job.Errorf(job.KindConfig, "%s in bucket %s: %w", doing, s.bucket, f).WithHint("%s", hint)
}

// unanswered is problem for a request without an answer.
func (s *Store) unanswered(doing string, f *failure) error {
	var unknown x509.UnknownAuthorityError
	var spool *spoolError
	failed := job.Errorf(job.KindUnavailable, "%s in bucket %s: %w", doing, s.bucket, f)
	switch {
	case errors.As(f.err, &spool):
		return failed
	case errors.Is(f.err, errNoS3):
		failed.Kind = job.KindConfig
		return failed.WithHint("look at the endpoint, and at what is between it and this machine")
	case errors.As(f.err, &unknown):
		failed.Kind = job.KindConfig
		return failed.WithHint("name the file with the certificate of who signed it in SSL_CERT_FILE")
	case errors.As(f.err, new(*tls.CertificateVerificationError)):
		failed.Kind = job.KindConfig
		return failed.WithHint("look at the endpoint, and at the certificate that it has")
	}
	return failed.WithHint("look whether %s can be reached from here", s.client.place.host)
}

// mend says what an operator does about a refusal.
func (s *Store) mend(f *failure) string {
	const address = "look at the bucket's region and endpoint"
	at := s.client.place
	switch f.code {
	case "NoSuchBucket":
		return "make the bucket, or name another one"
	case "InvalidAccessKeyId":
		return "set AWS_ACCESS_KEY_ID to a key that " + at.host + " knows"
	case "SignatureDoesNotMatch":
		return "set AWS_SECRET_ACCESS_KEY to the secret of the access key"
	case "RequestTimeTooSkewed":
		return "set this machine's clock"
	case "ExpiredToken", "InvalidToken", "TokenRefreshRequired":
		return "get new credentials, and set AWS_SESSION_TOKEN with them"
	case "InvalidObjectState":
		return "take blobs out of storage classes that cannot be read at once"
	}
	redirect := f.status >= 300 && f.status < 400
	switch {
	case f.region != "" && f.region != at.region && (redirect || f.status == http.StatusBadRequest):
		return fmt.Sprintf("the bucket is in region %s and not in %s: set region=%s", f.region, at.region, f.region)
	case redirect:
		return "the bucket is elsewhere; " + address
	case f.status == http.StatusForbidden || f.status == http.StatusUnauthorized:
		return "allow the key s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket, and look at this machine's clock"
	case f.status == http.StatusNotFound:
		return address + ", and whether there is one"
	}
	return address
}

// missing is problem for a request about one blob, which may be not there.
func (s *Store) missing(doing string, d artifact.Digest, err error) error {
	if gone(err) {
		return artifact.NotFound(d)
	}
	return s.problem(doing, err)
}

// gone reports the answer that there is no such object. Without a code it is
// one, too: a service that is asked with HEAD has no room for one.
func gone(err error) bool {
	f := asFailure(err)
	return f != nil && f.status == http.StatusNotFound && f.code != "NoSuchBucket"
}
