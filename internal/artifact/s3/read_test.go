package s3

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/takovm/tako/internal/artifact"
	"github.com/takovm/tako/internal/artifact/s3/s3test"
	"github.com/takovm/tako/internal/job"
)

// long is n bytes that differ along the way.
func long(n int) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(i*7 + i>>8)
	}
	return data
}

func isGet(r *http.Request) bool { return r.Method == http.MethodGet }

// A connection that breaks is made again where it broke.
func TestCutBodies(t *testing.T) {
	data := long(5 << 20)
	for name, tc := range map[string]struct {
		fault s3test.Fault
		ok    bool
	}{
		"once":                        {s3test.Fault{Times: 1, After: 2_000_000}, true},
		"three times in one place":    {s3test.Fault{Times: 3, After: 1}, true},
		"four times, far apart":       {s3test.Fault{Times: 4, After: 1_200_000}, true},
		"a few bytes at a time":       {s3test.Fault{Times: -1, After: 1000}, false},
		"always, before any of it":    {s3test.Fault{Times: -1}, false},
		"at the end of what there is": {s3test.Fault{Times: -1, After: 5<<20 - 1}, true},
	} {
		t.Run(name, func(t *testing.T) {
			server := s3test.New(t, s3test.Options{})
			s := open(t, server, nil)
			d := put(t, s, data)
			tc.fault.Match, tc.fault.Cut = isGet, true
			server.Fail(tc.fault)
			b, err := s.Open(t.Context(), d)
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			got, err := io.ReadAll(b)
			if tc.ok && (err != nil || !bytes.Equal(got, data)) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			if !tc.ok && (job.KindOf(err) != job.KindUnavailable || errors.Is(err, artifact.ErrCorrupt)) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
}

// A body that stops coming is asked for again.
func TestStalledBody(t *testing.T) {
	server := s3test.New(t, s3test.Options{})
	s := open(t, server, func(o *Options) { o.Timeout = time.Second })
	data := long(3 << 20)
	d := put(t, s, data)
	server.Fail(s3test.Fault{Match: isGet, After: 1 << 20, Hold: make(chan struct{})})
	server.Requests()
	b, err := s.Open(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if got, err := io.ReadAll(b); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if asked := server.Requests(); len(asked) != 3 { // HEAD, and twice GET
		t.Errorf("%v", asked)
	}
}

// The time that a client takes between two reads is not the service's.
func TestWatchRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, w := watchOver(t.Context(), time.Second)
		body := &watched{body: io.NopCloser(strings.NewReader("text")), w: w}
		for range 4 {
			<-time.After(time.Minute)
			if n, err := body.Read(make([]byte, 1)); n != 1 || err != nil || ctx.Err() != nil {
				t.Errorf("%d, %v, %v", n, err, ctx.Err())
			}
		}
		w.arm()
		<-time.After(2 * time.Second)
		if !errors.Is(context.Cause(ctx), errStalled) {
			t.Errorf("the cause is %v", context.Cause(ctx))
		}
		body.Close()
	})
}

func TestReadContextEnds(t *testing.T) {
	server := s3test.New(t, s3test.Options{})
	s := open(t, server, nil)
	d := put(t, s, long(3<<20))
	ctx, cancel := context.WithCancel(t.Context())
	b, err := s.Open(ctx, d)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := io.ReadFull(b, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := io.ReadAll(b); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
}

// What others do to a blob while it is open.
func TestChangedWhileOpen(t *testing.T) {
	data := long(1000)
	for name, tc := range map[string]struct {
		change func(s *Store, server *s3test.Server, d artifact.Digest) error
		from   int64
		want   error
	}{
		"removed":            {func(s *Store, _ *s3test.Server, d artifact.Digest) error { return s.Delete(t.Context(), d) }, 0, artifact.ErrNotFound},
		"cut short":          {replaced(data[:500]), 0, artifact.ErrCorrupt},
		"cut short, a range": {replaced(data[:500]), 600, artifact.ErrCorrupt},
		"longer, a range":    {replaced(append(slices.Clone(data), 0)), 600, artifact.ErrCorrupt},
		"emptied":            {replaced(nil), 0, artifact.ErrCorrupt},
		"put again":          {replaced(data), 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			server := s3test.New(t, s3test.Options{RandomETags: true})
			s := open(t, server, nil)
			d := put(t, s, data)
			b, err := s.Open(t.Context(), d)
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			if err := tc.change(s, server, d); err != nil {
				t.Fatal(err)
			}
			if _, err := b.Seek(tc.from, io.SeekStart); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadAll(b); !errors.Is(err, tc.want) {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

func replaced(data []byte) func(*Store, *s3test.Server, artifact.Digest) error {
	return func(s *Store, server *s3test.Server, d artifact.Digest) error {
		server.Put(s.key(d), data)
		return nil
	}
}

// Seeking asks for nothing, and reading on needs no further request.
func TestRequestsOfReaders(t *testing.T) {
	server := s3test.New(t, s3test.Options{})
	s := open(t, server, nil)
	b, err := s.Open(t.Context(), put(t, s, long(300_000)))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, at := range []int64{300_000, 0, 100, 0} {
		if _, err := b.Seek(at, io.SeekStart); err != nil {
			t.Fatal(err)
		}
	}
	server.Requests()
	for range 100 {
		if _, err := io.ReadFull(b, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	if asked := server.Requests(); len(asked) != 1 {
		t.Errorf("%d requests", len(asked))
	}
}

// A service that ignores ranges is not believed.
func TestNoRanges(t *testing.T) {
	data := long(1000)
	for name, fault := range map[string]s3test.Fault{
		"all of it":    {Status: 200, Body: string(data)},
		"another part": {Status: 206, Body: string(data[:100]), Header: map[string]string{"Content-Range": "bytes 0-99/1000"}},
		"a part of it": {Status: 206, Body: string(data[100:200]), Header: map[string]string{"Content-Range": "bytes 100-199/1000"}},
		"nobody knows": {Status: 206, Body: string(data[100:])},
	} {
		t.Run(name, func(t *testing.T) {
			server := s3test.New(t, s3test.Options{})
			s := open(t, server, nil)
			b, err := s.Open(t.Context(), put(t, s, data))
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			if _, err := b.Seek(100, io.SeekStart); err != nil {
				t.Fatal(err)
			}
			server.Fail(fault)
			if _, err := io.ReadAll(b); job.KindOf(err) != job.KindConfig || !strings.Contains(err.Error(), "ranges") {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

func TestContentRange(t *testing.T) {
	for _, tc := range []struct {
		header string
		size   int64
		ok     bool
	}{
		{"bytes 5-9/10", 10, true},
		{"bytes 5-9/*", -1, true},
		{"bytes 5-8/10", 10, false},
		{"bytes 4-9/10", 0, false},
		{"bytes 5-4/5", 0, false},
		{"bytes 5-9", 0, false},
		{"bytes */10", 0, false},
		{"", 0, false},
	} {
		if size, ok := contentRange(tc.header, 5); ok != tc.ok || ok && size != tc.size {
			t.Errorf("%q: %d, %v", tc.header, size, ok)
		}
	}
}
