// Package s3test is a service that speaks as much of the protocol of Amazon S3
// as package s3 uses, in memory and for one bucket. It checks signatures, and
// it fails when it is told to. It shares no code with package s3, so that a
// mistake is not made twice.
package s3test

import (
	"context"
	"crypto/md5"
	"crypto/rand"
	"encoding/hex"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Options say what a Server is like.
type Options struct {
	// Bucket is the one that there is. Default: blobs.
	Bucket string
	// Region that requests are signed for. Default: us-east-1.
	Region string
	// AccessKey and SecretKey are those of the one user. Default: Amazon's
	// examples. SessionToken is expected unless it is empty.
	AccessKey, SecretKey, SessionToken string
	// Host has the bucket named in a request's host: it is BUCKET.Host then, and
	// Transport leads there. Empty is a bucket in the path.
	Host string
	// TLS has requests encrypted, with a certificate that Transport trusts.
	TLS bool
	// MaxKeys is the most keys of a page. Default 1,000.
	MaxKeys int
	// RandomETags has every put make another ETag, as keys of KMS do. Default:
	// the MD5 of the bytes.
	RandomETags bool
	// RefuseIfMatch has a DELETE with If-Match answered as not implemented.
	RefuseIfMatch bool
	// RefuseCopy has a copy answered as not implemented.
	RefuseCopy bool
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Server is such a service.
type Server struct {
	o    Options
	http *httptest.Server
	done chan struct{} // closed when the test ends

	mu      sync.Mutex
	objects map[string]object
	faults  []*Fault
	log     []string
}

type object struct {
	data    []byte
	etag    string
	modTime time.Time
}

// New starts a Server, which ends with the test.
func New(t testing.TB, o Options) *Server {
	t.Helper()
	for _, d := range []struct {
		to    *string
		value string
	}{
		{&o.Bucket, "blobs"},
		{&o.Region, "us-east-1"},
		{&o.AccessKey, "AKIAIOSFODNN7EXAMPLE"},
		{&o.SecretKey, "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"},
	} {
		if *d.to == "" {
			*d.to = d.value
		}
	}
	if o.MaxKeys == 0 {
		o.MaxKeys = 1000
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{o: o, done: make(chan struct{}), objects: map[string]object{}}
	s.http = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.http.Config.ErrorLog = log.New(io.Discard, "", 0) // refused certificates
	if o.TLS {
		s.http.StartTLS()
	} else {
		s.http.Start()
	}
	t.Cleanup(func() {
		close(s.done)
		s.http.Close()
	})
	return s
}

// AccessKey is that of the one user.
func (s *Server) AccessKey() string { return s.o.AccessKey }

// SecretKey is that of the one user.
func (s *Server) SecretKey() string { return s.o.SecretKey }

// Endpoint is the service's address, as a URL.
func (s *Server) Endpoint() string {
	if s.o.Host == "" {
		return s.http.URL
	}
	scheme, _, _ := strings.Cut(s.http.URL, ":")
	return scheme + "://" + s.o.Host
}

// URL is what s3.Parse takes, with this prefix.
func (s *Server) URL(prefix string) string {
	query := url.Values{"endpoint": {s.Endpoint()}, "region": {s.o.Region}}
	if s.o.Host == "" {
		query.Set("path_style", "true")
	} else if !s.o.TLS {
		query.Set("allow_http", "true")
	}
	return (&url.URL{Scheme: "s3", Host: s.o.Bucket, Path: "/" + prefix, RawQuery: query.Encode()}).String()
}

// Transport answers one that leads to the Server whatever host is asked for,
// and trusts its certificate. It is the caller's to close.
func (s *Server) Transport() *http.Transport {
	t := s.http.Client().Transport.(*http.Transport).Clone()
	t.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, s.http.Listener.Addr().String())
	}
	t.ExpectContinueTimeout = time.Second
	if t.TLSClientConfig != nil {
		t.TLSClientConfig.ServerName = "example.com" // whom the certificate is for
	}
	return t
}

// Put stores an object behind the service's back.
func (s *Server) Put(key string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(key, data)
}

func (s *Server) put(key string, data []byte) object {
	sum := md5.Sum(data)
	if s.o.RandomETags {
		rand.Read(sum[:])
	}
	o := object{data: data, etag: `"` + hex.EncodeToString(sum[:]) + `"`, modTime: s.o.Now().UTC().Truncate(time.Second)}
	s.objects[key] = o
	return o
}

// Get answers an object's bytes, and whether there is one.
func (s *Server) Get(key string) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.objects[key]
	return slices.Clone(o.data), ok
}

// SetTime sets when an object was put.
func (s *Server) SetTime(key string, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.objects[key]
	o.modTime = at.UTC().Truncate(time.Second)
	s.objects[key] = o
}

// Keys answers the keys of all objects, in order.
func (s *Server) Keys() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys()
}

func (s *Server) keys() []string { return slices.Sorted(maps.Keys(s.objects)) }

// Requests answers what was asked for since the last call, as "METHOD key".
// A list has no key.
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.log
	s.log = nil
	return list
}
