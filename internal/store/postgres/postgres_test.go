package postgres_test

import (
	"context"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/takovm/tako/internal/store"
	"github.com/takovm/tako/internal/store/postgres"
	"github.com/takovm/tako/internal/store/postgres/pgtest"
	"github.com/takovm/tako/internal/store/storetest"
)

func TestMain(m *testing.M) {
	stop := pgtest.Setup()
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		stop()
		os.Exit(code)
	}))
}

// database is one on the tests' server.
type database string

func (d database) Open(ctx context.Context, o storetest.Options) (store.Store, error) {
	return postgres.Open(ctx, string(d), postgres.Options{Fault: o.Fault})
}

func TestStore(t *testing.T) {
	storetest.Run(t, storetest.Config{
		New:    func(t testing.TB) storetest.Database { return database(pgtest.NewDatabase(t)) },
		Shared: true,
	})
}
