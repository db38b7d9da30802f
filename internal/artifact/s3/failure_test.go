package s3

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/takovm/tako/internal/artifact"
	"github.com/takovm/tako/internal/artifact/s3/s3test"
	"github.com/takovm/tako/internal/job"
)

// calls are all that a store does.
func calls(ctx context.Context, s *Store) map[string]func() error {
	d := artifact.Digest(strings.Repeat("0", 64))
	return map[string]func() error{
		"put":    func() error { _, _, err := s.Put(ctx, strings.NewReader("x"), 1); return err },
		"stat":   func() error { _, err := s.Stat(ctx, d); return err },
		"open":   func() error { _, err := s.Open(ctx, d); return err },
		"delete": func() error { return s.Delete(ctx, d) },
		"delete before": func() error {
			_, err := s.DeleteBefore(ctx, d, time.Now().Add(time.Hour))
			return err
		},
		"list":  func() error { _, err := s.List(ctx, "", 1); return err },
		"check": func() error { return s.Check(ctx) },
	}
}

// Whatever is called, a wrong configuration is told from what is not there, and
// the error says what to do.
func TestConfiguration(t *testing.T) {
	now := time.Now()
	for name, tc := range map[string]struct {
		server s3test.Options
		change func(*Options)
		says   []string
	}{
		"unknown key":  {change: func(o *Options) { o.AccessKey = "AKIAUNKNOWN" }, says: []string{"InvalidAccessKeyId", "AWS_ACCESS_KEY_ID"}},
		"wrong secret": {change: func(o *Options) { o.SecretKey = "wrong" }, says: []string{"SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY"}},
		"no bucket":    {change: func(o *Options) { o.Bucket = "other" }, says: []string{"NoSuchBucket", "bucket other", "make the bucket"}},
		"no bucket, by host": {
			server: s3test.Options{Host: "s3.test"},
			change: func(o *Options) { o.Bucket = "other" }, says: []string{"NoSuchBucket", "bucket other"},
		},
		"wrong region": {
			server: s3test.Options{Region: "eu-central-1"}, change: func(o *Options) { o.Region = "us-east-1" },
			says: []string{"AuthorizationHeaderMalformed", "set region=eu-central-1"},
		},
		"token expected": {server: s3test.Options{SessionToken: "t"}, says: []string{"InvalidToken", "AWS_SESSION_TOKEN"}},
		"wrong clock": {
			change: func(o *Options) { o.Now = func() time.Time { return now.Add(-20 * time.Minute) } },
			says:   []string{"RequestTimeTooSkewed", "clock", "request TX0123456789"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := s3test.New(t, tc.server)
			s := open(t, server, tc.change)
			for call, do := range calls(t.Context(), s) {
				err := do()
				if err == nil || job.KindOf(err) != job.KindConfig {
					t.Errorf("%s: %v", call, err)
					continue
				}
				for _, text := range tc.says {
					if !strings.Contains(err.Error(), text) {
						t.Errorf("%s: %v does not say %s", call, err, text)
					}
				}
			}
			if keys := server.Keys(); len(keys) != 0 {
				t.Errorf("%v was stored", keys)
			}
		})
	}
}

