package benchmark

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// workers is how many jobs the server runs at once: enough that as many clients
// as ask may wait, which is sixteen for each worker.
func workers(clients []int) int {
	n := max(4, 2*runtime.NumCPU())
	if len(clients) > 0 {
		n = max(n, slices.Max(clients)/16+1)
	}
	return min(n, 64)
}

// Beyond these, something hangs, and the run ends with an error.
const (
	answered = 5 * time.Minute  // a request, behind those of a thousand clients
	rested   = 30 * time.Second // until nothing is being made or removed
	drained  = time.Minute      // a server that was told to stop
)

// server is one that is measured.
type server struct {
	cmd  *exec.Cmd
	end  func() // tells it to end, once: a second signal would not let it tidy up
	url  string
	http *http.Client
	said chan string // what it said, when it has ended
}

func (s *session) start(ctx context.Context, pool bool) (*server, error) {
	size := 0
	if pool {
		size = 8
	}
	text := fmt.Sprintf("data_dir: %q\nwarm_pool_size: %d\nmax_workers: %d\napi_rate_limit_enabled: false\n", s.data(), size, s.report.Workers)
	if s.SecurityMode != "" {
		text += fmt.Sprintf("security_mode: %s\n", s.SecurityMode)
	}
	config := filepath.Join(s.dir, "tako_vm.yaml")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command(s.Tako, "server", "--config", config, "--port", "0")
	cmd.Dir, cmd.Env = s.dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir}
	// A signal of the terminal is for us; the server gets its own from us.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	runtime.LockOSThread() // whose death Pdeathsig would be of
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	v := &server{cmd: cmd, said: make(chan string, 1), http: &http.Client{Timeout: answered, Transport: &http.Transport{MaxIdleConnsPerHost: 1000}}}
	v.end = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)                    // it may be gone
		time.AfterFunc(drained, func() { _ = cmd.Process.Kill() }) // its sandboxes die with it
	})
	context.AfterFunc(ctx, v.end)
	listening := make(chan string, 1)
	go func() {
		defer close(listening)
		var said string // the end of it
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			if url, ok := strings.CutPrefix(lines.Text(), "tako: listening on "); ok {
				listening <- url
			} else {
				said += lines.Text() + "; "
				said = said[max(0, len(said)-2000):]
			}
		}
		v.said <- said
	}()
	url, ok := <-listening
	if !ok {
		return nil, errors.Join(fmt.Errorf("it said %s", <-v.said), cmd.Wait())
	}
	v.url = url
	return v, nil
}

// stop ends the server and waits for it.
func (v *server) stop() error {
	v.http.CloseIdleConnections()
	v.end()
	said := <-v.said
	if err := v.cmd.Wait(); err != nil {
		return fmt.Errorf("the server ended with %w: %s", err, said)
	}
	return nil
}

// settled waits until as many sandboxes wait as should, and none is being made
// or removed.
func (v *server) settled(ctx context.Context) (pool poolStats, err error) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.After(rested)
	for quiet := 0; ; {
		var stats struct{ Sandboxes poolStats }
		if err := v.call(ctx, http.MethodGet, "/pool/stats", nil, &stats); err != nil {
			return pool, err
		}
		pool = stats.Sandboxes
		if quiet++; pool.Making > 0 || pool.Ready < pool.Wanted {
			quiet = 0
		}
		if quiet == 8 { // what is done is removed after 50 ms
			return pool, nil
		}
		select {
		case <-tick.C:
		case <-late:
			return pool, fmt.Errorf("the server is not at rest after %v: of %d sandboxes that should wait, %d do", rested, pool.Wanted, pool.Ready)
		case <-ctx.Done():
			return pool, context.Cause(ctx)
		}
	}
}

type poolStats struct {
	Ready  int
	Making int
	Wanted int
	Memory int64 `json:"memory_bytes"`
}
