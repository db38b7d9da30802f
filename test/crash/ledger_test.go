package crash

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// client calls one server.
type client struct {
	url  string
	http *http.Client
}

func newClient(url string) *client {
	return &client{url, &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}, Timeout: time.Minute}}
}

func (c *client) call(ctx context.Context, method, path string, body any, answer any) (int, error) {
	var b bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&b).Encode(body); err != nil {
			return 0, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, &b)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	if resp.StatusCode != http.StatusOK {
		return resp.StatusCode, fmt.Errorf("%s %s answered %d %.200s", method, path, resp.StatusCode, text)
	}
	if answer == nil {
		return resp.StatusCode, nil
	}
	return resp.StatusCode, json.Unmarshal(text, answer)
}

// ledger is what clients were told.
type ledger struct {
	n atomic.Int64

	mu       sync.Mutex
	accepted map[string]string // id -> idempotency key
	asked    map[string]string // key -> id, or empty where no answer came
	ended    map[string]string // id -> the first end that was told
	killed   int               // servers
}

func newLedger() *ledger {
	return &ledger{accepted: map[string]string{}, asked: map[string]string{}, ended: map[string]string{}}
}

const code = "print(1)"

func submission(key string) map[string]any {
	return map[string]any{"code": code, "idempotency_key": key}
}

// load is some of everything, from several clients at once.
func (l *ledger) load(ctx context.Context, c *client) {
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			for range 3 {
				l.submit(ctx, c)
			}
		})
	}
	all.Go(func() { l.execute(ctx, c) })
	all.Go(func() { l.batch(ctx, c) })
	all.Go(func() { l.cancelled(ctx, c) })
	all.Wait()
	l.look(ctx, c)
}

func (l *ledger) submit(ctx context.Context, c *client) {
	key := fmt.Sprintf("crash-key-%d", l.n.Add(1))
	l.mu.Lock()
	l.asked[key] = ""
	l.mu.Unlock()
	var a struct {
		ID string `json:"job_id"`
	}
	if _, err := c.call(ctx, "POST", "/execute/async", submission(key), &a); err != nil {
		return // the server is dead: nothing was promised
	}
	l.accept(a.ID, key)
}

func (l *ledger) accept(id, key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.accepted[id] = key
	if key != "" {
		l.asked[key] = id
	}
}

func (l *ledger) execute(ctx context.Context, c *client) {
	var a struct {
		ID string `json:"execution_id"`
	}
	if _, err := c.call(ctx, "POST", "/execute", map[string]any{"code": code}, &a); err == nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.ended[a.ID] = "succeeded"
	}
}

func (l *ledger) batch(ctx context.Context, c *client) {
	var a struct {
		ID string `json:"batch_id"`
	}
	item := map[string]any{"code": code}
	if _, err := c.call(ctx, "POST", "/batches", map[string]any{"items": []any{item, item}}, &a); err != nil {
		return
	}
	l.accept("batch "+a.ID, "")
}

// cancelled is a job that is cancelled as soon as it is there.
func (l *ledger) cancelled(ctx context.Context, c *client) {
	var a struct {
		ID string `json:"job_id"`
	}
	if _, err := c.call(ctx, "POST", "/execute/async", map[string]any{"code": "import time; time.sleep(60)", "timeout": 3}, &a); err != nil {
		return
	}
	if _, err := c.call(ctx, "POST", "/jobs/"+a.ID+"/cancel", nil, nil); err == nil {
		l.accept(a.ID, "")
		return
	}
	l.accept("to be cancelled "+a.ID, "")
}

// look notes which ends are told now.
func (l *ledger) look(ctx context.Context, c *client) {
	l.mu.Lock()
	ids := make([]string, 0, len(l.accepted))
	for id := range l.accepted {
		ids = append(ids, id)
	}
	l.mu.Unlock()
	for _, id := range ids {
		if strings.Contains(id, " ") {
			continue
		}
		var r struct{ Status string }
		if _, err := c.call(ctx, "GET", "/jobs/"+id, nil, &r); err == nil && terminal(r.Status) {
			l.mu.Lock()
			if l.ended[id] == "" {
				l.ended[id] = r.Status
			}
			l.mu.Unlock()
		}
	}
}

func terminal(status string) bool {
	switch status {
	case "succeeded", "failed", "timeout", "oom", "cancelled":
		return true
	}
	return false
}

// repeat asks again for what may have been accepted: a key names one job.
func (l *ledger) repeat(t *testing.T, c *client) {
	t.Helper()
	l.mu.Lock()
	asked := make(map[string]string, len(l.asked))
	for key, id := range l.asked {
		asked[key] = id
	}
	l.mu.Unlock()
	for key, id := range asked {
		var a struct {
			ID string `json:"job_id"`
		}
		if _, err := c.call(t.Context(), "POST", "/execute/async", submission(key), &a); err != nil {
			t.Errorf("asking again with %s: %v", key, err)
			continue
		}
		if id != "" && a.ID != id {
			t.Errorf("the key %s made %s and %s", key, id, a.ID)
		}
		l.accept(a.ID, key)
	}
}

