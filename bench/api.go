package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"
)

// percentiles of a figure.
type percentiles struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	Max float64 `json:"max"`
}

func percentilesOf(values []float64) percentiles {
	if len(values) == 0 {
		return percentiles{}
	}
	v := slices.Sorted(slices.Values(values))
	at := func(share float64) float64 { return v[min(len(v)-1, int(share*float64(len(v))))] }
	return percentiles{at(0.5), at(0.95), v[len(v)-1]}
}

func (p percentiles) String() string { return fmt.Sprintf("%.2f\t%.2f\t%.2f", p.P50, p.P95, p.Max) }

// apiClient is what the measuring needs of the API.
type apiClient struct {
	url  string
	http *http.Client
}

func newAPIClient(url string) *apiClient {
	return &apiClient{url, &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2 * clients}}}
}

func (c *apiClient) call(ctx context.Context, method, path string, body, answer any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, bytes.NewReader(data))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
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
	return json.Unmarshal(text, answer)
}

// execute runs the trivial job, and answers how long its sandbox took, in
// seconds.
func (c *apiClient) execute(ctx context.Context) (float64, error) {
	var a struct {
		Success       bool
		Error         *string
		ExecutionTime float64 `json:"execution_time"`
	}
	err := c.call(ctx, "POST", "/execute", map[string]any{"code": trivial}, &a)
	if err == nil && !a.Success {
		err = fmt.Errorf("the trivial job failed: %v", a.Error)
	}
	return a.ExecutionTime, err
}

func (c *apiClient) health(ctx context.Context) error {
	var a struct{}
	return c.call(ctx, http.MethodGet, "/health", nil, &a)
}

func (c *apiClient) submit(ctx context.Context, body map[string]any) (id string, err error) {
	var a struct {
		ID string `json:"job_id"`
	}
	err = c.call(ctx, "POST", "/execute/async", body, &a)
	return a.ID, err
}

func (c *apiClient) submitForLater(ctx context.Context) (id string, err error) {
	return c.submit(ctx, map[string]any{"code": trivial, "run_at": time.Now().Add(20 * 24 * time.Hour).Format(time.RFC3339)})
}

func (c *apiClient) submitAndCancel(ctx context.Context) error {
	id, err := c.submitForLater(ctx)
	if err != nil {
		return err
	}
	var a struct{}
	return c.call(ctx, "POST", "/jobs/"+id+"/cancel", struct{}{}, &a)
}

// waitToStart submits the trivial job and answers how long it waited.
func (c *apiClient) waitToStart(ctx context.Context) (time.Duration, error) {
	id, err := c.submit(ctx, map[string]any{"code": trivial})
	if err != nil {
		return 0, err
	}
	var a struct {
		Status    string
		CreatedAt time.Time `json:"created_at"`
		StartedAt time.Time `json:"started_at"`
	}
	err = c.call(ctx, "GET", "/jobs/"+id+"/result?wait=true&timeout=60", nil, &a)
	if err == nil && a.Status != "succeeded" {
		err = fmt.Errorf("the trivial job ended as %s", a.Status)
	}
	return a.StartedAt.Sub(a.CreatedAt), err
}

// settled waits until as many sandboxes wait as should and none is being made
// or removed.
func (c *apiClient) settled(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for quiet := 0; quiet < 3; {
		var stats struct {
			Sandboxes struct{ Ready, Making, Wanted int }
		}
		if err := c.call(ctx, http.MethodGet, "/pool/stats", nil, &stats); err != nil {
			return err
		}
		if quiet++; stats.Sandboxes.Making > 0 || stats.Sandboxes.Ready < stats.Sandboxes.Wanted {
			quiet = 0
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
