// Package soak runs many jobs and looks at what they leave. It is for make soak:
// it takes a quarter of an hour.
package soak

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	variable = "TAKO_SOAK"
	first    = 500    // after these everything is as large as it gets
	jobs     = 10_000 // in all
)

// state is what a server holds.
type state struct {
	goroutines, descriptors, memory, heap float64 // memory and heap in bytes
	data                                  int64   // bytes below the data directory
}

// Ten thousand jobs leave a server as five hundred do: goroutines, descriptors
// and memory where they were, no file but the records.
func TestTenThousandJobs(t *testing.T) {
	if os.Getenv(variable) == "" {
		t.Skip("the soak is run by make soak")
	}
	s := start(t)
	s.run(t, first)
	before := s.state(t)
	begun := time.Now()
	s.run(t, jobs-first)
	after := s.state(t)
	perJob := float64(after.data-before.data) / float64(jobs-first)
	t.Logf("%d jobs in %v; before %+v; after %+v; %.0f bytes of data a job", jobs-first, time.Since(begun).Round(time.Second), before, after, perJob)
	if after.goroutines > before.goroutines+10 {
		t.Errorf("goroutines went from %v to %v", before.goroutines, after.goroutines)
	}
	if after.descriptors > before.descriptors+10 {
		t.Errorf("descriptors went from %v to %v", before.descriptors, after.descriptors)
	}
	// SQLite's caches fill up as the database grows, and then no more: 8 MB for
	// each of five connections.
	const caches = 40 << 20
	if after.memory > 1.2*before.memory+caches || after.heap > 1.5*before.heap+4<<20 {
		t.Errorf("memory went from %v to %v, the heap from %v to %v", before.memory, after.memory, before.heap, after.heap)
	}
	if perJob > 16<<10 {
		t.Errorf("a job leaves %.0f bytes of data", perJob)
	}
	s.stop(t)
	// The lock of the directory stays, the home of this server does not.
	if left, err := filepath.Glob(filepath.Join(s.dir, "run", "*-*")); err != nil || len(left) > 0 {
		t.Errorf("left in run: %v, %v", left, err)
	}
}

type server struct {
	cmd  *exec.Cmd
	url  string
	dir  string
	done chan struct{}
}

func start(t *testing.T) *server {
	t.Helper()
	s := &server{dir: t.TempDir(), done: make(chan struct{})}
	s.cmd = exec.Command(os.Getenv("TAKO_TEST_BINARY"), "server", "--port", "0")
	s.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "TAKO_VM_DATA_DIR=" + s.dir, "TAKO_VM_API_RATE_LIMIT_ENABLED=false"}
	stderr, err := s.cmd.StderrPipe()
	must(t, err)
	must(t, s.cmd.Start())
	t.Cleanup(func() { s.cmd.Process.Kill(); <-s.done }) //nolint:errcheck // it has ended, mostly
	url := make(chan string, 1)
	go func() {
		defer close(s.done)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			if u, ok := strings.CutPrefix(lines.Text(), "tako: listening on "); ok {
				url <- u
			}
		}
		s.cmd.Wait() //nolint:errcheck // its end is looked at elsewhere
	}()
	select {
	case s.url = <-url:
	case <-s.done:
		t.Fatal("the server ended before it listened")
	}
	return s
}

func (s *server) stop(t *testing.T) {
	t.Helper()
	must(t, s.cmd.Process.Signal(syscall.SIGTERM))
	<-s.done
	if !s.cmd.ProcessState.Success() {
		t.Errorf("the server ended with %v", s.cmd.ProcessState)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// run runs n jobs, in batches, a tenth of which fail, and reads their logs.
func (s *server) run(t *testing.T, n int) {
	t.Helper()
	for n > 0 {
		size := min(n, 500)
		n -= size
		items := make([]any, size)
		for i := range items {
			items[i] = map[string]any{"code": "print('x' * 100)"}
			if i%10 == 0 {
				items[i] = map[string]any{"code": "open('/output/f.txt', 'w').write('same'); 1/0"}
			}
		}
		var b struct {
			ID string `json:"batch_id"`
		}
		s.call(t, "POST", "/batches", map[string]any{"items": items}, &b)
		for status := "running"; status == "running"; {
			<-time.After(500 * time.Millisecond) // a batch has no event to wait for
			var state struct{ Status string }
			s.call(t, "GET", "/batches/"+b.ID, nil, &state)
			status = state.Status
		}
	}
}

func (s *server) call(t *testing.T, method, path string, body, answer any) {
	t.Helper()
	data, err := json.Marshal(body)
	must(t, err)
	req, err := http.NewRequestWithContext(t.Context(), method, s.url+path, bytes.NewReader(data))
	must(t, err)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	must(t, err)
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s %s answered %d %.300s", method, path, resp.StatusCode, text)
	}
	must(t, json.Unmarshal(text, answer))
}

// state reads the server's own metrics and measures its directory.
func (s *server) state(t *testing.T) state {
	t.Helper()
	resp, err := http.Get(s.url + "/metrics")
	must(t, err)
	defer resp.Body.Close()
	values := map[string]float64{}
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		name, text, _ := strings.Cut(lines.Text(), " ")
		if v, err := strconv.ParseFloat(text, 64); err == nil {
			values[name] = v
		}
	}
	var size int64
	must(t, filepath.WalkDir(s.dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // it went meanwhile
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			size += info.Size()
		}
		return nil
	}))
	return state{values["go_goroutines"], values["process_open_fds"], values["process_resident_memory_bytes"], values["go_memstats_heap_inuse_bytes"], size}
}

func (s state) String() string {
	return fmt.Sprintf("%.0f goroutines, %.0f descriptors, %.0f MB of memory, %.0f of them heap, %d MB of data", s.goroutines, s.descriptors, s.memory/1e6, s.heap/1e6, s.data>>20)
}
