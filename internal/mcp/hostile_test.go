package mcp

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"unicode"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	tako "github.com/takovm/tako/sdk/go"
)

// over connects to tools over an API.
func over(t *testing.T, api http.Handler, o *sdk.ClientOptions) *sdk.ClientSession {
	t.Helper()
	asked, err := http.NewRequest("POST", "http://localhost/mcp", nil)
	if err != nil {
		t.Fatal(err)
	}
	client, err := tako.New("http://localhost", tako.Options{Retries: -1, HTTPClient: &http.Client{Transport: &Transport{API: api, For: asked}}})
	if err != nil {
		t.Fatal(err)
	}
	here, there := sdk.NewInMemoryTransports()
	server, err := New(Options{Client: client}).Connect(t.Context(), there, nil)
	if err != nil {
		t.Fatal(err)
	}
	session, err := sdk.NewClient(&sdk.Implementation{Name: "test"}, o).Connect(t.Context(), here, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		session.Close()
		_ = server.Wait()
	})
	return session
}

// job answers as if one had ended with this output, and notes its request.
func job(output string, request *string) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /execute/async", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		*request = string(body)
		fmt.Fprint(w, `{"job_id":"a","status":"queued"}`)
	})
	mux.HandleFunc("GET /jobs/a/result", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"execution_id":"a","status":"succeeded","output":%s}`, output)
	})
	mux.HandleFunc("GET /jobs/a/events", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "id: 1\nevent: stdout\ndata: {\"text\":\"\\u001b[2J\\u009b2J\\u202eok\\n\"}\n\nid: 2\nevent: end\ndata: {\"status\":\"succeeded\"}\n\n")
	})
	mux.HandleFunc("GET /jobs/a/artifacts/{name}", func(w http.ResponseWriter, r *http.Request) {
		body := strings.Repeat("x", 2*maxRead)
		if r.PathValue("name") == "long" {
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		}
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprint(w, body)
	})
	return mux
}

// Numbers are what they were, and those that JSON has and float64 has not spoil nothing.
func TestNumbers(t *testing.T) {
	for _, number := range []string{"12345678901234567891", "1e400", "0.1000000000000000055511151231257827"} {
		var request string
		session := over(t, job(`{"n":`+number+`}`, &request), nil)
		args := map[string]any{"code": "1"}
		if number != "1e400" { // the protocol's library has none such in arguments
			args["input_data"] = map[string]any{"n": json.Number(number)}
		}
		r, err := session.CallTool(t.Context(), &sdk.CallToolParams{Name: "run_code", Arguments: args})
		if err != nil || r.IsError {
			t.Fatal(number, err, r)
		}
		if text := r.Content[0].(*sdk.TextContent).Text; !strings.Contains(text, `"output":{"n":`+number+`}`) {
			t.Error(text)
		}
		if args["input_data"] != nil && !strings.Contains(request, `"n":`+number) {
			t.Error(request)
		}
	}
}

// A file's size is known, also to tools in the server, and that it goes on.
func TestSizes(t *testing.T) {
	var request string
	session := over(t, job("null", &request), nil)
	for name, size := range map[string]float64{"long": 2 * maxRead, "untold": -1} {
		r, err := session.CallTool(t.Context(), &sdk.CallToolParams{Name: "read_artifact", Arguments: map[string]any{"execution_id": "a", "name": name}})
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := r.StructuredContent.(map[string]any); got["size_bytes"] != size || got["next_offset"] != float64(maxText) || got["bytes"] != float64(maxText) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Progress, which assistants show in a terminal, does not drive it.
func TestProgressIsPrintable(t *testing.T) {
	var request string
	told := make(chan string, 10)
	session := over(t, job("null", &request), &sdk.ClientOptions{
		ProgressNotificationHandler: func(_ context.Context, r *sdk.ProgressNotificationClientRequest) { told <- r.Params.Message }})
	p := &sdk.CallToolParams{Name: "run_code", Arguments: map[string]any{"code": "1"}}
	p.SetProgressToken("t")
	if _, err := session.CallTool(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	text := <-told
	if !strings.HasSuffix(text, "ok\n") || strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && (unicode.IsControl(r) || r == '\u202e') }) {
		t.Errorf("%q", text)
	}
}
