package script

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"
)

// calling runs code that says "up" and goes on, as one who wants to hear of it.
const calling = `{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "run_code", "_meta": {"progressToken": "p"},
	"arguments": {"code": "import time\nprint('up', flush=True)\ntime.sleep(250)", "timeout": 280, "labels": {"who": %q}}}}`

// What is not for /mcp does not get to it: other web pages, other types, and
// more than a server takes.
func TestMCPRefuses(t *testing.T) {
	b := newBench(t)
	b.pack(t)
	s := serve(t, b, "TAKO_VM_API_MAX_PAYLOAD_BYTES=65536")
	const list = `{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}`
	for name, tc := range map[string]struct {
		header map[string]string
		body   string
		status int
	}{
		"a call":                         {nil, list, http.StatusOK},
		"another web page":               {map[string]string{"Origin": "https://example.com"}, list, http.StatusForbidden},
		"a web page without a name":      {map[string]string{"Origin": "null"}, list, http.StatusForbidden},
		"another web page, no preflight": {map[string]string{"Sec-Fetch-Site": "cross-site"}, list, http.StatusForbidden},
		"another name for this machine":  {map[string]string{"Host": "rebound.example.com"}, list, http.StatusForbidden},
		"a form's type":                  {map[string]string{"Content-Type": "text/plain"}, list, http.StatusUnsupportedMediaType},
		"too much":                       {nil, list + strings.Repeat(" ", 65536), http.StatusRequestEntityTooLarge},
		"no JSON":                        {nil, "{", http.StatusBadRequest},
	} {
		resp := mcpPost(t, s.url, tc.body, tc.header)
		answer, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != tc.status || tc.status == http.StatusOK && !strings.Contains(string(answer), `"run_code"`) {
			t.Errorf("%s: %d, %.200s", name, resp.StatusCode, answer)
		}
	}
	s.stop()
}

// A client that goes away during a call takes the job along, over HTTP and over
// standard input and output.
func TestMCPClientGoesAway(t *testing.T) {
	b := newBench(t)
	b.pack(t)
	s := serve(t, b)
	resp := mcpPost(t, s.url, fmt.Sprintf(calling, "http"), nil)
	until(t, resp.Body, "up")
	resp.Body.Close()
	s.cancelled("http")

	cmd := exec.CommandContext(t.Context(), b.binary, "mcp")
	cmd.Env = append(s.cmd.Env, "TAKO_URL="+s.url)
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	const hello = `{"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}}`
	for _, message := range []string{hello, `{"jsonrpc": "2.0", "method": "notifications/initialized"}`, fmt.Sprintf(calling, "stdio")} {
		_, err := fmt.Fprintln(in, strings.ReplaceAll(message, "\n\t", " "))
		must(t, err)
	}
	until(t, out, "up")
	must(t, in.Close())
	if rest, err := io.ReadAll(out); err != nil {
		t.Errorf("%v after %s", err, rest)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("tako mcp ended with %v", err)
	}
	s.cancelled("stdio")
	s.stop()
}

// cancelled waits for the end of the one job that has a label.
func (s *server) cancelled(who string) {
	s.t.Helper()
	_, list := s.call("GET", "/executions?label=who:"+who, "")
	items, _ := list["items"].([]any)
	if len(items) != 1 {
		s.t.Fatalf("there are %d jobs of %s", len(items), who)
	}
	id := items[0].(map[string]any)["execution_id"].(string)
	if got := s.result(id); got["status"] != "cancelled" {
		s.t.Errorf("the job of %s ended as %v", who, got["status"])
	}
}

// until reads lines up to one with a progress message that has a text.
func until(t *testing.T, from io.Reader, text string) {
	t.Helper()
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		var note struct{ Params struct{ Message string } }
		if json.Unmarshal([]byte(strings.TrimPrefix(lines.Text(), "data: ")), &note) == nil && strings.Contains(note.Params.Message, text) {
			return
		}
	}
	t.Fatalf("it ended before it said %q: %v", text, lines.Err())
}

func mcpPost(t *testing.T, url, body string, header map[string]string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/mcp", strings.NewReader(body))
	must(t, err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	for name, value := range header {
		r.Header.Set(name, value)
	}
	if host := header["Host"]; host != "" {
		r.Host = host
	}
	resp, err := http.DefaultClient.Do(r)
	must(t, err)
	return resp
}
