package sqlstore

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/takovm/tako/internal/job"
)

// slow is a database whose every answer takes a while.
type slow struct {
	Database
	Tx
	takes time.Duration
}

func (s slow) answer(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(s.takes):
		return nil
	}
}

func (s slow) Each(ctx context.Context, _ string, _ []any, row func(Scan) error) error {
	if err := s.answer(ctx); err != nil {
		return err
	}
	return row(func(...any) error { return nil })
}

func (s slow) Exec(ctx context.Context, _ string, _ ...any) (int64, error) { return 1, s.answer(ctx) }
func (s slow) Read(ctx context.Context, fn func(context.Context, Querier) error) error {
	return fn(ctx, s)
}
func (s slow) Write(ctx context.Context, fn func(context.Context, Tx) error) error { return fn(ctx, s) }
func (s slow) Ping(ctx context.Context) error                                      { return s.answer(ctx) }
func (s slow) SizeBytes(ctx context.Context) (int64, error)                        { return 1, s.answer(ctx) }

// A database that hangs is not available after a while; one that answers, be it
// slowly, is.
func TestPatience(t *testing.T) {
	for name, call := range map[string]func(ctx context.Context, s *Store) error{
		"read":  func(ctx context.Context, s *Store) error { _, err := s.waiting(ctx); return err },
		"write": func(ctx context.Context, s *Store) error { return s.change(ctx, "key", "changing", "UPDATE") },
		"ping":  func(ctx context.Context, s *Store) error { return s.Ping(ctx) },
		"stats": func(ctx context.Context, s *Store) error { _, err := s.Stats(ctx); return err },
		"many statements": func(ctx context.Context, s *Store) error {
			return s.write(ctx, "key", func(ctx context.Context, t *txn) error {
				for range 10 {
					if _, err := t.Exec(ctx, "INSERT"); err != nil {
						return err
					}
				}
				return nil
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if err := call(t.Context(), New(slow{takes: 14 * time.Second}, Options{})); err != nil {
					t.Errorf("slow: %v", err)
				}
				begun, hung := time.Now(), New(slow{takes: time.Hour}, Options{})
				if err := call(t.Context(), hung); job.KindOf(err) != job.KindUnavailable || time.Since(begun) != 15*time.Second {
					t.Errorf("hung: %v after %v", err, time.Since(begun))
				}
				hurried, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if err := call(hurried, hung); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("a caller in a hurry: %v", err)
				}
			})
		})
	}
}

// Those who wait for the count of the queue do not wait one after the other.
func TestPatienceOfMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(slow{takes: time.Hour}, Options{})
		begun := time.Now()
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				_, err := s.Submit(t.Context(), []job.Record{{ID: "a"}}, 10)
				if job.KindOf(err) != job.KindUnavailable {
					t.Errorf("the error is %v", err)
				}
			})
		}
		all.Wait()
		if took := time.Since(begun); took > 30*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}
