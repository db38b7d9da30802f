package postgres_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
	"github.com/takovm/tako/internal/store/postgres"
	"github.com/takovm/tako/internal/store/postgres/pgtest"
)

func small(id string) job.Record {
	return job.Record{
		ID: id, JobType: "default", JobRef: "default@latest", MaxAttempts: 2, CodeHash: "c", InputHash: "i", Status: job.Queued,
		CreatedAt: time.Now(), QueuedAt: time.Now(),
		Request: job.Request{Code: "print(1)", Language: "python", Input: []byte(`{}`), Priority: 2, Retry: job.RetryInfrastructure},
	}
}

func open(b *testing.B) store.Store {
	b.Helper()
	s, err := postgres.Open(b.Context(), pgtest.NewDatabase(b), postgres.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	return s
}

// BenchmarkSubmit is durable submits (synchronous_commit on, fsync on) of sixteen clients
// at once, each waiting for its answer.
func BenchmarkSubmit(b *testing.B) {
	s := open(b)
	var n atomic.Int64
	b.ResetTimer()      // making a database takes longer than a thousand submits
	b.SetParallelism(8) // times GOMAXPROCS: 16 on two processors
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Submit(b.Context(), []job.Record{small(fmt.Sprint("j", n.Add(1)))}, 0); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "submits/s")
}

// free are slots without end.
type free struct{}

func (free) Acquire(context.Context) (func(), error) { return func() {}, nil }
func (free) TryAcquire() (func(), bool)              { return func() {}, true }

// BenchmarkSubmitToStart is the time from the call of Submit until a worker
// has the claim, one job at a time on an idle server.
func BenchmarkSubmitToStart(b *testing.B) {
	s := open(b)
	started := make(chan store.Claim)
	ctx, cancel := context.WithCancel(b.Context())
	worked := make(chan error, 1)
	go func() {
		worked <- s.Work(ctx, store.Node{Name: "here", Lease: time.Minute}, free{}, func(ctx context.Context, c store.Claim) {
			started <- c
			if err := s.Finish(ctx, c, job.Succeeded, job.Outcome{}); err != nil {
				b.Error(err)
			}
		})
	}()
	b.ResetTimer()
	for i := range b.N {
		if _, err := s.Submit(b.Context(), []job.Record{small(fmt.Sprint("j", i))}, 0); err != nil {
			b.Fatal(err)
		}
		<-started
	}
	cancel()
	if err := <-worked; err != nil {
		b.Error(err)
	}
}
