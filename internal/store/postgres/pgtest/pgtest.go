package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

const (
	// server is where Setup leaves the server's URL for NewDatabase. Set
	// beforehand, tests use that server, whose user may make databases.
	server = "TAKO_TEST_POSTGRES"
	// require has tests fail that would be skipped for want of a server.
	require = "TAKO_REQUIRE_POSTGRES"
)

// Setup starts the server that NewDatabase uses, for a TestMain; stop ends it.
// Where PostgreSQL is not installed, NewDatabase skips its test. Any other
// failure ends the process.
func Setup() (stop func()) {
	if os.Getenv(server) != "" {
		return func() {}
	}
	s, err := Start()
	if errors.Is(err, ErrMissing) {
		return func() {}
	}
	if err == nil {
		err = os.Setenv(server, s.URL("postgres"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "starting PostgreSQL for tests:", err)
		os.Exit(1)
	}
	return func() {
		if err := s.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// NewDatabase makes an empty database for a test and returns its URL.
func NewDatabase(t testing.TB) string {
	t.Helper()
	admin := os.Getenv(server)
	if admin == "" {
		missing(t)
	}
	database, err := create(t.Context(), admin)
	if err != nil {
		t.Fatalf("making a database: %v", err)
	}
	t.Cleanup(func() {
		if err := drop(context.Background(), admin, database); err != nil {
			t.Errorf("removing a database: %v", err)
		}
	})
	return database
}

// New starts a server for one test, which may stop and start it.
func New(t testing.TB) *Server {
	t.Helper()
	s, err := Start()
	if errors.Is(err, ErrMissing) {
		missing(t)
	}
	if err != nil {
		t.Fatalf("starting PostgreSQL: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// missing ends a test that has no server.
func missing(t testing.TB) {
	t.Helper()
	if os.Getenv(require) == "1" {
		t.Fatalf("%v (%s=1)", ErrMissing, require)
	}
	t.Skip(ErrMissing)
}

// create makes a database with a name of its own.
func create(ctx context.Context, admin string) (string, error) {
	name := "test_" + strings.ToLower(rand.Text())
	if err := execute(ctx, admin, "CREATE DATABASE "+name); err != nil {
		return "", err
	}
	u, err := url.Parse(admin)
	if err != nil {
		return "", err
	}
	u.Path = "/" + name
	return u.String(), nil
}

func drop(ctx context.Context, admin, database string) error {
	u, err := url.Parse(database)
	if err != nil {
		return err
	}
	return execute(ctx, admin, "DROP DATABASE "+strings.TrimPrefix(u.Path, "/")+" WITH (FORCE)")
}

func execute(ctx context.Context, url, statement string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statement)
	return errors.Join(err, conn.Close(ctx))
}
