package s3

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/takovm/tako/internal/artifact"
	"github.com/takovm/tako/internal/artifact/s3/s3test"
	"github.com/takovm/tako/internal/job"
)

// A service that refuses a large blob is not sent it.
func TestExpect(t *testing.T) {
	server := s3test.New(t, s3test.Options{})
	s := open(t, server, func(o *Options) { o.AccessKey = "AKIAUNKNOWN" })
	_, _, err := s.Put(t.Context(), bytes.NewReader(make([]byte, 16<<20)), 16<<20)
	if job.KindOf(err) != job.KindConfig || !strings.Contains(err.Error(), "InvalidAccessKeyId") {
		t.Errorf("the error is %v", err)
	}
}

// Whatever became of a blob, nothing of it stays on the disk.
func TestSpoolIsEmptied(t *testing.T) {
	server := s3test.New(t, s3test.Options{})
	dir := t.TempDir()
	s := open(t, server, func(o *Options) { o.Spool.Dir = dir })
	put(t, s, []byte("x"))
	server.Fail(s3test.Fault{Status: 403})
	if _, _, err := s.Put(t.Context(), strings.NewReader("x"), 1); err == nil {
		t.Error("it was stored")
	}
	if left, err := os.ReadDir(filepath.Join(dir, "tmp")); err != nil || len(left) != 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}

