package sqlite_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/takovm/tako/internal/store"
	"github.com/takovm/tako/internal/store/sqlite"
	"github.com/takovm/tako/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// file is a database in one file.
type file string

func (f file) Open(ctx context.Context, o storetest.Options) (store.Store, error) {
	return sqlite.Open(ctx, string(f), sqlite.Options{Fault: o.Fault})
}

func TestStore(t *testing.T) {
	// Making the tables takes longer than most tests.
	made := filepath.Join(t.TempDir(), "made.db")
	st, err := sqlite.Open(t.Context(), made, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(made)
	if err != nil {
		t.Fatal(err)
	}
	storetest.Run(t, storetest.Config{
		New: func(t testing.TB) storetest.Database {
			path := filepath.Join(t.TempDir(), "tako.db")
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			return file(path)
		},
		Backup: func(path string) storetest.Database { return file(path) },
	})
}
