package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

//go:embed client.py
var clientProgram string

// wantedClientMS is what the Python client may add to a raw call.
const wantedClientMS = 0.5

// client is what a cheap call takes in Python, by three ways.
type client struct {
	HTTPX        string      `json:"httpx_version"` // the client's own library
	HTTPClientMS percentiles `json:"http_client_ms"`
	HTTPXMS      percentiles `json:"httpx_ms"`
	ClientMS     percentiles `json:"client_ms"`
	// What the client takes more, of p50. Over httpx it is the client's own doing;
	// over http.client httpx's, too.
	OverHTTPXMS      float64 `json:"over_httpx_ms"`
	OverHTTPClientMS float64 `json:"over_http_client_ms"`
}

// client measures the Python package beside raw calls of the same process.
func (s *session) client(ctx context.Context, o options) error {
	const python = "/usr/bin/python3"
	if err := exec.CommandContext(ctx, python, "-c", "import httpx").Run(); err != nil {
		s.printf("\nthe Python client: not measured: it needs httpx (scripts/setup.sh httpx)\n")
		return nil
	}
	root, err := moduleRoot(ctx)
	if err != nil {
		return err
	}
	script := filepath.Join(s.dir, "client.py")
	if err := os.WriteFile(script, []byte(clientProgram), 0o600); err != nil {
		return err
	}
	srv, err := s.startServer(ctx)
	if err != nil {
		return err
	}
	defer srv.stop()
	if err := srv.api.settled(ctx); err != nil {
		return err
	}
	env := append(s.environ(), "PYTHONPATH="+filepath.Join(root, "sdk", "python"), "PYTHONDONTWRITEBYTECODE=1")
	m, err := s.run(ctx, command{path: python, args: []string{script, srv.api.url, strconv.Itoa(o.calls)}, dir: s.dir, env: env, limit: 2 * time.Minute})
	if err != nil {
		return err
	}
	var values struct {
		Version    string
		HTTPClient []float64 `json:"http_client"`
		HTTPX      []float64
		Client     []float64
	}
	if err := json.Unmarshal(m.Stdout, &values); err != nil || m.ExitCode != 0 {
		return fmt.Errorf("the program: exit code %d, it said %.500q", m.ExitCode, m.Stderr)
	}
	c := newClient(values.HTTPClient, values.HTTPX, values.Client)
	c.HTTPX = values.Version
	s.report.Client = c
	s.printClient(c, o.calls)
	return nil
}

func newClient(raw, library, own []float64) *client {
	c := &client{HTTPClientMS: percentilesOf(raw), HTTPXMS: percentilesOf(library), ClientMS: percentilesOf(own)}
	c.OverHTTPXMS, c.OverHTTPClientMS = c.ClientMS.P50-c.HTTPXMS.P50, c.ClientMS.P50-c.HTTPClientMS.P50
	return c
}

func (s *session) printClient(c *client, calls int) {
	s.table(fmt.Sprintf("GET /health from Python, %d calls of each, one after the other, milliseconds", calls), func(row func(string, ...any)) {
		row("\tp50\tp95\tmax\twanted")
		row("http.client\t%s\t-", c.HTTPClientMS)
		row("httpx %s\t%s\t-", c.HTTPX, c.HTTPXMS)
		row("tako_vm\t%s\t-", c.ClientMS)
		row("the Python client's overhead over raw HTTP call p50 (httpx)\t%.3f\t\t\tunder %.1f", c.OverHTTPXMS, wantedClientMS)
		row("the same over http.client\t%.3f\t\t\t-", c.OverHTTPClientMS)
	})
	s.printf("  connections are kept; tako_vm is made of httpx, so what it takes more than that is its own.\n")
}
