package script

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// server is a tako server under test.
type server struct {
	t      *testing.T
	cmd    *exec.Cmd
	url    string
	mu     sync.Mutex
	errOut bytes.Buffer
	read   chan struct{} // closed when all of standard error was read
}

// serve starts a server, with more variables, and returns when it listens.
func serve(t *testing.T, b *bench, env ...string) *server {
	t.Helper()
	s := &server{t: t, read: make(chan struct{})}
	s.cmd = exec.Command(b.binary, "server", "--port", "0")
	s.cmd.Env = []string{"TAKO_VM_DATA_DIR=" + b.root, "HOME=" + b.work, "TAKO_VM_API_RATE_LIMIT_ENABLED=false"}
	if os.Geteuid() != 0 {
		s.cmd.Env = append(s.cmd.Env, "TAKO_VM_SECURITY_MODE=permissive")
	}
	s.cmd.Env = append(s.cmd.Env, env...)
	stderr, err := s.cmd.StderrPipe()
	must(t, err)
	must(t, s.cmd.Start())
	t.Cleanup(func() { s.cmd.Process.Kill(); <-s.read; s.cmd.Wait() }) //nolint:errcheck // it has ended, mostly
	listening := make(chan string, 1)
	go func() {
		defer close(s.read)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			s.mu.Lock()
			fmt.Fprintln(&s.errOut, lines.Text())
			s.mu.Unlock()
			if url, ok := strings.CutPrefix(lines.Text(), "tako: listening on "); ok {
				listening <- url
			}
		}
	}()
	select {
	case s.url = <-listening:
	case <-s.read:
		t.Fatalf("the server ended: %s", s.said())
	case <-time.After(time.Minute):
		t.Fatalf("the server does not listen: %s", s.said())
	}
	return s
}

func (s *server) said() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.errOut.String()
}

// call makes a request and decodes its answer.
func (s *server) call(method, path, body string) (status int, answer map[string]any) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	must(s.t, err)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatalf("%s %s: %v\n%s", method, path, err, s.said())
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	must(s.t, err)
	if err := json.Unmarshal(text, &answer); err != nil {
		s.t.Fatalf("%s %s answered %d and %.300q", method, path, resp.StatusCode, text)
	}
	return resp.StatusCode, answer
}

// submit submits code and returns the job's id.
func (s *server) submit(code string) string {
	s.t.Helper()
	body, err := json.Marshal(map[string]string{"code": code})
	must(s.t, err)
	status, answer := s.call("POST", "/execute/async", string(body))
	id, _ := answer["job_id"].(string)
	if status != http.StatusOK || id == "" {
		s.t.Fatalf("submitting: %d, %v", status, answer)
	}
	return id
}

// result waits for a job's end.
func (s *server) result(id string) map[string]any {
	s.t.Helper()
	status, answer := s.call("GET", "/jobs/"+id+"/result?wait=true&timeout=60&view=full", "")
	if status != http.StatusOK {
		s.t.Fatalf("the result of %s: %d, %v\n%s", id, status, answer, s.said())
	}
	return answer
}

// stop ends the server as a service manager does.
func (s *server) stop() {
	s.t.Helper()
	must(s.t, s.cmd.Process.Signal(syscall.SIGTERM))
	<-s.read
	if err := s.cmd.Wait(); err != nil {
		s.t.Errorf("the server ended with %v:\n%s", err, s.said())
	}
}

// The day of a job: executed, submitted, listed, streamed, and there after the
// server was stopped and started again.
func TestServer(t *testing.T) {
	b := newBench(t)
	b.pack(t)
	s := serve(t, b)
	status, answer := s.call("POST", "/execute", `{"code": "import json\njson.dump({'sum': 3}, open('/output/result.json', 'w'))\nprint('hello')"}`)
	if status != http.StatusOK || answer["success"] != true || answer["stdout"] != "hello\n" || fmt.Sprint(answer["output"]) != "map[sum:3]" {
		t.Errorf("execute: %d, %v", status, answer)
	}
	id := s.submit("print('later')\nraise SystemExit(3)")
	if got := s.result(id); got["status"] != "failed" || got["exit_code"] != 3.0 || got["stdout"] != "later\n" {
		t.Errorf("async: %v", got)
	} else if attempts := got["attempts"].([]any); got["host"] == nil || attempts[0].(map[string]any)["host"] != got["host"] {
		t.Errorf("it ran on %v, and its attempts are %v", got["host"], attempts)
	}
	resp, err := http.Get(s.url + "/jobs/" + id + "/events?follow=false")
	must(t, err)
	events, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	must(t, err)
	if !strings.Contains(string(events), "event: stdout") || !strings.Contains(string(events), "event: end") {
		t.Errorf("events:\n%s", events)
	}
	s.stop()
	if left := leftovers(b.root); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	s = serve(t, b)
	if got := s.result(id); got["status"] != "failed" || got["stdout"] != "later\n" {
		t.Errorf("after a restart: %v", got)
	}
	if status, answer := s.call("GET", "/executions", ""); status != http.StatusOK || answer["count"].(float64) < 2 {
		t.Errorf("history: %d, %v", status, answer)
	}
	s.stop()
}

