package mcp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	tako "github.com/takovm/tako/sdk/go"
)

const record = `{"execution_id":"a","status":"%s","stdout":"%s","stderr":"","artifacts":[` +
	`{"name":"p.png","size_bytes":3,"content_type":"image/png"},{"name":"x.svg","size_bytes":3,"content_type":"image/svg+xml"}]}`

// fakeAPI answers as the API does.
func fakeAPI(cancelled chan<- struct{}) http.Handler {
	mux := http.NewServeMux()
	say := func(pattern string, status int, body string) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		})
	}
	say("POST /execute/async", 200, `{"job_id":"a","status":"queued"}`)
	say("POST /jobs/slow/rerun", 200, `{"job_id":"slow","status":"queued"}`)
	say("POST /jobs/away/fork", 404, `{"detail":"Job not found"}`)
	say("GET /jobs/a/result", 200, fmt.Sprintf(record, "succeeded", "hi"))
	say("GET /executions/long", 200, fmt.Sprintf(record, "failed", strings.Repeat("é", maxText)))
	say("GET /executions/other", 404, `{"detail":"Execution not found"}`)
	say("GET /executions", 200, `{"items":[{"execution_id":"a","status":"succeeded"}],"has_more":true}`)
	mux.HandleFunc("GET /jobs/{id}/artifacts/{name}", func(w http.ResponseWriter, r *http.Request) {
		kind, body := "image/png", "png"
		switch r.PathValue("name") {
		case "t.txt":
			kind, body = "text/plain", "<b>0123456789"
		case "b.bin":
			kind, body = "application/octet-stream", "\xff\xfe"
		case "u.txt":
			kind, body = "text/plain", "aé!"
		case "long.txt":
			kind, body = "text/plain", strings.Repeat("x", 2*maxRead)
		case "huge.png":
			body = strings.Repeat("\xff", maxImage+1)
		}
		w.Header().Set("Content-Type", kind)
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(body))
	})
	mux.HandleFunc("GET /jobs/slow/result", func(_ http.ResponseWriter, r *http.Request) {
		cancelled <- struct{}{} // it runs
		<-r.Context().Done()
	})
	mux.HandleFunc("POST /jobs/slow/cancel", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"job_id":"slow","status":"cancelled"}`)
		cancelled <- struct{}{}
	})
	return mux
}

// connect is a client of tools over the fake.
func connect(t *testing.T, readOnly bool, cancelled chan<- struct{}) *sdk.ClientSession {
	t.Helper()
	asked, err := http.NewRequest("POST", "http://localhost/mcp", nil)
	if err != nil {
		t.Fatal(err)
	}
	client, err := tako.New("http://localhost", tako.Options{Retries: -1,
		HTTPClient: &http.Client{Transport: &Transport{API: fakeAPI(cancelled), For: asked}}})
	if err != nil {
		t.Fatal(err)
	}
	here, there := sdk.NewInMemoryTransports()
	server, err := New(Options{Client: client, ReadOnly: readOnly}).Connect(t.Context(), there, nil)
	if err != nil {
		t.Fatal(err)
	}
	session, err := sdk.NewClient(&sdk.Implementation{Name: "test"}, nil).Connect(t.Context(), here, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		session.Close()
		_ = server.Wait()
	})
	return session
}

func TestTools(t *testing.T) {
	tests := []struct {
		name, tool string
		args       map[string]any
		isError    bool
		want       string // in the first content
		kinds      string
	}{
		{"code runs, with its image and not its SVG", "run_code", map[string]any{"code": "1"}, false, `"stdout":"hi"`, "*mcp.TextContent *mcp.ImageContent"},
		{"what is not there", "fork", map[string]any{"execution_id": "away", "code": "1"}, true, "Job not found", "*mcp.TextContent"},
		{"what another key has", "get_execution", map[string]any{"execution_id": "other"}, true, "Execution not found", "*mcp.TextContent"},
		{"an id that is a path", "get_execution", map[string]any{"execution_id": ".."}, true, "no id", "*mcp.TextContent"},
		{"long output is cut", "get_execution", map[string]any{"execution_id": "long"}, false, "stdout: 32768 bytes are shown", "*mcp.TextContent *mcp.ImageContent"},
		{"a list", "list_executions", map[string]any{}, false, `"has_more":true`, "*mcp.TextContent"},
		{"a list that is too long", "list_executions", map[string]any{"limit": 101}, true, "limit", "*mcp.TextContent"},
		{"text in part", "read_artifact", map[string]any{"execution_id": "a", "name": "t.txt", "offset": 3, "limit": 4}, false, "0123", "*mcp.TextContent"},
		{"an image", "read_artifact", map[string]any{"execution_id": "a", "name": "p.png"}, false, "", "*mcp.ImageContent"},
		{"bytes", "read_artifact", map[string]any{"execution_id": "a", "name": "b.bin"}, false, "", "*mcp.EmbeddedResource"},
		{"a name that climbs", "read_artifact", map[string]any{"execution_id": "a", "name": "../b"}, true, "no name of an artifact", "*mcp.TextContent"},
		{"an offset below 0", "read_artifact", map[string]any{"execution_id": "a", "name": "b", "offset": -1}, true, "negative", "*mcp.TextContent"},
	}
	session := connect(t, false, nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := session.CallTool(t.Context(), &sdk.CallToolParams{Name: tt.tool, Arguments: tt.args})
			if err != nil {
				t.Fatal(err)
			}
			var kinds []string
			for _, c := range r.Content {
				kinds = append(kinds, fmt.Sprintf("%T", c))
			}
			text, _ := r.Content[0].(*sdk.TextContent)
			if r.IsError != tt.isError || strings.Join(kinds, " ") != tt.kinds || text != nil && !strings.Contains(text.Text, tt.want) {
				t.Errorf("error %v, %v, %+v", r.IsError, kinds, text)
			}
		})
	}
}

// A file that is read in parts says how long it is and where it goes on.
func TestReadInParts(t *testing.T) {
	session := connect(t, false, nil)
	for name, tc := range map[string]struct {
		args map[string]any
		want string
	}{
		"the middle":             {map[string]any{"name": "t.txt", "offset": 3, "limit": 4}, `13, 3, 4, 7`},
		"the rest":               {map[string]any{"name": "t.txt", "offset": 7, "limit": 99}, `13, 7, 6, end`},
		"in a character":         {map[string]any{"name": "u.txt", "limit": 2}, `4, 0, 1, 1`},
		"a long one":             {map[string]any{"name": "long.txt"}, `524288, 0, 32768, 32768`},
		"more than is given":     {map[string]any{"name": "long.txt", "limit": 1 << 30}, `524288, 0, 262144, 262144`},
		"an image that is large": {map[string]any{"name": "huge.png"}, `1048577, 0, 32768, 32768`},
		"an image in part":       {map[string]any{"name": "huge.png", "offset": 1048576}, `1048577, 1048576, 1, end`},
	} {
		tc.args["execution_id"] = "a"
		r, err := session.CallTool(t.Context(), &sdk.CallToolParams{Name: "read_artifact", Arguments: tc.args})
		if err != nil || r.IsError {
			t.Errorf("%s: %+v, %v", name, r, err)
			continue
		}
		out := r.StructuredContent.(map[string]any)
		next := "end"
		if at, ok := out["next_offset"]; ok {
			next = fmt.Sprintf("%.0f", at)
		}
		if got := fmt.Sprintf("%.0f, %.0f, %.0f, %s", out["size_bytes"], out["offset"], out["bytes"], next); got != tc.want {
			t.Errorf("%s: size, offset, bytes, next are %s, want %s", name, got, tc.want)
		}
	}
	r, err := session.CallTool(t.Context(), &sdk.CallToolParams{Name: "read_artifact", Arguments: map[string]any{"execution_id": "a", "name": "t.txt", "offset": 13}})
	if err != nil || !r.IsError || !strings.Contains(r.Content[0].(*sdk.TextContent).Text, `offset 13 is at or beyond the end of "t.txt"`) {
		t.Errorf("beyond the end: %+v, %v", r, err)
	}
}

// A server is asked what its key may do, without doing it.
func TestLooks(t *testing.T) {
	for name, tc := range map[string]struct {
		submit, list int
		looks        bool
		kind         error
	}{
		"a key that may run":            {422, 200, false, nil},
		"a key that may look":           {403, 200, true, nil},
		"a key that may do neither":     {403, 403, false, tako.ErrForbidden},
		"a key that is wrong":           {401, 401, false, tako.ErrUnauthorized},
		"a server that is away for now": {503, 503, false, nil},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			status := tc.list
			if r.Method == http.MethodPost {
				status = tc.submit
			}
			w.WriteHeader(status)
			fmt.Fprint(w, `{"items":[]}`)
		}))
		client, err := tako.New(s.URL, tako.Options{Retries: -1})
		if err != nil {
			t.Fatal(err)
		}
		if looks, err := Looks(t.Context(), client); looks != tc.looks || tc.kind == nil && err != nil || !errors.Is(err, tc.kind) {
			t.Errorf("%s: %v, %v", name, looks, err)
		}
		s.Close()
	}
}

// A key that may only look is not shown what runs code, and cannot call it.
func TestReadOnly(t *testing.T) {
	session := connect(t, true, nil)
	list, err := session.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, tool := range list.Tools {
		names = append(names, tool.Name)
	}
	slices.Sort(names)
	if got := strings.Join(names, " "); got != "get_execution list_artifacts list_executions read_artifact" {
		t.Error(got)
	}
	if r, err := session.CallTool(t.Context(), &sdk.CallToolParams{Name: "run_code", Arguments: map[string]any{"code": "1"}}); err == nil {
		t.Errorf("%+v", r)
	}
}

// A call that is cancelled takes its job along.
func TestCancel(t *testing.T) {
	happened := make(chan struct{}, 2)
	session := connect(t, false, happened)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	done := make(chan error, 1)
	go func() {
		_, err := session.CallTool(ctx, &sdk.CallToolParams{Name: "rerun", Arguments: map[string]any{"execution_id": "slow"}})
		done <- err
	}()
	<-happened
	cancel()
	if err := <-done; err == nil {
		t.Error("the call went well")
	}
	<-happened
}
