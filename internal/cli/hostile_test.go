package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/sys/unix"

	"github.com/takovm/tako/internal/takotest"
)

// escape clears a terminal, in one of two ways.
const escape = "\x1b[2J\u009b2J"

// hostile is a server that wants a terminal to do something.
func hostile(t *testing.T, events string) *httptest.Server {
	quoted, err := json.Marshal(escape)
	must(t, err)
	answer := strings.NewReplacer("ESC", strings.Trim(string(quoted), `"`)).Replace
	mux := http.NewServeMux()
	say := func(pattern, body string) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, answer(body)) })
	}
	record := `{"execution_id":"ESC","job_id":"ESC","status":"ESC","job_type":"ESC","job_ref":"ESC","error":{"type":"ESC","message":"ESC"},` +
		`"artifacts":[{"name":"ESC","size_bytes":1,"sha256":"ESC","content_type":"ESC"}],"output":"ESC","skipped_artifacts":["ESC"]}`
	say("GET /executions", `{"items":[`+record+`],"has_more":false}`)
	say("GET /executions/{id}", record)
	say("POST /jobs/{id}/{act}", `{"job_id":"ESC","status":"ESC"}`)
	say("DELETE /jobs/{id}", `{"job_id":"ESC","status":"ESC"}`)
	say("GET /jobs/{id}/artifacts", `{"items":[{"name":"ESC","size_bytes":1,"sha256":"ESC"}]}`)
	say("POST /keys", `{"id":"ESC","api_key":"ESC","scopes":["ESC"],"webhook_secret":"ESC"}`)
	say("DELETE /keys/{id}", `{"id":"ESC"}`)
	say("GET /keys", `{"items":[{"id":"ESC","name":"ESC","scopes":["ESC"]}]}`)
	mux.HandleFunc("GET /jobs/{id}/events", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, events)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, answer(`{"detail":"ESC"}`))
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

// What a server answers drives no terminal.
func TestTerminal(t *testing.T) {
	s := hostile(t, "")
	for _, line := range []string{
		"jobs list", "jobs show x", "jobs cancel x", "jobs purge x", "jobs rerun x", "jobs artifacts x", "keys create --name n", "keys list",
		"keys revoke x", "status", "dlq list", "dlq replay 1", "secrets list",
	} {
		t.Run(line, func(t *testing.T) {
			out, err := os.Create(filepath.Join(t.TempDir(), "out"))
			must(t, err)
			defer out.Close()
			a := newApp(t)
			a.streams.Out = out
			root := a.newRootCommand()
			root.SetArgs(append(strings.Fields(line), "--url", s.URL))
			a.report(t.Context(), root.ExecuteContext(t.Context()))
			printed, err := os.ReadFile(out.Name())
			must(t, err)
			said := string(printed) + a.said(t)
			if said == "" || strings.ContainsFunc(said, func(r rune) bool { return r != '\n' && unicode.IsControl(r) }) {
				t.Errorf("%q", said)
			}
		})
	}
}

// Each event is a line, whatever is in it.
func TestLogsAsJSON(t *testing.T) {
	s := hostile(t, "id: \x07\"'\nevent: st\x1b\ndata: {\ndata: \"status\": \"succeeded\"}\n\n")
	got := printed(t, func(r *remote) {
		root := r.app.newRootCommand()
		root.SetArgs([]string{"jobs", "logs", "x", "--json", "--url", s.URL})
		must(t, root.ExecuteContext(t.Context()))
	})
	var event struct{ ID, Event string }
	if err := json.Unmarshal([]byte(got), &event); err != nil || event.ID != "\x07\"'" || event.Event != "st\x1b" || strings.Count(got, "\n") != 1 {
		t.Errorf("%q: %v", got, err)
	}
}

// A server that has more and gives nothing is not asked for ever.
func TestPurgeEnds(t *testing.T) {
	asked := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked++; asked > 3 {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		fmt.Fprint(w, `{"items":[],"count":0,"has_more":true}`)
	}))
	defer s.Close()
	root := newApp(t).newRootCommand()
	root.SetArgs([]string{"jobs", "purge", "--older-than", "1d", "--url", s.URL})
	if err := root.ExecuteContext(t.Context()); err != nil || asked != 1 {
		t.Errorf("asked %d times: %v", asked, err)
	}
}

// Another user's images are not taken over: he could change them, or name others.
func TestCopyFromAnother(t *testing.T) {
	takotest.RequireRoot(t)
	from := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(from, "cache", "images"), 0o755))
	must(t, unix.Chown(from, 12345, 12345))
	t.Setenv("TAKO_VM_DATA_DIR", t.TempDir())
	root := newApp(t).newRootCommand()
	root.SetArgs([]string{"env", "copy", "a/b:1", "--from", from})
	if err := root.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), "belongs to another user") {
		t.Errorf("%v", errors.Unwrap(err))
	}
}
