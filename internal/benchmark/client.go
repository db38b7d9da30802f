package benchmark

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// request is one to run the code.
type request struct {
	Env map[string]string
}

func (q request) body() map[string]any {
	body := map[string]any{"code": code}
	if len(q.Env) > 0 {
		body["env"] = q.Env
	}
	return body
}

// call asks for JSON.
func (v *server) call(ctx context.Context, method, path string, body, to any) error {
	resp, err := v.ask(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s answered %s: %.300s", method, path, resp.Status, text)
	}
	return json.Unmarshal(text, to)
}

func (v *server) ask(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var content io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, v.url+path, content)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	return v.http.Do(req)
}

// execute runs the job and answers the id of its record.
func (v *server) execute(ctx context.Context, q request) (id string, err error) {
	var a struct {
		Success bool
		Stdout  string
		Error   *string
		ID      string `json:"execution_id"`
	}
	err = v.call(ctx, http.MethodPost, "/execute", q.body(), &a)
	switch {
	case err != nil:
	case !a.Success && a.Error != nil:
		err = errors.New(*a.Error)
	case !a.Success || a.Stdout != answer:
		err = fmt.Errorf("it printed %q", a.Stdout)
	}
	return a.ID, err
}

// record is what is asked of a record.
type record struct {
	Supply    string
	ProgramMB float64
}

func (v *server) record(ctx context.Context, id string) (r record, err error) {
	var a struct {
		Sandbox struct{ Supply string }
		Usage   struct {
			MaxRSS float64 `json:"max_rss_mb"`
		} `json:"resource_usage"`
	}
	err = v.call(ctx, http.MethodGet, "/executions/"+id+"?view=full", nil, &a)
	return record{a.Sandbox.Supply, a.Usage.MaxRSS}, err
}

// firstByte submits the job and answers when its first output was there.
func (v *server) firstByte(ctx context.Context, q request) (took time.Duration, id string, err error) {
	begun := time.Now()
	var a struct {
		ID string `json:"job_id"`
	}
	if err := v.call(ctx, http.MethodPost, "/execute/async", q.body(), &a); err != nil {
		return 0, "", err
	}
	resp, err := v.ask(ctx, http.MethodGet, "/jobs/"+a.ID+"/events", nil)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if strings.TrimSpace(strings.TrimPrefix(lines.Text(), "event:")) == "stdout" {
			return time.Since(begun), a.ID, nil
		}
	}
	return 0, a.ID, fmt.Errorf("the events of job %s have no output (%s)", a.ID, resp.Status)
}
