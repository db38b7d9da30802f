package sqlite_test

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store/sqlite"
)

// A database of another version is left as it is.
func TestCheckSchema(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tako.db")
	if err := sqlite.CheckSchema(t.Context(), path); err != nil {
		t.Errorf("where there is none: %v", err)
	}
	st, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := sqlite.CheckSchema(t.Context(), path); err != nil {
		t.Errorf("one of this version, which is open: %v", err)
	}
	for _, tc := range []struct{ name, change, undo string }{
		{"newer", "INSERT INTO tako_migrations (version_id, is_applied) VALUES (99999, 1)", "DELETE FROM tako_migrations WHERE version_id = 99999"},
		{"another queue", "UPDATE river_migration SET version = version + 1000", "UPDATE river_migration SET version = version - 1000"},
	} {
		execute(t, path, tc.change)
		if err := sqlite.CheckSchema(t.Context(), path); job.KindOf(err) != job.KindConfig {
			t.Errorf("%s: %v", tc.name, err)
		}
		if _, err := sqlite.Open(t.Context(), path, sqlite.Options{}); job.KindOf(err) != job.KindConfig || !strings.Contains(err.Error(), "a newer tako") {
			t.Errorf("opening one that is %s: %v", tc.name, err)
		}
		execute(t, path, tc.undo)
	}
	if err := sqlite.CheckSchema(t.Context(), path); err != nil {
		t.Errorf("it was changed: %v", err)
	}
}

// execute runs a statement past the store.
func execute(t *testing.T, path, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Errorf("%s: %v", statement, err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}