// What was accepted is spooled where nothing new is, and is the same store: a
// collection by one does not remove what the other puts.
func TestAccepted(t *testing.T) {
	server := s3test.New(t, s3test.Options{})
	s := open(t, server, func(o *Options) {
		o.Spool.Reserve.Bytes, o.Spool.Space = 20, func() (int64, int64, error) { return 10, 1000, nil }
	})
	if _, _, err := s.Put(t.Context(), strings.NewReader("x"), 1); job.KindOf(err) != job.KindUnavailable {
		t.Errorf("an upload: %v", err)
	}
	d, _, err := s.Accepted().Put(t.Context(), strings.NewReader("x"), 1)
	if err != nil {
		t.Fatalf("what was accepted: %v", err)
	}
	landed, err := s.Accepted().flights.store(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	defer landed()
	if removed, err := s.DeleteBefore(t.Context(), d, time.Now().Add(time.Hour)); removed || err != nil {
		t.Errorf("removed while it is put: %v, %v", removed, err)
	}
}

// A disk that does not give back what was written is not asked again, and is
// not the service's fault.
func TestSpoolBreaks(t *testing.T) {
	server := s3test.New(t, s3test.Options{})
	s := open(t, server, nil)
	f, err := s.spool.Spool(t.Context(), bytes.NewReader(long(1000)), 1000)
	if err != nil {
		t.Fatal(err)
	}
	u := &upload{file: f, digest: f.Digest, size: f.Size}
	f.Discard()
	_, err = s.client.finish(t.Context(), request{method: http.MethodPut, key: s.key(f.Digest), body: u})
	err = s.problem("storing", err)
	if job.KindOf(err) != job.KindUnavailable || !errors.Is(err, os.ErrClosed) || len(server.Requests()) != 0 {
		t.Errorf("the error is %v", err)
	}
	u.err = os.ErrClosed // found while it was read
	if err := u.revoke(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("the error is %v", err)
	}
}

// An upload that is cut or stalls in the middle is sent again from its start,
// with the transport of the first attempt perhaps still reading.
func TestUploadBreaks(t *testing.T) {
	data := long(2 << 20)
	for name, fault := range map[string]s3test.Fault{
		"cut":     {Cut: true},
		"stalled": {Hold: make(chan struct{})},
	} {
		t.Run(name, func(t *testing.T) {
			server := s3test.New(t, s3test.Options{})
			s := open(t, server, func(o *Options) { o.Timeout = time.Second })
			fault.Match = s3test.Method(http.MethodPut)
			server.Fail(fault)
			d := put(t, s, data)
			if got, _ := server.Get(s.key(d)); !bytes.Equal(got, data) {
				t.Errorf("%d bytes are stored", len(got))
			}
		})
	}
}

// A blob that is put again between the look at its time and its removal.
func TestDeleteBeforeRace(t *testing.T) {
	later := time.Now().Add(time.Hour)
	for name, tc := range map[string]struct {
		server s3test.Options
		other  bool // another server puts it
		stays  bool
	}{
		"this server":                    {s3test.Options{}, false, true},
		"another server, telling ETags":  {s3test.Options{RandomETags: true}, true, true},
		"another server, the same ETags": {s3test.Options{}, true, false}, // the window that DeleteBefore tells of
	} {
		t.Run(name, func(t *testing.T) {
			server := s3test.New(t, tc.server)
			s := open(t, server, nil)
			d := put(t, s, []byte("again"))
			key := s.key(d)
			server.SetTime(key, time.Now().Add(-24*time.Hour))
			again := make(chan error, 1)
			server.Fail(s3test.Fault{Match: s3test.Method(http.MethodDelete), Before: func() {
				if tc.other {
					server.Put(key, []byte("again"))
					again <- nil
					return
				}
				go func() {
					_, _, err := s.Put(context.Background(), strings.NewReader("again"), 5)
					again <- err
				}()
			}})
			if _, err := s.DeleteBefore(t.Context(), d, later); err != nil {
				t.Fatal(err)
			}
			if err := <-again; err != nil {
				t.Fatal(err)
			}
			if _, err := s.Stat(t.Context(), d); (err == nil) != tc.stays {
				t.Errorf("stat: %v", err)
			}
		})
	}
}

// A blob that is being put is not removed, and one that is being removed is put
// afterwards.
func TestFlights(t *testing.T) {
	var f flights
	const d = artifact.Digest("d")
	first, err := f.store(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	second, err := f.store(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	first()
	if _, ok := f.remove(d); ok {
		t.Error("it is removed while it is put")
	}
	second()
	removed, ok := f.remove(d)
	if !ok {
		t.Fatal("it is not removed after it was put")
	}
	if _, ok := f.remove(d); ok {
		t.Error("it is removed twice at once")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.store(ctx, d); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	stored := make(chan error)
	go func() {
		landed, err := f.store(t.Context(), d)
		if err == nil {
			landed()
		}
		stored <- err
	}()
	removed()
	if err := <-stored; err != nil {
		t.Error(err)
	}
	if len(f.stores)+len(f.removes) != 0 {
		t.Errorf("%v and %v are left", f.stores, f.removes)
	}
}

func TestDeleteBefore(t *testing.T) {
	put0 := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	isDelete := s3test.Method(http.MethodDelete)
	for name, tc := range map[string]struct {
		fault s3test.Fault
		t     time.Time
		done  bool
		kind  job.Kind // of the error; empty is none
	}{
		"within the second":          {t: put0.Add(999 * time.Millisecond)},
		"a second later":             {t: put0.Add(time.Second), done: true},
		"its answer is lost":         {s3test.Fault{Match: isDelete, Cut: true}, put0.Add(time.Hour), true, ""},
		"changed meanwhile":          {s3test.Fault{Match: isDelete, Status: 412}, put0.Add(time.Hour), false, ""},
		"changing":                   {s3test.Fault{Match: isDelete, Status: 409, Code: "ConditionalRequestConflict"}, put0.Add(time.Hour), false, ""},
		"somebody else was faster":   {s3test.Fault{Match: isDelete, Status: 404, Code: "NoSuchKey"}, put0.Add(time.Hour), false, ""},
		"forbidden":                  {s3test.Fault{Match: isDelete, Status: 403, Code: "AccessDenied"}, put0.Add(time.Hour), false, job.KindConfig},
		"out of order, all the time": {s3test.Fault{Match: isDelete, Status: 503, Times: -1}, put0.Add(time.Hour), false, job.KindUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			server := s3test.New(t, s3test.Options{})
			s := open(t, server, nil)
			d := put(t, s, []byte("old"))
			server.SetTime(s.key(d), put0)
			if tc.fault.Match != nil {
				server.Fail(tc.fault)
			}
			done, err := s.DeleteBefore(t.Context(), d, tc.t)
			if done != tc.done || (err != nil) != (tc.kind != "") || err != nil && job.KindOf(err) != tc.kind {
				t.Errorf("%v, %v", done, err)
			}
		})
	}
}

// A removal that worked, whose answer was lost, counts.
func TestDeleteBeforeLost(t *testing.T) {
	server := s3test.New(t, s3test.Options{})
	s := open(t, server, nil)
	d := put(t, s, []byte("old"))
	server.Fail(s3test.Fault{Match: s3test.Method(http.MethodDelete), Before: func() {
		if err := s.Delete(context.Background(), d); err != nil {
			t.Error(err)
		}
	}, Status: 503})
	if done, err := s.DeleteBefore(t.Context(), d, time.Now().Add(time.Hour)); !done || err != nil {
		t.Errorf("%v, %v", done, err)
	}
}

// A copy is answered before it is done, and may fail after that.
func TestTouchBreaks(t *testing.T) {
	const refused = "<Error><Code>InternalError</Code><Message>try again</Message></Error>"
	for name, tc := range map[string]struct {
		fault s3test.Fault
		kind  job.Kind // of the error; empty is none
	}{
		"a failure in a success":        {s3test.Fault{Status: 200, Body: refused}, ""},
		"failures in successes":         {s3test.Fault{Status: 200, Body: refused, Times: -1}, job.KindUnavailable},
		"its answer is cut":             {s3test.Fault{After: 60, Cut: true}, ""},
		"out of order":                  {s3test.Fault{Status: 503}, ""},
		"forbidden":                     {s3test.Fault{Status: 403, Code: "AccessDenied"}, job.KindConfig},
		"a page of somebody else":       {s3test.Fault{Status: 200, Body: "<html>hello"}, job.KindConfig},
		"a document of somebody else":   {s3test.Fault{Status: 200, Body: "<a></a>"}, job.KindConfig},
		"a success of nothing":          {s3test.Fault{Status: 200}, job.KindConfig},
		"removed by somebody meanwhile": {s3test.Fault{Status: 404, Code: "NoSuchKey"}, job.KindNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			server := s3test.New(t, s3test.Options{})
			s := open(t, server, nil)
			d := put(t, s, []byte("old"))
			server.SetTime(s.key(d), time.Now().Add(-24*time.Hour))
			server.Fail(tc.fault)
			err := s.Touch(t.Context(), d)
			if (err != nil) != (tc.kind != "") || err != nil && job.KindOf(err) != tc.kind {
				t.Fatalf("the error is %v", err)
			}
			if info, statErr := s.Stat(t.Context(), d); err == nil && (statErr != nil || time.Since(info.ModTime) > time.Hour) {
				t.Errorf("its time is %v, %v", info.ModTime, statErr)
			}
		})
	}
}

// A blob that is being renewed is not removed, and the other way round.
func TestTouchRace(t *testing.T) {
	server := s3test.New(t, s3test.Options{})
	s := open(t, server, nil)
	d := put(t, s, []byte("old"))
	server.SetTime(s.key(d), time.Now().Add(-24*time.Hour))
	touched := make(chan error, 1)
	server.Fail(s3test.Fault{Match: s3test.Method(http.MethodDelete), Before: func() {
		go func() { touched <- s.Touch(context.Background(), d) }()
	}})
	if _, err := s.DeleteBefore(t.Context(), d, time.Now()); err != nil {
		t.Fatal(err)
	}
	// It waited for the removal, and knows of it.
	if err := <-touched; !errors.Is(err, artifact.ErrNotFound) {
		t.Errorf("the error is %v", err)
	}
}

// Services that say of what is not there that it is not.
func TestDeleteMissing(t *testing.T) {
	server := s3test.New(t, s3test.Options{})
	s := open(t, server, nil)
	server.Fail(s3test.Fault{Status: 404, Code: "NoSuchKey"})
	if err := s.Delete(t.Context(), artifact.Digest(strings.Repeat("0", 64))); err != nil {
		t.Error(err)
	}
}

func TestListBreaks(t *testing.T) {
	server := s3test.New(t, s3test.Options{})
	s := open(t, server, nil)
	for i := range byte(20) {
		put(t, s, []byte{i})
	}
	server.Fail(s3test.Fault{After: 1000, Cut: true, Times: 3})
	if list, err := s.List(t.Context(), "", 100); err != nil || len(list) != 20 {
		t.Errorf("%d blobs, %v", len(list), err)
	}
	server.Fail(s3test.Fault{After: 1000, Cut: true, Times: -1})
	if _, err := s.List(t.Context(), "", 100); job.KindOf(err) != job.KindUnavailable {
		t.Errorf("the error is %v", err)
	}
}

// Directory buckets list in no order, which a collection would not survive.
func TestListOutOfOrder(t *testing.T) {
	server := s3test.New(t, s3test.Options{})
	s := open(t, server, nil)
	entry := func(c string) string {
		return "<Contents><Key>tako/blobs/" + strings.Repeat(c, 64) + "</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified></Contents>"
	}
	server.Fail(s3test.Fault{Status: 200, Body: "<ListBucketResult>" + entry("b") + entry("a") + "</ListBucketResult>"})
	if _, err := s.List(t.Context(), "", 100); job.KindOf(err) != job.KindConfig || !strings.Contains(err.Error(), "order") {
		t.Errorf("the error is %v", err)
	}
}

// What is listed are blobs in order, whatever the service writes.
func FuzzDecodePage(f *testing.F) {
	f.Add([]byte(`<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><EncodingType>url</EncodingType><Contents><Key>p%2F` +
		strings.Repeat("a", 64) + `</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified><Size>1</Size></Contents></ListBucketResult>`))
	f.Add([]byte("<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>%</Key><Size>-1</Size></Contents></ListBucketResult>"))
	f.Add([]byte("<ListBucketResult>" + strings.Repeat("<Contents>", 1000)))
	s := &Store{bucket: "b", prefix: "p/"}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := decodePage(bytes.NewReader(data))
		if err != nil {
			return
		}
		list, err := s.add(nil, p, "")
		if err != nil {
			return
		}
		s.behind(p)
		if !slices.IsSortedFunc(list, func(a, b artifact.Info) int { return strings.Compare(string(a.Digest), string(b.Digest)) }) {
			t.Error("out of order")
		}
		for _, info := range list {
			if info.Digest.Check() != nil || info.Size < 0 {
				t.Errorf("%+v", info)
			}
		}
	})
}
