package s3

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/takovm/tako/internal/artifact"
	"github.com/takovm/tako/internal/artifact/artifacttest"
	"github.com/takovm/tako/internal/artifact/disk"
	"github.com/takovm/tako/internal/artifact/s3/s3test"
	"github.com/takovm/tako/internal/job"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// options are those that lead to a server; change may be nil.
func options(t *testing.T, server *s3test.Server, change func(*Options)) Options {
	t.Helper()
	o, err := Parse(server.URL("tako/blobs"))
	if err != nil {
		t.Fatal(err)
	}
	transport := server.Transport()
	t.Cleanup(transport.CloseIdleConnections)
	o.AccessKey, o.SecretKey = server.AccessKey(), server.SecretKey()
	o.Spool = disk.Options{Dir: t.TempDir(), Reserve: disk.Reserve{Bytes: -1}}
	o.Backoff = time.Nanosecond
	o.Transport = transport
	if change != nil {
		change(&o)
	}
	return o
}

func open(t *testing.T, server *s3test.Server, change func(*Options)) *Store {
	t.Helper()
	s, err := Open(options(t, server, change))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func put(t *testing.T, s *Store, data []byte) artifact.Digest {
	t.Helper()
	d, _, err := s.Put(t.Context(), bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestContract(t *testing.T) {
	for name, o := range map[string]s3test.Options{
		"path":           {},
		"host, TLS":      {Host: "s3.test", TLS: true, Region: "eu-central-1"},
		"host, no TLS":   {Host: "s3.test:9000"},
		"session token":  {SessionToken: "token/+="},
		"other ETags":    {RandomETags: true},
		"no If-Match":    {RefuseIfMatch: true},
		"no copies":      {RefuseCopy: true},
		"pages of three": {MaxKeys: 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			servers := map[artifact.Store]*s3test.Server{}
			artifacttest.Run(t, artifacttest.Driver{
				New: func(t *testing.T) artifact.Store {
					server := s3test.New(t, o)
					s, err := Open(options(t, server, func(opts *Options) { opts.SessionToken = o.SessionToken }))
					if err != nil {
						t.Fatal(err)
					}
					servers[s] = server
					return s
				},
				Damage: func(t *testing.T, s artifact.Store, d artifact.Digest, data []byte) {
					servers[s].Put(s.(*Store).key(d), data)
				},
				Clutter: func(t *testing.T, s artifact.Store) { clutter(servers[s]) },
			})
		})
	}
}

func clutter(server *s3test.Server) {
	name := strings.Repeat("a", 64)
	for _, key := range []string{
		"", "README", "~", name[1:], name + "a", "A" + name[1:], "aa/" + name, name + "/" + name, "x \x01%2B+&<é", "zzz",
	} {
		server.Put("tako/blobs/"+key, []byte("clutter"))
	}
	for _, key := range []string{name, "tako/" + name, "tako/blobs" + name, "tako/blobsy/" + name} {
		server.Put(key, []byte("clutter"))
	}
}

// Without a prefix the blobs lie among everything else, and the list ends behind
// them.
func TestNoPrefix(t *testing.T) {
	server := s3test.New(t, s3test.Options{MaxKeys: 2})
	s := open(t, server, func(o *Options) { o.Prefix = "" })
	d := put(t, s, []byte("x"))
	for i := range 50 {
		server.Put(fmt.Sprintf("other/%d", i), nil)
	}
	server.Requests()
	list, err := s.List(t.Context(), "", 10)
	if err != nil || len(list) != 1 || list[0].Digest != d {
		t.Errorf("%v, %v", list, err)
	}
	if asked := server.Requests(); len(asked) > 2 {
		t.Errorf("%d pages", len(asked))
	}
}

// The transport that a Store has of its own.
func TestOwnTransport(t *testing.T) {
	s := open(t, s3test.New(t, s3test.Options{}), func(o *Options) { o.Transport = nil })
	d := put(t, s, bytes.Repeat([]byte("x"), 2*expectFrom))
	if err := artifact.Verify(t.Context(), s, d); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestUntrusted(t *testing.T) {
	s := open(t, s3test.New(t, s3test.Options{TLS: true}), func(o *Options) { o.Transport = nil })
	err := s.Check(t.Context())
	if job.KindOf(err) != job.KindConfig || !strings.Contains(err.Error(), "SSL_CERT_FILE") {
		t.Errorf("the error is %v", err)
	}
}

func TestSpoolOfItsOwn(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	s := open(t, s3test.New(t, s3test.Options{}), func(o *Options) { o.Spool.Dir = "" })
	put(t, s, []byte("x"))
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) != 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}

// A disk without room keeps blobs out of the bucket, too.
func TestSpoolFull(t *testing.T) {
	server := s3test.New(t, s3test.Options{})
	s := open(t, server, func(o *Options) {
		o.Spool.Reserve = disk.Reserve{}
		o.Spool.Space = func() (int64, int64, error) { return 1 << 20, 1 << 40, nil }
	})
	_, _, err := s.Put(t.Context(), strings.NewReader("x"), 1)
	if job.KindOf(err) != job.KindUnavailable || len(server.Requests()) != 0 {
		t.Errorf("the error is %v", err)
	}
}

func TestClosed(t *testing.T) {
	s := open(t, s3test.New(t, s3test.Options{}), nil)
	d := put(t, s, []byte("open"))
	b, err := s.Open(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	s.Close()
	if text, err := io.ReadAll(b); string(text) != "open" || err != nil {
		t.Errorf("an open blob: %q, %v", text, err)
	}
	if _, _, err := s.Put(t.Context(), strings.NewReader("x"), 1); !errors.Is(err, os.ErrClosed) {
		t.Errorf("put: %v", err)
	}
}

// Nothing that is printed has the credentials in it.
func TestSecrets(t *testing.T) {
	const access, secret, token = "ACCESSACCESS", "SECRETSECRET", "TOKENTOKEN"
	server := s3test.New(t, s3test.Options{AccessKey: access, SecretKey: "another"})
	s := open(t, server, func(o *Options) { o.SecretKey, o.SessionToken = secret, token })
	o := options(t, server, func(o *Options) { o.AccessKey, o.SecretKey, o.SessionToken = access, secret, token })
	o.Transport = nil
	o.Spool = disk.Options{}
	server.Fail(s3test.Fault{
		Match: s3test.Method(http.MethodPut), Times: -1, Status: 403,
		Body: "<Error><Code>" + secret + "</Code><Message>" + access + " " + token + "</Message><Region>" + secret + "</Region></Error>",
	})
	var logged bytes.Buffer
	slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "options", o, "store", s)
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "options", o, "store", s)
	encoded, err := json.Marshal(struct{ A, B, C string }{o.String(), s.String(), s.GoString()})
	if err != nil {
		t.Error(err)
	}
	texts := []string{logged.String(), string(encoded)}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		texts = append(texts, fmt.Sprintf(format, o), fmt.Sprintf(format, &o), fmt.Sprintf(format, s))
	}
	_, _, err = s.Put(t.Context(), strings.NewReader("x"), 1)
	texts = append(texts, fmt.Sprint(err))
	_, err = s.List(t.Context(), "", 1)
	texts = append(texts, fmt.Sprint(err))
	for _, change := range []func(*Options){
		func(o *Options) { o.Region = "" }, func(o *Options) { o.AccessKey += "\n" },
		func(o *Options) { o.SecretKey += "\n" }, func(o *Options) { o.SessionToken += "\n" },
	} {
		bad := o
		bad.Endpoint = ""
		change(&bad)
		_, err := Open(bad)
		if job.KindOf(err) != job.KindConfig {
			t.Errorf("the error is %v", err)
		}
		texts = append(texts, fmt.Sprint(err))
	}
	for _, text := range texts {
		for _, hidden := range []string{access, secret, token} {
			if strings.Contains(text, hidden) {
				t.Errorf("%s is in %s", hidden, text)
			}
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	server := s3test.New(t, s3test.Options{})
	for name, change := range map[string]func(*Options){
		"no key":       func(o *Options) { o.AccessKey = "" },
		"no secret":    func(o *Options) { o.SecretKey = "" },
		"no bucket":    func(o *Options) { o.Bucket = "" },
		"no transport": func(o *Options) { o.Endpoint = "http://minio.internal" },
	} {
		if s, err := Open(options(t, server, change)); err == nil {
			s.Close()
			t.Errorf("%s: it was opened", name)
		} else if job.KindOf(err) != job.KindConfig {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s, err := Open(options(t, server, func(o *Options) { o.Spool.Dir = "/dev/null/x" })); err == nil {
		s.Close()
		t.Error("it was opened without a spool")
	}
}
