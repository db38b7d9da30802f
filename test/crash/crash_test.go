// Package crash kills servers. Its campaign is for make crash: it takes
// minutes, and its binary has points of failure (build tag tako_faults).
//
// A server is killed with SIGKILL between every two statements that a
// transaction of a job's life is made of, and at random, while clients submit.
// Whatever was accepted has to end, once, whenever the server died; an
// idempotency key makes one job; a server is ready again within two seconds.
package crash

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/takovm/tako/internal/store/postgres/pgtest"
)

// mostToReady is what a restart may take.
const mostToReady = 2 * time.Second

// campaign is one database's.
type campaign struct {
	binary string
	data   string
	env    []string
	fresh  func() // gives the next server an empty database
	slow   []time.Duration
}

func TestCrash(t *testing.T) {
	if os.Getenv("TAKO_CRASH") == "" {
		t.Skip("the campaign is run by make crash")
	}
	binary := filepath.Join(t.TempDir(), "tako")
	build := exec.CommandContext(t.Context(), "go", "build", "-tags", "tako_faults", "-trimpath", "-buildvcs=false", "-o", binary, "../../cmd/tako")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the binary: %v\n%s", err, out)
	}
	data := t.TempDir()
	t.Run("SQLite", func(t *testing.T) {
		c := &campaign{binary: binary, data: data}
		c.fresh = func() { c.must(t, os.RemoveAll(filepath.Join(data, "db"))) }
		c.run(t)
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Cleanup(pgtest.Setup()) // after the databases are gone
		c := &campaign{binary: binary, data: data}
		c.fresh = func() { c.env = []string{"TAKO_VM_DATABASE_URL=" + pgtest.NewDatabase(t)} }
		c.run(t)
	})
}

func (c *campaign) must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (c *campaign) run(t *testing.T) {
	points := c.points(t)
	t.Logf("%d points of failure: %s", len(points), strings.Join(points, " "))
	for _, p := range points {
		for _, time := range []string{":1", ":3"} {
			t.Run(p+time, func(t *testing.T) { c.diesAt(t, p+time) })
		}
	}
	t.Run("Random", c.diesAtRandom)
	slices.Sort(c.slow)
	t.Logf("from start to ready: median %v, slowest %v of %d", c.slow[len(c.slow)/2], c.slow[len(c.slow)-1], len(c.slow))
	if slowest := c.slow[len(c.slow)-1]; slowest > mostToReady {
		t.Errorf("a restart took %v, and may take %v", slowest, mostToReady)
	}
}

// points are all points of failure that a load passes.
func (c *campaign) points(t *testing.T) []string {
	c.fresh()
	s := c.start(t, "TAKO_FAULT=list")
	l := newLedger()
	l.load(t.Context(), s.client)
	l.settle(t, s.client)
	s.stop(t)
	var points []string
	for line := range strings.Lines(s.said.String()) {
		if p, ok := strings.CutPrefix(strings.TrimSpace(line), "tako: point of failure "); ok && !slices.Contains(points, p) {
			points = append(points, p)
		}
	}
	if len(points) < 10 {
		t.Fatalf("there are %d points of failure: %v", len(points), points)
	}
	return points
}

// diesAt has a server die at a point, under load, and another take over.
func (c *campaign) diesAt(t *testing.T, point string) {
	c.fresh()
	s := c.start(t, "TAKO_FAULT="+point)
	l := newLedger()
	ctx, cancel := context.WithCancel(t.Context())
	loaded := make(chan struct{})
	go func() { defer close(loaded); l.load(ctx, s.client) }()
	select {
	case <-s.dead: // mostly
	case <-loaded: // it is not reached so often: the server dies at its end
		s.kill()
	}
	cancel()
	<-loaded
	s = c.start(t)
	l.repeat(t, s.client)
	l.settle(t, s.client)
	s.stop(t)
	if t.Failed() {
		t.Log(s.said.String())
	}
}

// diesAtRandom kills a server fifty times while clients go on.
func (c *campaign) diesAtRandom(t *testing.T) {
	c.fresh()
	l := newLedger()
	for i := range 50 {
		s := c.start(t)
		ctx, cancel := context.WithCancel(t.Context())
		loaded := make(chan struct{})
		go func() { defer close(loaded); l.load(ctx, s.client) }()
		// A moment of the load, spread evenly: from its first commit on.
		timer := time.NewTimer(time.Duration(i*17%600) * time.Millisecond)
		<-timer.C
		s.kill()
		l.killed++
		cancel()
		<-loaded
	}
	s := c.start(t)
	l.repeat(t, s.client)
	l.settle(t, s.client)
	s.stop(t)
}

func (c *campaign) environ(env []string) []string {
	all := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + c.data, "TAKO_VM_DATA_DIR=" + c.data, "TAKO_VM_API_RATE_LIMIT_ENABLED=false"}
	if os.Geteuid() != 0 {
		all = append(all, "TAKO_VM_SECURITY_MODE=permissive")
	}
	return slices.Concat(all, c.env, env)
}
