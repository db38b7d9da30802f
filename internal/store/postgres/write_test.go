package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
	"github.com/takovm/tako/internal/store/internal/entry"
	"github.com/takovm/tako/internal/store/internal/sqlstore"
	"github.com/takovm/tako/internal/store/postgres/pgtest"
)

// openBoth opens a store and what is below it.
func openBoth(t *testing.T, url string, o Options) (*sqlstore.Store, *database) {
	t.Helper()
	config, err := parse(url)
	if err != nil {
		t.Fatal(err)
	}
	s, d, err := open(t.Context(), config, Options{Logger: quiet(), Fault: o.Fault, Patience: o.Patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, d
}

func key(id string) job.Key { return job.Key{ID: id, Name: id, Hash: []byte(id)} }

// name changes a key's name in a transaction.
func name(ctx context.Context, tx sqlstore.Tx, id, name string) error {
	_, err := tx.Exec(ctx, "UPDATE api_keys SET name = $1 WHERE id = $2", name, id)
	return err
}

// Two that wait for each other both get through.
func TestDeadlock(t *testing.T) {
	s, d := openBoth(t, pgtest.NewDatabase(t), Options{})
	for _, id := range []string{"a", "b"} {
		if err := s.CreateKey(t.Context(), key(id)); err != nil {
			t.Fatal(err)
		}
	}
	locked := map[string]chan struct{}{"a": make(chan struct{}), "b": make(chan struct{})}
	runs := make(chan string, 20)
	lock := func(first, second string) error {
		tries := 0
		return d.Write(t.Context(), func(ctx context.Context, tx sqlstore.Tx) error {
			runs <- first
			if err := name(ctx, tx, first, "by "+first); err != nil {
				return err
			}
			if tries++; tries == 1 {
				close(locked[first])
				<-locked[second]
			}
			return name(ctx, tx, second, "by "+first)
		})
	}
	other := make(chan error, 1)
	go func() { other <- lock("b", "a") }()
	if err := errors.Join(lock("a", "b"), <-other); err != nil {
		t.Error(err)
	}
	if len(runs) != 3 {
		t.Errorf("%d runs", len(runs))
	}
}

// A clock that was set back keeps no job waiting that may run.
func TestClockSetBack(t *testing.T) {
	s, d := openBoth(t, pgtest.NewDatabase(t), Options{})
	r := job.Record{ID: "r", Request: job.Request{Priority: 2}}
	if _, err := s.Submit(t.Context(), []job.Record{r}, 0); err != nil {
		t.Fatal(err)
	}
	err := d.Write(t.Context(), func(ctx context.Context, tx sqlstore.Tx) error {
		n, err := tx.Exec(ctx, "UPDATE river_job SET scheduled_at = scheduled_at + interval '1 hour' WHERE state = 'available'")
		if err != nil || n != 1 {
			return fmt.Errorf("%d entries, %w", n, err)
		}
		taken, err := tx.TakeEntries(ctx, entry.QueueOf(""), 1)
		if len(taken) != 1 {
			t.Errorf("%d entries were taken", len(taken))
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// A lock that is not to be had in time is an error that passes.
func TestLockTimeout(t *testing.T) {
	s, d := openBoth(t, pgtest.NewDatabase(t), Options{})
	if err := s.CreateKey(t.Context(), key("a")); err != nil {
		t.Fatal(err)
	}
	err := d.Write(t.Context(), func(ctx context.Context, tx sqlstore.Tx) error {
		if err := name(ctx, tx, "a", "mine"); err != nil {
			return err
		}
		err := d.Write(ctx, func(ctx context.Context, tx sqlstore.Tx) error {
			if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = '50ms'"); err != nil {
				return err
			}
			return name(ctx, tx, "a", "theirs")
		})
		if job.KindOf(err) != job.KindUnavailable || !strings.Contains(err.Error(), "lock timeout") {
			t.Errorf("a row that is locked: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// Sessions are durable, whatever the database's default.
func TestDurable(t *testing.T) {
	for setting, want := range map[string]string{"off": "on", "local": "on", "remote_apply": "remote_apply"} {
		url := pgtest.NewDatabase(t)
		_, d := openBoth(t, url, Options{})
		if err := d.Write(t.Context(), func(ctx context.Context, tx sqlstore.Tx) error {
			_, err := tx.Exec(ctx, `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = `+setting+`', current_database()); END $$`)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		_, d = openBoth(t, url, Options{})
		var got string
		if err := d.value(t.Context(), "SHOW synchronous_commit", &got); err != nil || got != want {
			t.Errorf("%s becomes %q, %v", setting, got, err)
		}
		var isolation string
		if err := d.value(t.Context(), "SHOW idle_in_transaction_session_timeout", &isolation); err != nil || isolation != "1min" {
			t.Errorf("idle transactions end after %q, %v", isolation, err)
		}
	}
}

// The server gives up what nobody waits for any more; who has set another time
// keeps it.
func TestStatementTimeout(t *testing.T) {
	url := pgtest.NewDatabase(t)
	for query, want := range map[string]string{"": "20s", "?statement_timeout=5000": "5s"} {
		_, d := openBoth(t, url+query, Options{})
		var got string
		if err := d.value(t.Context(), "SHOW statement_timeout", &got); err != nil || got != want {
			t.Errorf("with %q statements end after %q, %v", query, got, err)
		}
	}
}

// The caller may end a statement, but not a commit.
func TestCancelledWrite(t *testing.T) {
	s, d := openBoth(t, pgtest.NewDatabase(t), Options{})
	ctx, cancel := context.WithCancel(t.Context())
	err := d.Write(ctx, func(ctx context.Context, tx sqlstore.Tx) error {
		if _, err := tx.Exec(ctx, "INSERT INTO uploads VALUES ('early', '', 0, '', 0)"); err != nil {
			return err
		}
		time.AfterFunc(50*time.Millisecond, cancel)
		_, err := tx.Exec(ctx, "SELECT pg_sleep(60)")
		return err
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a statement that was given up: %v", err)
	}
	if _, err := s.Upload(t.Context(), "early"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("something of it is stored: %v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	err = d.Write(ctx, func(ctx context.Context, tx sqlstore.Tx) error {
		_, err := tx.Exec(ctx, "INSERT INTO uploads VALUES ('late', '', 0, '', 0)")
		cancel()
		return err
	})
	if err != nil {
		t.Errorf("given up before the commit: %v", err)
	}
	if _, err := s.Upload(t.Context(), "late"); err != nil {
		t.Errorf("what was committed: %v", err)
	}
	if _, err := s.Upload(ctx, "late"); !errors.Is(err, context.Canceled) {
		t.Errorf("a read of one who is gone: %v", err)
	}
}

// The errors and panics of fn undo the transaction, and leave the connection
// fit for use.
func TestUndone(t *testing.T) {
	s, d := openBoth(t, pgtest.NewDatabase(t), Options{})
	mine := errors.New("mine")
	insert := func(ctx context.Context, tx sqlstore.Tx) {
		if _, err := tx.Exec(ctx, "INSERT INTO uploads VALUES ('x', '', 0, '', 0)"); err != nil {
			t.Error(err)
		}
	}
	for range 2 * connections {
		if err := d.Write(t.Context(), func(ctx context.Context, tx sqlstore.Tx) error { insert(ctx, tx); return mine }); err != mine {
			t.Errorf("fn's error came back as %v", err)
		}
		func() {
			defer func() { _ = recover() }()
			_ = d.Write(t.Context(), func(ctx context.Context, tx sqlstore.Tx) error { insert(ctx, tx); panic("mine") })
		}()
	}
	err := d.Write(t.Context(), func(ctx context.Context, tx sqlstore.Tx) error {
		_, err := tx.Exec(ctx, "INSERT INTO nowhere VALUES (1)")
		if job.KindOf(err) != job.KindInternal {
			t.Errorf("a defect: %v", err)
		}
		return nil
	})
	if err == nil {
		t.Error("a transaction that PostgreSQL undid was committed")
	}
	if _, err := s.Upload(t.Context(), "x"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("something of them is stored: %v", err)
	}
	if n := d.pool.Stat().AcquiredConns(); n != 0 {
		t.Errorf("%d connections are in use", n)
	}
}

// A newer tako changes a table while this one has statements prepared for it.
func TestTableChanges(t *testing.T) {
	s, d := openBoth(t, pgtest.NewDatabase(t), Options{})
	if err := s.CreateKey(t.Context(), key("a")); err != nil {
		t.Fatal(err)
	}
	for _, typ := range []string{"varchar(90)", "varchar(91)", "text"} {
		look := func(ctx context.Context, q sqlstore.Querier) (got string, err error) {
			err = q.Each(ctx, "SELECT name FROM api_keys WHERE id = $1", []any{"a"}, func(scan sqlstore.Scan) error { return scan(&got) })
			return got, err
		}
		both := func() {
			if _, err := s.Key(t.Context(), "a"); err != nil {
				t.Errorf("read: %v", err)
			}
			if err := d.Write(t.Context(), func(ctx context.Context, tx sqlstore.Tx) error { _, err := look(ctx, tx); return err }); err != nil {
				t.Errorf("write: %v", err)
			}
		}
		both()
		both()
		if err := d.Write(t.Context(), func(ctx context.Context, tx sqlstore.Tx) error {
			_, err := tx.Exec(ctx, "ALTER TABLE api_keys ALTER name TYPE "+typ)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		both()
	}
}

// PostgreSQL has no NUL and no broken UTF-8 in its text.
func TestOddText(t *testing.T) {
	s, _ := openBoth(t, pgtest.NewDatabase(t), Options{})
	odd := "a\x00b\xffc"
	if err := s.AddDeadLetter(t.Context(), store.DeadLetter{JobID: odd, ErrorType: "t", ErrorMessage: odd, JobData: []byte(odd)}); err != nil {
		t.Fatal(err)
	}
	list, _, err := s.DeadLetters(t.Context(), "t", 2, 0)
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	if list[0].ErrorMessage != "a\uFFFDb\uFFFDc" || string(list[0].JobData) != odd {
		t.Errorf("kept as %+v", list[0])
	}
	if _, err := s.Get(t.Context(), odd); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an odd id: %v", err)
	}
	if err := s.CreateKey(t.Context(), key(odd)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Key(t.Context(), odd); err != nil {
		t.Errorf("what was stored under an odd id is not found: %v", err)
	}
}

// Statements that the server has forgotten are prepared again, those that were
// put off, too.
func TestForgottenStatements(t *testing.T) {
	s, d := openBoth(t, pgtest.NewDatabase(t)+"?pool_max_conns=1", Options{})
	if err := s.CreateKey(t.Context(), key("a")); err != nil {
		t.Fatal(err)
	}
	later := func() error {
		return d.Write(t.Context(), func(ctx context.Context, tx sqlstore.Tx) error {
			return tx.Do(ctx, "UPDATE api_keys SET name = $1 WHERE id = $2", "later", "a")
		})
	}
	if err := later(); err != nil {
		t.Fatal(err)
	}
	if err := d.Write(t.Context(), func(ctx context.Context, tx sqlstore.Tx) error {
		_, err := tx.Exec(ctx, "DEALLOCATE ALL")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	_ = later() // which finds out
	if err := later(); err != nil {
		t.Errorf("it does not heal: %v", err)
	}
	if k, err := s.Key(t.Context(), "a"); err != nil || k.Name != "later" {
		t.Errorf("got %+v, %v", k, err)
	}
}