// A server that is killed loses nothing that it accepted: what ran runs again,
// what waited runs.
func TestServerIsKilled(t *testing.T) {
	b := newBench(t)
	b.pack(t)
	s := serve(t, b)
	var ids []string
	for range 6 {
		ids = append(ids, s.submit("import time\ntime.sleep(0.5)\nprint('done')"))
	}
	must(t, s.cmd.Process.Kill())
	<-s.read
	s = serve(t, b)
	for _, id := range ids {
		if got := s.result(id); got["status"] != "succeeded" || got["stdout"] != "done\n" {
			t.Errorf("%s after the kill: %v", id, got)
		}
	}
	s.stop()
	if left := leftovers(b.root); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// While a server lets its jobs end it can be read, and takes nothing new.
func TestServerDrains(t *testing.T) {
	b := newBench(t)
	b.pack(t)
	s := serve(t, b)
	id := s.submit("import time\nprint('up', flush=True)\ntime.sleep(4)")
	resp, err := http.Get(s.url + "/jobs/" + id + "/events")
	must(t, err)
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() && !strings.Contains(lines.Text(), "up") {
	}
	must(t, s.cmd.Process.Signal(syscall.SIGTERM))
	for status := 0; status != http.StatusServiceUnavailable; {
		status, _ = s.call("GET", "/health", "")
	}
	if status, answer := s.call("GET", "/jobs/"+id, ""); status != http.StatusOK || answer["status"] != "running" {
		t.Errorf("the job: %d, %v", status, answer)
	}
	for _, path := range []string{"/execute", "/execute/async"} {
		if status, answer := s.call("POST", path, `{"code": "print(1)"}`); status != http.StatusServiceUnavailable || answer["detail"] != "the server is stopping" {
			t.Errorf("%s: %d, %v", path, status, answer)
		}
	}
	for lines.Scan() && !strings.Contains(lines.Text(), "event: end") {
	}
	if lines.Text() == "" {
		t.Errorf("the stream was cut before the job's end: %v", lines.Err())
	}
	<-s.read
	must(t, s.cmd.Wait())
}

// A cancelled job's sandbox is gone at once.
func TestServerCancels(t *testing.T) {
	b := newBench(t)
	b.pack(t)
	s := serve(t, b)
	id := s.submit("import time\nprint('up', flush=True)\ntime.sleep(300)")
	resp, err := http.Get(s.url + "/jobs/" + id + "/events")
	must(t, err)
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan() && !strings.Contains(lines.Text(), "up"); {
	}
	if status, answer := s.call("POST", "/jobs/"+id+"/cancel", ""); status != http.StatusOK || answer["status"] != "cancelled" {
		t.Errorf("cancel: %d, %v", status, answer)
	}
	if got := s.result(id); got["status"] != "cancelled" {
		t.Errorf("it ended as %v", got)
	}
	s.stop()
}

// A server says at its start what of its configuration is not safe.
func TestServerWarns(t *testing.T) {
	b := newBench(t)
	b.pack(t)
	s := serve(t, b, "TAKO_VM_SECURITY_MODE=permissive", "TAKO_VM_CONTAINER_RUNTIME=runc")
	for _, want := range []string{"security_mode permissive", "tako has no runc"} {
		if !strings.Contains(s.said(), want) {
			t.Errorf("%q is not in\n%s", want, s.said())
		}
	}
	s.stop()
}

func TestServerRefuses(t *testing.T) {
	b := newBench(t)
	b.pack(t)
	s := serve(t, b)
	for args, want := range map[string]string{
		"--port 0":                 "another tako server uses",
		"--host 0.0.0.0 --port 0":  "without authentication",
		"--port 70000":             "--port 70000: it must be between",
		"--tls-cert none --port 0": "the TLS certificate",
		"extra":                    "takes no arguments",
	} {
		cmd := exec.Command(b.binary, append([]string{"server"}, strings.Fields(args)...)...)
		cmd.Env = s.cmd.Env
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) || strings.Count(string(out), "\n") != 1 {
			t.Errorf("%s: %v and\n%s", args, err, out)
		}
	}
	s.stop()
}

// A client of Tako VM needs another address and nothing else: what it does, and
// all it relies on, is in the script.
func TestClientOfTakoVM(t *testing.T) {
	b := newBench(t)
	b.pack(t)
	s := serve(t, b)
	out, err := exec.CommandContext(t.Context(), "python3", "testdata/takovm_client.py", s.url).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s\n%s", err, out, s.said())
	}
	s.stop()
}
