package sqlite

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"
)

func openPlain(t *testing.T) *sql.DB {
	t.Helper()
	db, err := connect(filepath.Join(t.TempDir(), "x.db"), 1, "mode=rwc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := db.ExecContext(t.Context(), "CREATE TABLE n (i INTEGER PRIMARY KEY, s TEXT); INSERT INTO n VALUES (1, 'a'), (2, 'b'), (3, 'c')"); err != nil {
		t.Fatal(err)
	}
	return db
}

// A statement that is asked within its own answer is another one.
func TestPreparedWithin(t *testing.T) {
	db := openPlain(t)
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // nothing was written
	const query = "SELECT i FROM n WHERE i > ?1 ORDER BY i"
	var pairs []string
	for range 2 { // the second time both are prepared
		outer, err := tx.QueryContext(t.Context(), query, 0)
		if err != nil {
			t.Fatal(err)
		}
		for outer.Next() {
			var i, j int
			if err := outer.Scan(&i); err != nil {
				t.Fatal(err)
			}
			inner, err := tx.QueryContext(t.Context(), query, i)
			if err != nil {
				t.Fatal(err)
			}
			for inner.Next() {
				if err := inner.Scan(&j); err != nil {
					t.Fatal(err)
				}
				pairs = append(pairs, fmt.Sprint(i, j))
			}
			if err := inner.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if err := outer.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got := fmt.Sprint(pairs); got != "[1 2 1 3 2 3 1 2 1 3 2 3]" {
		t.Error(got)
	}
}

// What failed, what was left half read, and what nobody asked for in a while
// does no harm to the next use; and a table that changed is seen.
func TestPreparedAgain(t *testing.T) {
	db := openPlain(t)
	insert := func(i any) error {
		_, err := db.ExecContext(t.Context(), "INSERT INTO n VALUES (?1, 'x')", i)
		return err
	}
	for i := range 3 {
		if err := insert(1); err == nil {
			t.Error("a row was stored twice")
		}
		if err := insert(10 + i); err != nil {
			t.Error(err)
		}
		rows, err := db.QueryContext(t.Context(), "SELECT * FROM n WHERE i < ?1", 10)
		if err != nil {
			t.Fatal(err)
		}
		if !rows.Next() {
			t.Error(rows.Err())
		}
		if columns, err := rows.Columns(); err != nil || len(columns) != 2+i {
			t.Errorf("columns %v, %v", columns, err)
		}
		if err := rows.Close(); err != nil { // with two rows unread
			t.Error(err)
		}
		for q := range mostPrepared + 10 {
			var n int
			if err := db.QueryRowContext(t.Context(), fmt.Sprintf("SELECT %d FROM n WHERE i = ?1", q), 1).Scan(&n); err != nil || n != q {
				t.Fatalf("%d: %d, %v", q, n, err)
			}
		}
		if _, err := db.ExecContext(t.Context(), fmt.Sprintf("ALTER TABLE n ADD COLUMN c%d TEXT", i)); err != nil {
			t.Fatal(err)
		}
		if _, err := db.ExecContext(t.Context(), fmt.Sprintf("CREATE TRIGGER t%d AFTER INSERT ON n BEGIN SELECT 1; END", i)); err != nil {
			t.Fatal(err)
		}
		insert = func(i any) error {
			_, err := db.ExecContext(t.Context(), "INSERT INTO n (i, s) VALUES (?1, 'x')", i)
			return err
		}
	}
}

// Less is parsed: a connection keeps its statements, and no more of them than
// it should.
func TestPreparedKept(t *testing.T) {
	c, err := newPreparing("file:" + filepath.Join(t.TempDir(), "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := c.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	conn := raw.(*preparedConn)
	for q := range 3 * mostPrepared {
		rows, err := conn.QueryContext(t.Context(), fmt.Sprintf("SELECT %d", q%(2*mostPrepared)), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(conn.idle); n != mostPrepared {
		t.Errorf("%d are kept", n)
	}
	if _, err := conn.ExecContext(t.Context(), "CREATE TABLE x (i); DROP TABLE x", nil); err != nil {
		t.Error(err)
	}
	if _, ok := conn.idle["CREATE TABLE x (i); DROP TABLE x"]; ok {
		t.Error("a script is kept")
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
}
