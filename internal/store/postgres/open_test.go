package postgres_test

import (
	"context"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
	"github.com/takovm/tako/internal/store/postgres"
	"github.com/takovm/tako/internal/store/postgres/pgtest"
)

const secret = "hunter2-0-hunter2"

// openAt opens a store that the test closes.
func openAt(t testing.TB, url string, o postgres.Options) store.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// query asks the database for one value, past the store.
func query[T any](t testing.TB, url, question string, args ...any) (answer T) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := conn.Close(ctx); err != nil {
			t.Error(err)
		}
	}()
	if err := conn.QueryRow(ctx, question, args...).Scan(&answer); err != nil {
		t.Fatalf("%s: %v", question, err)
	}
	return answer
}

// change runs a statement past the store.
func change(t testing.TB, url, statement string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	_, err = conn.Exec(t.Context(), statement)
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// with changes a URL.
func with(t testing.TB, raw string, set func(u *url.URL)) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	set(u)
	return u.String()
}

func TestOpenManyAtOnce(t *testing.T) {
	url := pgtest.NewDatabase(t)
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			s, err := postgres.Open(t.Context(), url, postgres.Options{})
			if err != nil {
				t.Error(err)
				return
			}
			if err := s.Ping(t.Context()); err != nil {
				t.Error(err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := query[int](t, url, "SELECT count(*) - count(DISTINCT version_id) FROM tako_migrations"); n != 0 {
		t.Errorf("%d migrations ran again", n)
	}
	if n := query[int](t, url, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"); n != 0 {
		t.Errorf("%d locks were left behind", n)
	}
	if n := query[int](t, url, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"); n != 0 {
		t.Errorf("%d connections were left behind", n)
	}
}

// Whoever comes from Tako VM keeps the database's URL: its tables stay beside ours.
func TestOpenBesideTakoVM(t *testing.T) {
	url := pgtest.NewDatabase(t)
	tables := []string{"schema_migrations", "execution_records", "job_versions", "dead_letter_queue", "sessions", "session_events"}
	for _, table := range tables {
		change(t, url, "CREATE TABLE "+table+" (digest TEXT PRIMARY KEY)")
		change(t, url, "INSERT INTO "+table+" VALUES ('its own')")
	}
	s := openAt(t, url, postgres.Options{})
	if _, err := s.AddVersion(t.Context(), store.Version{Name: "report", Digest: strings.Repeat("a", 64), BuiltAt: time.Now()}); err != nil {
		t.Error(err)
	}
	for _, table := range tables {
		if got := query[string](t, url, "SELECT digest FROM "+table); got != "its own" {
			t.Errorf("%s has %q", table, got)
		}
	}
}

// One that waits for the lock gives up when it is told to.
func TestOpenWaitsForMigration(t *testing.T) {
	url := pgtest.NewDatabase(t)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	var locked bool
	if err := conn.QueryRow(t.Context(), "SELECT pg_try_advisory_lock(1952541551)").Scan(&locked); err != nil || !locked {
		t.Fatal(locked, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := postgres.Open(ctx, url, postgres.Options{}); job.KindOf(err) != job.KindUnavailable {
		t.Errorf("while another one migrates: %v", err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	openAt(t, url, postgres.Options{})
}

func TestSchemes(t *testing.T) {
	database := pgtest.NewDatabase(t)
	for _, scheme := range []string{"postgres", "postgresql", "postgresql+psycopg"} {
		openAt(t, with(t, database, func(u *url.URL) { u.Scheme = scheme }), postgres.Options{})
	}
}

func TestOpenFails(t *testing.T) {
	database := pgtest.NewDatabase(t)
	latin := "latin_" + strings.TrimPrefix(query[string](t, database, "SELECT current_database()"), "test_")
	change(t, database, "CREATE DATABASE "+latin+" ENCODING 'LATIN1' TEMPLATE template0")
	change(t, database, "CREATE ROLE nobody"+latin+" LOGIN PASSWORD '"+secret+"'; REVOKE CREATE ON SCHEMA public FROM PUBLIC")
	set := func(f func(u *url.URL)) string { return with(t, database, f) }
	me := func(u *url.URL) string { return u.User.Username() }
	tests := map[string]struct {
		url  string
		kind job.Kind
		want []string
	}{
		"no URL":           {"postgres://u:" + secret + "@h:x/%zz", job.KindConfig, []string{"not a URL"}},
		"another scheme":   {"mysql://u:" + secret + "@h/d", job.KindConfig, []string{"postgresql://"}},
		"odd parameter":    {"postgres://u:" + secret + "@h/d?sslmode=" + secret, job.KindConfig, []string{"sslmode"}},
		"odd pool":         {"postgres://u:" + secret + "@h/d?pool_max_conns=" + secret, job.KindConfig, []string{"pool_max_conns"}},
		"unknown setting":  {set(func(u *url.URL) { u.RawQuery = "nonsense=1" }), job.KindConfig, []string{"nonsense", "127.0.0.1"}},
		"wrong password":   {set(func(u *url.URL) { u.User = url.UserPassword(me(u), secret) }), job.KindConfig, []string{"password authentication failed", "127.0.0.1"}},
		"wrong user":       {set(func(u *url.URL) { u.User = url.UserPassword("stranger", secret) }), job.KindConfig, []string{"stranger"}},
		"no such database": {set(func(u *url.URL) { u.Path = "/nowhere" }), job.KindConfig, []string{"nowhere", "does not exist"}},
		"nobody listens":   {"postgres://u:" + secret + "@127.0.0.1:1/tako", job.KindUnavailable, []string{"127.0.0.1:1", "tako", "refused"}},
		"no such host":     {"postgres://u:" + secret + "@nowhere.invalid/tako", job.KindUnavailable, []string{"nowhere.invalid:5432", "tako"}},
		"no such socket":   {"postgres://u:" + secret + "@/tako?host=/nonexistent", job.KindUnavailable, []string{"/nonexistent", "tako"}},
		"not PostgreSQL":   {"postgres://u:" + secret + "@" + speak(t, http) + "/tako?sslmode=disable", job.KindUnavailable, []string{"tako"}},
		"it hangs up":      {"postgres://u:" + secret + "@" + speak(t, silence) + "/tako?sslmode=disable", job.KindUnavailable, []string{"tako"}},
		"too old":          {"postgres://u:" + secret + "@" + speak(t, version("13.22 (Debian)")) + "/tako?sslmode=disable", job.KindConfig, []string{"13.22", "14 or newer"}},
		"no version":       {"postgres://u:" + secret + "@" + speak(t, version("")) + "/tako?sslmode=disable", job.KindConfig, []string{"14 or newer"}},
		"another encoding": {set(func(u *url.URL) { u.Path = "/" + latin }), job.KindConfig, []string{"LATIN1", "UTF8"}},
		"no right to":      {set(func(u *url.URL) { u.User = url.UserPassword("nobody"+latin, secret) }), job.KindConfig, []string{"permission denied", "grant"}},
		"read only":        {set(func(u *url.URL) { u.RawQuery = "default_transaction_read_only=on" }), job.KindUnavailable, []string{"read only"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s, err := postgres.Open(t.Context(), tt.url, postgres.Options{})
			if err == nil {
				_ = s.Close()
				t.Fatal("it opened")
			}
			if kind := job.KindOf(err); kind != tt.kind {
				t.Errorf("the kind is %s: %v", kind, err)
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q is not named: %v", part, err)
				}
			}
			checkSecrets(t, tt.url, err)
		})
	}
	change(t, database, "DROP DATABASE "+latin)
	change(t, database, "DROP ROLE nobody"+latin)
}

// checkSecrets looks for the password in an error and all it wraps.
func checkSecrets(t *testing.T, raw string, err error) {
	t.Helper()
	secrets := []string{secret}
	if u, failed := url.Parse(raw); failed == nil {
		if password, ok := u.User.Password(); ok {
			secrets = append(secrets, password)
		}
	}
	for err != nil {
		for _, s := range secrets {
			if strings.Contains(err.Error(), s) {
				t.Errorf("the password is in %v", err)
			}
		}
		if strings.ContainsAny(err.Error(), "\n\t") && job.KindOf(err) != job.KindInternal {
			if _, ok := err.(*job.Error); ok {
				t.Errorf("more than one line: %q", err)
			}
		}
		unwrap, ok := err.(interface{ Unwrap() error })
		if !ok {
			return
		}
		err = unwrap.Unwrap()
	}
}

// speak is a server that is not PostgreSQL; it answers the address.
func speak(t *testing.T, answer func(net.Conn) error) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if err := answer(c); err != nil {
				t.Logf("the other server: %v", err)
			}
			_ = c.Close()
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	return l.Addr().String()
}

func silence(net.Conn) error { return nil }

func http(c net.Conn) error {
	_, err := io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
	return err
}

// version is a server that greets as PostgreSQL does.
func version(v string) func(net.Conn) error {
	return func(c net.Conn) error {
		b := pgproto3.NewBackend(c, c)
		if _, err := b.ReceiveStartupMessage(); err != nil {
			return err
		}
		b.Send(&pgproto3.AuthenticationOk{})
		b.Send(&pgproto3.ParameterStatus{Name: "server_version", Value: v})
		b.Send(&pgproto3.ParameterStatus{Name: "server_encoding", Value: "UTF8"})
		b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
		if err := b.Flush(); err != nil {
			return err
		}
		_, err := io.Copy(io.Discard, c)
		return err
	}
}