// settle waits for the end of everything, and holds it against what was told.
func (l *ledger) settle(t *testing.T, c *client) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for id := range l.accepted {
		switch kind, rest, _ := strings.Cut(id, " "); {
		case kind == "batch":
			l.settleBatch(t, c, rest)
		case strings.HasPrefix(id, "to be cancelled "):
			id = strings.TrimPrefix(id, "to be cancelled ")
			if code, err := c.call(t.Context(), "POST", "/jobs/"+id+"/cancel", nil, nil); err != nil && code != http.StatusNotFound {
				t.Errorf("cancelling: %v", err)
			}
			l.settleJob(t, c, id, "cancelled", "timeout")
		case l.accepted[id] == "":
			l.settleJob(t, c, id, "cancelled")
		default:
			l.settleJob(t, c, id, "succeeded")
		}
	}
	l.count(t, c)
}

type record struct {
	ID     string `json:"execution_id"`
	Status string
	Stdout string
	Key    *string `json:"idempotency_key"`
	Error  *struct{ Type string }
}

// worn is the end of a job that was interrupted too often: it may be what brings
// servers down.
func (r *record) worn() bool {
	return r.Status == "failed" && r.Error != nil && r.Error.Type == "interrupted"
}

// settleJob waits for the end of a job, which has to be one of those.
func (l *ledger) settleJob(t *testing.T, c *client, id string, want ...string) {
	t.Helper()
	var r record
	if _, err := c.call(t.Context(), "GET", "/jobs/"+id+"/result?wait=true&timeout=50&view=full", nil, &r); err != nil {
		t.Errorf("the job %s, which was accepted: %v", id, err)
		return
	}
	if l.killed > 5 && r.worn() {
		t.Logf("the job %s was interrupted too often", id)
	} else if !slices.Contains(want, r.Status) || r.Status == "succeeded" && r.Stdout != "1\n" {
		t.Errorf("the job %s ended as %+v, want %v", id, r, want)
	}
	if told := l.ended[id]; told != "" && told != r.Status {
		t.Errorf("the job %s was told to have ended as %s, and then as %s", id, told, r.Status)
	}
	l.oneEnd(t, c, id)
}

// oneEnd is of a log: it has one end, its last event, and no gap.
func (l *ledger) oneEnd(t *testing.T, c *client, id string) {
	t.Helper()
	resp, err := c.http.Get(c.url + "/jobs/" + id + "/events?follow=false")
	if err != nil {
		t.Error(err)
		return
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	events := strings.Split(strings.TrimSpace(string(text)), "\n\n")
	for i, e := range events {
		if !strings.HasPrefix(e, fmt.Sprintf("id: %d\n", i+1)) {
			t.Errorf("event %d of %s is %q", i+1, id, e)
		}
	}
	if n := strings.Count(string(text), "event: end\n"); n != 1 || !strings.Contains(events[len(events)-1], "event: end\n") {
		t.Errorf("the log of %s has %d ends:\n%s", id, n, text)
	}
}

func (l *ledger) settleBatch(t *testing.T, c *client, id string) {
	t.Helper()
	var b struct {
		Status string
		Counts map[string]int
	}
	for range 600 {
		if _, err := c.call(t.Context(), "GET", "/batches/"+id, nil, &b); err != nil {
			t.Errorf("the batch %s, which was accepted: %v", id, err)
			return
		}
		if b.Status != "running" {
			break
		}
		<-time.After(50 * time.Millisecond) // a batch has no event to wait for
	}
	if b.Status != "finished" || b.Counts["succeeded"] != 2 && l.killed <= 5 {
		t.Errorf("the batch %s ended as %+v", id, b)
	}
}

// count looks for jobs that a key made twice, and for those that never end.
func (l *ledger) count(t *testing.T, c *client) {
	t.Helper()
	byKey := map[string]string{}
	for offset := 0; ; offset += 1000 {
		var page struct {
			Items   []record
			HasMore bool `json:"has_more"`
		}
		if _, err := c.call(t.Context(), "GET", fmt.Sprintf("/executions?limit=1000&view=full&offset=%d", offset), nil, &page); err != nil {
			t.Error(err)
			return
		}
		for _, r := range page.Items {
			if r.Key != nil {
				if other := byKey[*r.Key]; other != "" {
					t.Errorf("the key %s made %s and %s", *r.Key, other, r.ID)
				}
				byKey[*r.Key] = r.ID
			}
			if told := l.ended[r.ID]; told != "" && told != r.Status {
				t.Errorf("%s was told to have ended as %s and is %s", r.ID, told, r.Status)
			}
		}
		if !page.HasMore {
			return
		}
	}
}