// Answers as other services, proxies and web pages give them.
func TestAnswers(t *testing.T) {
	const page = "<!DOCTYPE html><html><body>Sign in</body></html>"
	for name, tc := range map[string]struct {
		fault s3test.Fault
		kind  job.Kind
		says  string
	}{
		"moved": {s3test.Fault{Status: 301, Header: map[string]string{"X-Amz-Bucket-Region": "eu-west-1"}}, job.KindConfig, "set region=eu-west-1"},
		"moved for now": {s3test.Fault{
			Status: 307, Header: map[string]string{"X-Amz-Bucket-Region": "eu-west-1", "Location": "http://127.0.0.1:1/"},
		}, job.KindConfig, "set region=eu-west-1"},
		"moved, nobody says where":  {s3test.Fault{Status: 302, Header: map[string]string{"Location": "http://127.0.0.1:1/"}}, job.KindConfig, "elsewhere"},
		"forbidden":                 {s3test.Fault{Status: 403, Code: "AccessDenied", Message: "Access Denied"}, job.KindConfig, "allow the key s3:GetObject"},
		"too large":                 {s3test.Fault{Status: 400, Code: "EntityTooLarge"}, job.KindInvalid, "EntityTooLarge"},
		"expired":                   {s3test.Fault{Status: 400, Code: "ExpiredToken"}, job.KindConfig, "new credentials"},
		"archived":                  {s3test.Fault{Status: 403, Code: "InvalidObjectState"}, job.KindConfig, "storage classes"},
		"not allowed":               {s3test.Fault{Status: 405, Body: page}, job.KindConfig, "endpoint"},
		"not implemented":           {s3test.Fault{Status: 501, Code: "NotImplemented"}, job.KindConfig, "endpoint"},
		"a body without end":        {s3test.Fault{Status: 403, Body: "<Error><Code>AccessDenied</Code><Message>" + strings.Repeat("x", 1<<20)}, job.KindConfig, "403"},
		"a message without end":     {s3test.Fault{Status: 403, Code: "AccessDenied", Message: strings.Repeat("x", 1<<10)}, job.KindConfig, "xxx..."},
		"out of order":              {s3test.Fault{Status: 503, Code: "SlowDown", Message: "Please reduce\x0ayour\trequest rate."}, job.KindUnavailable, "Please reduce your request rate. (request TX0123456789), in 4 attempts"},
		"too many":                  {s3test.Fault{Status: 429}, job.KindUnavailable, "429 (request TX0123456789), in 4 attempts"},
		"a gateway's":               {s3test.Fault{Status: 502, Body: page}, job.KindUnavailable, "502"},
		"a slow client, they think": {s3test.Fault{Status: 400, Code: "RequestTimeout"}, job.KindUnavailable, "RequestTimeout"},
		"hung up":                   {s3test.Fault{Cut: true}, job.KindUnavailable, "can be reached"},
	} {
		t.Run(name, func(t *testing.T) {
			server := s3test.New(t, s3test.Options{})
			s := open(t, server, nil)
			tc.fault.Times = -1
			server.Fail(tc.fault)
			for call, do := range calls(t.Context(), s) {
				err := do()
				if err == nil || job.KindOf(err) != tc.kind || !strings.Contains(err.Error(), tc.says) && !bodiless(call, tc.fault) {
					t.Errorf("%s: %v", call, err)
				}
				if err != nil && (len(err.Error()) > 500 || strings.ContainsAny(err.Error(), "\n\t")) {
					t.Errorf("%s: %q", call, err)
				}
			}
		})
	}
}

// bodiless reports that a call begins with a HEAD, and that the fault's text is
// in a body. Only refusals are asked for again with GET.
func bodiless(call string, f s3test.Fault) bool {
	return (call == "stat" || call == "open" || call == "delete before") && f.Status >= 500
}

// What is a success elsewhere is none of S3.
func TestNoS3(t *testing.T) {
	for name, tc := range map[string]s3test.Fault{
		"a web page":    {Status: 200, Body: "<!DOCTYPE html><html></html>"},
		"nothing":       {Status: 200},
		"another kind":  {Status: 200, Body: "<ListAllMyBucketsResult/>"},
		"no times":      {Status: 200, Body: "<ListBucketResult><Contents><Key>tako/blobs/" + strings.Repeat("a", 64) + "</Key></Contents></ListBucketResult>"},
		"no way on":     {Status: 200, Body: "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>"},
		"no end":        {Status: 200, Body: "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken></ListBucketResult>"},
		"a huge answer": {Status: 200, Body: "<ListBucketResult>" + strings.Repeat(" ", maxPage+1)},
	} {
		t.Run(name, func(t *testing.T) {
			server := s3test.New(t, s3test.Options{})
			s := open(t, server, nil)
			tc.Times = -1
			server.Fail(tc)
			for call, do := range calls(t.Context(), s) {
				if err := do(); call != "delete" && job.KindOf(err) != job.KindConfig {
					t.Errorf("%s: %v", call, err)
				}
			}
		})
	}
}

func TestUnreachable(t *testing.T) {
	s := open(t, s3test.New(t, s3test.Options{}), func(o *Options) {
		o.Endpoint, o.Transport = "http://127.0.0.1:1", nil
	})
	for call, do := range calls(t.Context(), s) {
		if err := do(); job.KindOf(err) != job.KindUnavailable || !strings.Contains(err.Error(), "127.0.0.1:1") {
			t.Errorf("%s: %v", call, err)
		}
	}
}

