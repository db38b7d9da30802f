// Package metrics counts what a server does, for Prometheus. Names begin with
// tako_, times are in seconds, sizes in bytes. Labels have few values: routes by
// their pattern, never by their path, and nothing that a caller makes up.
package metrics

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// Metrics are those of one server.
type Metrics struct {
	registry *prometheus.Registry

	requests    *prometheus.CounterVec
	requestTime *prometheus.HistogramVec
	jobs        *prometheus.CounterVec
	sandboxes   *prometheus.CounterVec
	wait, run   *prometheus.HistogramVec
	webhooks    *prometheus.CounterVec
}

// State is what is asked when somebody looks.
type State struct {
	// Stats counts what is stored.
	Stats func(ctx context.Context) (store.Stats, error)
	// Slots, all of them, those in use, who waits for one, and the memory that
	// what runs may take.
	Slots func() (total, used, waiting int, memory int64)
	// Warm are the sandboxes that wait: how many, how many are wanted, attempts
	// that found one and that did not, how many could not be made, and how long
	// the last one took.
	Warm func() (ready, wanted int, hits, misses, failed int64, refill time.Duration)
	// Breaker is closed, open or half_open.
	Breaker func() string
	// Disk is what is free for us and what is kept free; nil where it is not
	// known.
	Disk func() (free, kept int64, err error)
}

// New makes the metrics of a server.
func New(version, engine, engineVersion string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: counters("tako_http_requests_total", "Requests by route, method and status; 0 is one that was cut off.", "route", "method", "status"),
		requestTime: histograms("tako_http_request_seconds", "Time to answer a request, streams and waits included.",
			[]float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60, 300}, "route"),
		jobs:      counters("tako_jobs_total", "Jobs that ended, by status, by what ended them and by path (sync, async).", "status", "ended_by", "path"),
		sandboxes: counters("tako_sandboxes_total", "Sandboxes that ran a job, by where they came from.", "supply"),
		wait: histograms("tako_job_wait_seconds", "From when a job could run to when it did.",
			[]float64{.001, .0025, .005, .01, .05, .1, .5, 1, 5, 30, 120, 600, 3600}, "path"),
		run: histograms("tako_job_run_seconds", "Time of the last attempt, its sandbox included.",
			[]float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 15, 60, 300, 3600}, "status"),
		webhooks: counters("tako_webhook_tries_total", "Tries to deliver a webhook, by outcome.", "outcome"),
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{Name: "tako_info", Help: "1; the labels say what runs.",
		ConstLabels: prometheus.Labels{"version": version, "engine": engine, "engine_version": engineVersion}})
	info.Set(1)
	m.registry.MustRegister(info, m.requests, m.requestTime, m.jobs, m.sandboxes, m.wait, m.run, m.webhooks,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func histograms(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
}

// Request counts an answered request.
func (m *Metrics) Request(route, method string, status int, took time.Duration) {
	m.requests.WithLabelValues(route, known(method), strconv.Itoa(status)).Inc()
	m.requestTime.WithLabelValues(route).Observe(took.Seconds())
}

// known is a method that there is: callers make up others.
func known(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, http.MethodPatch:
		return method
	}
	return "other"
}

// Ended counts a record that has ended.
func (m *Metrics) Ended(r *job.Record) {
	path := "async"
	if r.Sync {
		path = "sync"
	}
	m.jobs.WithLabelValues(string(r.Status), string(r.Outcome.EndedBy.Actor), path).Inc()
	if supply := r.Outcome.Sandbox.Supply; supply != "" {
		m.sandboxes.WithLabelValues(string(supply)).Inc()
	}
	if r.StartedAt.IsZero() {
		return
	}
	ready := r.CreatedAt
	if r.Request.RunAt.After(ready) {
		ready = r.Request.RunAt
	}
	if len(r.Attempts) <= 1 {
		m.wait.WithLabelValues(path).Observe(max(0, r.StartedAt.Sub(ready).Seconds()))
	}
	m.run.WithLabelValues(string(r.Status)).Observe(r.EndedAt.Sub(r.StartedAt).Seconds())
}

// Webhook counts a try: delivered, retried or given up.
func (m *Metrics) Webhook(outcome string) { m.webhooks.WithLabelValues(outcome).Inc() }

// Watch adds what is asked when somebody looks.
func (m *Metrics) Watch(s State) { m.registry.MustRegister(&collector{s}) }

// Handler answers in the text format of Prometheus.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}
