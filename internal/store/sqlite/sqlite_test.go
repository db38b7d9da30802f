package sqlite_test

import (
	"context"
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
	storetest.Run(t, storetest.Config{
		New:    func(t testing.TB) storetest.Database { return file(filepath.Join(t.TempDir(), "tako.db")) },
		Backup: func(path string) storetest.Database { return file(path) },
	})
}