// One failure less than there are attempts is no failure.
func TestRetries(t *testing.T) {
	for name, fault := range map[string]s3test.Fault{
		"503":              {Status: 503, Code: "SlowDown"},
		"500":              {Status: 500, Code: "InternalError"},
		"429":              {Status: 429},
		"cut":              {Cut: true},
		"damaged on a way": {Match: s3test.Method(http.MethodPut), Status: 400, Code: "XAmzContentSHA256Mismatch"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, size := range []int{0, 1, 3 << 20} {
				server := s3test.New(t, s3test.Options{})
				s := open(t, server, nil)
				data := bytes.Repeat([]byte("x"), size)
				fail := func() { fault.Times = defaultAttempts - 1; server.Fail(fault) }
				fail()
				d := put(t, s, data)
				fail()
				if err := artifact.Verify(t.Context(), s, d); err != nil {
					t.Error(err)
				}
				fail()
				if list, err := s.List(t.Context(), "", 10); err != nil || len(list) != 1 {
					t.Errorf("%v, %v", list, err)
				}
				fail()
				if done, err := s.DeleteBefore(t.Context(), d, time.Now().Add(time.Hour)); !done || err != nil {
					t.Errorf("%v, %v", done, err)
				}
				fail()
				if err := s.Delete(t.Context(), d); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// The number of attempts is that of the options, for every call.
func TestAttempts(t *testing.T) {
	for name, want := range map[string][]string{
		"put": {"PUT", "PUT"}, "stat": {"HEAD", "HEAD"}, "open": {"HEAD", "HEAD"}, "delete": {"DELETE", "DELETE"},
		"delete before": {"HEAD", "HEAD"}, "list": {"GET", "GET"}, "check": {"GET", "GET"},
	} {
		server := s3test.New(t, s3test.Options{})
		s := open(t, server, func(o *Options) { o.Attempts = 2 })
		server.Fail(s3test.Fault{Status: 503, Times: -1})
		if err := calls(t.Context(), s)[name](); job.KindOf(err) != job.KindUnavailable {
			t.Errorf("%s: %v", name, err)
		}
		var got []string
		for _, line := range server.Requests() {
			method, _, _ := strings.Cut(line, " ")
			got = append(got, method)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// A context that ends while we wait for an answer, or for the next attempt.
func TestContextEnds(t *testing.T) {
	for name, fault := range map[string]s3test.Fault{
		"waiting for an answer": {Hold: make(chan struct{})},
		"between attempts":      {Status: 503},
	} {
		server := s3test.New(t, s3test.Options{})
		s := open(t, server, func(o *Options) { o.Backoff = time.Hour })
		for call := range calls(t.Context(), s) {
			ctx, cancel := context.WithCancel(t.Context())
			fault.Before = cancel
			server.Fail(fault)
			if err := calls(ctx, s)[call](); !errors.Is(err, context.Canceled) {
				t.Errorf("%s, %s: %v", name, call, err)
			}
			cancel()
		}
		if keys := server.Keys(); len(keys) != 0 {
			t.Errorf("%v was stored", keys)
		}
	}
}

// A service that takes a request and says nothing.
func TestStalled(t *testing.T) {
	server := s3test.New(t, s3test.Options{})
	s := open(t, server, func(o *Options) { o.Timeout = 10 * time.Millisecond })
	server.Fail(s3test.Fault{Hold: make(chan struct{}), Times: -1})
	for call, do := range calls(t.Context(), s) {
		if err := do(); job.KindOf(err) != job.KindUnavailable || !strings.Contains(err.Error(), "too long (10ms), in 4 attempts") {
			t.Errorf("%s: %v", call, err)
		}
	}
}

func TestWaitAfter(t *testing.T) {
	for _, tc := range []struct {
		n      int
		first  time.Duration
		random float64
		want   time.Duration
	}{
		{1, 100 * time.Millisecond, 1, 100 * time.Millisecond},
		{1, 100 * time.Millisecond, 0, 50 * time.Millisecond},
		{3, 100 * time.Millisecond, 1, 400 * time.Millisecond},
		{100, 100 * time.Millisecond, 1, maxBackoff},
		{100, 100 * time.Millisecond, 0, maxBackoff / 2},
		{2, time.Minute, 1, time.Minute},
	} {
		if got := waitAfter(tc.n, tc.first, tc.random); got != tc.want {
			t.Errorf("%+v: %v", tc, got)
		}
	}
}

func FuzzDecodeError(f *testing.F) {
	f.Add([]byte(`<?xml version="1.0" encoding="UTF-8"?><Error><Code>NoSuchBucket</Code><Message>m</Message><Region>r</Region></Error>`))
	f.Add([]byte("<Error><Code>" + strings.Repeat("<a>", 1000)))
	f.Add([]byte("<Error>\xff&#0;&lt;<!DOCTYPE a [<!ENTITY b \"c\">]>&b;</Error>"))
	c := &client{signer: signer{accessKey: "AK", secretKey: "SK", token: "TK"}}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := decodeError(bytes.NewReader(data))
		for _, text := range []string{got.code, got.message, got.region, got.request} {
			line := c.clean(text)
			if len(line) > 210 || strings.ContainsAny(line, "\r\n\t\x00\x1b") || strings.Contains(line, "SK") {
				t.Errorf("%q, %v", line, err)
			}
		}
	})
}
