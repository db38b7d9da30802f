package script

import (
	"bufio"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// A client that goes away while it is written to ends nothing but its own
// request. The kernel sends SIGPIPE with the error of that write.
func TestServerOutlivesItsClients(t *testing.T) {
	b := newBench(t)
	b.pack(t)
	s := serve(t, b)
	for range 3 {
		must(t, s.cmd.Process.Signal(syscall.SIGPIPE))
		if status, answer := s.call("POST", "/execute", `{"code": "print(1)"}`); status != http.StatusOK || answer["stdout"] != "1\n" {
			t.Errorf("%d, %v", status, answer)
		}
	}
	s.stop()
}

// One whose log nobody reads goes on.
func TestServerOutlivesItsLog(t *testing.T) {
	b := newBench(t)
	b.pack(t)
	cmd := exec.Command(b.binary, "server", "--port", "0")
	cmd.Env = []string{"TAKO_VM_DATA_DIR=" + b.root, "HOME=" + b.work}
	if os.Geteuid() != 0 {
		cmd.Env = append(cmd.Env, "TAKO_VM_SECURITY_MODE=permissive")
	}
	stderr, err := cmd.StderrPipe()
	must(t, err)
	must(t, cmd.Start())
	s := &server{t: t, cmd: cmd}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() }) //nolint:errcheck // it has ended, mostly
	for lines := bufio.NewScanner(stderr); s.url == "" && lines.Scan(); {
		s.url, _ = strings.CutPrefix(lines.Text(), "tako: listening on ")
		if !strings.HasPrefix(s.url, "http") {
			s.url = ""
		}
	}
	must(t, stderr.Close())
	for range 3 {
		if status, answer := s.call("POST", "/execute", `{"code": "print(1)"}`); status != http.StatusOK || answer["stdout"] != "1\n" {
			t.Errorf("%d, %v", status, answer)
		}
	}
	must(t, cmd.Process.Signal(syscall.SIGTERM))
	if err := cmd.Wait(); err != nil {
		t.Errorf("the server ended with %v", err)
	}
}
