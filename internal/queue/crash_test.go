package queue_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/queue"
	"github.com/takovm/tako/internal/store"
	"github.com/takovm/tako/internal/store/sqlite"
)

// crashVariable names a database: this test binary is then a server that
// submits jobs to itself, says which it has accepted, and goes on until it is
// killed.
const crashVariable = "TAKO_QUEUE_TEST_CRASH"

func TestMain(m *testing.M) {
	if path := os.Getenv(crashVariable); path != "" {
		fmt.Fprintln(os.Stderr, serveUntilKilled(path))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

func serveUntilKilled(path string) error {
	ctx := context.Background()
	s, err := sqlite.Open(ctx, path, sqlite.Options{})
	if err != nil {
		return err
	}
	jobs := queue.New(queue.Options{
		Store: s, Slots: queue.NewSlots(queue.Budget{Slots: 4, Waiting: 10}), Executor: &brief{}, Types: types{},
		Node: store.Node{Name: "here", Lease: time.Minute},
		// Each life of the server is one interruption for whatever runs then.
		MaxInterruptions: 100,
	})
	if err := jobs.Start(ctx); err != nil {
		return err
	}
	for n := 0; ; n++ {
		o := queue.Origin{}
		if n%3 == 0 { // the same for every life
			o.IdempotencyKey = fmt.Sprint("a key for job ", n)
		}
		rec, err := jobs.Submit(ctx, request("x"), o)
		if err != nil {
			return err
		}
		fmt.Println(rec.ID)
	}
}

// brief is an executor whose attempts take a moment, now and then.
type brief struct{}

func (brief) Run(ctx context.Context, rec *job.Record, _ job.Type, log func(context.Context, []job.Event) error) job.Ended {
	if err := log(ctx, []job.Event{{Attempt: rec.Attempt, At: time.Now(), Type: job.EventStdout, Data: []byte(`{"text":"x"}`)}}); err != nil {
		return ended(job.Failed, "log_failed", err.Error())
	}
	if rand.IntN(4) == 0 {
		timer := time.NewTimer(time.Duration(rand.IntN(5)) * time.Millisecond)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	return ended(job.Succeeded, "", "")
}

// A server that is killed at any moment, again and again, loses nothing that it
// accepted and ends nothing twice.
func TestKilledAtAnyMoment(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tako.db")
	accepted := map[string]bool{}
	const lives = 6
	for range lives {
		for _, id := range live(t, path, 1+rand.IntN(80)) {
			accepted[id] = true
		}
	}
	r := rigOn(t, open(t, path), func(o *queue.Options) { o.MaxInterruptions = 100 })
	// All of them together, on a machine that may do other things besides.
	ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
	defer cancel()
	for id := range accepted {
		rec, err := r.Wait(ctx, id)
		if err != nil {
			t.Fatalf("waiting for %s: %v (%s)", id, err, rec.Status)
		}
		if rec.Status != job.Succeeded {
			t.Errorf("%s ended as %s: %+v", id, rec.Status, rec.Outcome.Error)
		}
		events, err := r.store.Events(t.Context(), id, 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		ends := 0
		for i, e := range events {
			if e.Seq != int64(i+1) {
				t.Errorf("%s: event %d has the number %d", id, i+1, e.Seq)
			}
			if e.Type == job.EventEnd {
				ends++
			}
		}
		if ends != 1 {
			t.Errorf("%s has %d ends in %d events", id, ends, len(events))
		}
	}
	keys := map[string]int{}
	for offset := 0; ; offset += 500 {
		list, more, err := r.store.List(t.Context(), store.Filter{Limit: 500, Offset: offset})
		if err != nil {
			t.Fatal(err)
		}
		for _, rec := range list {
			if rec.IdempotencyKey != "" {
				keys[rec.IdempotencyKey]++
			}
		}
		if !more {
			break
		}
	}
	for key, n := range keys {
		if n != 1 {
			t.Errorf("%s made %d jobs", key, n)
		}
	}
	t.Logf("%d jobs were accepted in %d lives, %d of them by key", len(accepted), lives, len(keys))
}

// live runs a server until it has accepted n jobs, kills it, and returns what
// it said it has accepted.
func live(t *testing.T, path string, n int) (accepted []string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashVariable+"="+path)
	var errOut strings.Builder
	cmd.Stderr = &errOut
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		accepted = append(accepted, lines.Text())
		if len(accepted) == n {
			_ = cmd.Process.Kill() // what it still says counts, too
		}
	}
	if err := cmd.Wait(); err == nil || len(accepted) < n {
		t.Fatalf("the server ended by itself after %d jobs: %v, %s", len(accepted), err, &errOut)
	}
	return accepted
}
