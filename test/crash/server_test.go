package crash

import (
	"bufio"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// server is a process.
type server struct {
	cmd    *exec.Cmd
	client *client
	dead   chan struct{} // closed when it is

	mu   sync.Mutex
	said strings.Builder
}

// start starts a server and returns when it listens, or is dead already.
func (c *campaign) start(t *testing.T, env ...string) *server {
	t.Helper()
	s := &server{dead: make(chan struct{})}
	s.cmd = exec.Command(c.binary, "server", "--port", "0")
	s.cmd.Env = c.environ(env)
	stderr, err := s.cmd.StderrPipe()
	c.must(t, err)
	begun := time.Now()
	c.must(t, s.cmd.Start())
	t.Cleanup(func() { s.kill() })
	url := make(chan string, 1)
	go func() {
		defer close(s.dead)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			s.mu.Lock()
			fmt.Fprintln(&s.said, lines.Text())
			s.mu.Unlock()
			if u, ok := strings.CutPrefix(lines.Text(), "tako: listening on "); ok {
				url <- u
			}
		}
		s.cmd.Wait() //nolint:errcheck // it is killed, mostly
	}()
	select {
	case u := <-url:
		s.client = newClient(u)
		if env == nil {
			c.slow = append(c.slow, time.Since(begun))
		}
	case <-s.dead:
		s.client = newClient("http://127.0.0.1:1")
		if env == nil {
			t.Fatalf("the server ended before it listened: %s", s.said.String())
		}
	case <-time.After(time.Minute):
		t.Fatalf("the server does not listen: %s", s.said.String())
	}
	return s
}

func (s *server) kill() {
	s.cmd.Process.Kill() //nolint:errcheck // it may be dead
	<-s.dead
}

// stop ends it well.
func (s *server) stop(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	<-s.dead
	if !s.cmd.ProcessState.Success() {
		t.Errorf("the server ended with %v: %s", s.cmd.ProcessState, s.said.String())
	}
}
