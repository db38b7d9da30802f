package postgres_test

import (
	"strings"
	"testing"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store/postgres"
	"github.com/takovm/tako/internal/store/postgres/pgtest"
)

// A database of another version is left as it is.
func TestCheckSchema(t *testing.T) {
	url := pgtest.NewDatabase(t)
	if err := postgres.CheckSchema(t.Context(), url); err != nil {
		t.Errorf("without tables: %v", err)
	}
	openAt(t, url, postgres.Options{})
	if err := postgres.CheckSchema(t.Context(), url); err != nil {
		t.Errorf("of this version, and open: %v", err)
	}
	change(t, url, "INSERT INTO tako_migrations (version_id, is_applied) VALUES (99999, true)")
	if err := postgres.CheckSchema(t.Context(), url); job.KindOf(err) != job.KindConfig {
		t.Errorf("newer: %v", err)
	}
	if _, err := postgres.Open(t.Context(), url, postgres.Options{}); job.KindOf(err) != job.KindConfig || !strings.Contains(err.Error(), "a newer tako") {
		t.Errorf("opening a newer one: %v", err)
	}
	change(t, url, "DELETE FROM tako_migrations WHERE version_id = 99999")
	change(t, url, "UPDATE river_migration SET version = version + 1000")
	if err := postgres.CheckSchema(t.Context(), url); job.KindOf(err) != job.KindConfig {
		t.Errorf("another queue: %v", err)
	}
	if err := postgres.CheckSchema(t.Context(), "postgres://nobody@127.0.0.1:1/tako"); job.KindOf(err) != job.KindUnavailable {
		t.Errorf("no server: %v", err)
	}
}
