package api

import (
	"net/http"

	"github.com/takovm/tako/internal/api/wire"
)

func (c *call) poolStats() error {
	p, err := c.api.service.Pool(c.r.Context())
	if err != nil {
		return err
	}
	w := c.api.service.Sandboxes(c.r.Context())
	return c.ok(wire.PoolStats{
		Pending: p.Pending, Running: p.Running, MaxWorkers: p.MaxWorkers, MaxQueueSize: p.MaxQueueSize,
		Sandboxes: wire.Sandboxes{
			Ready: w.Ready, Making: w.Making, Wanted: w.Wanted, Max: w.Max, Shapes: w.Shapes, Hits: w.Hits, Misses: w.Misses,
			Made: w.Made, Failed: w.Failed, RefillMS: float64(w.Refill.Microseconds()) / 1000, MemoryBytes: w.Memory,
		},
	})
}

func newPool(p Pool) wire.Pool { return wire.Pool(p) }

// Starting answers every request while there is nothing yet to serve it with.
func Starting() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &call{w: w, r: r, correlationID: correlationID(r)}
		setSecurityHeaders(w.Header())
		w.Header().Set(correlationHeader, c.correlationID)
		_ = c.notReady() // what it says can be encoded
	})
}

// notReady answers what is asked too early, or too late.
func (c *call) notReady() error {
	c.w.Header().Set("Retry-After", "1")
	return c.answer(http.StatusServiceUnavailable, wire.Readiness{Status: "starting", Detail: "Server is not ready yet"})
}

// health is for people and for old clients. It asks nobody, so that it costs
// next to nothing.
func (c *call) health() error {
	h := c.api.service.Health(c.r.Context())
	if !h.Ready {
		return c.notReady()
	}
	status := "healthy"
	if !h.Engine.Ready || h.Breaker.State == "open" {
		status = "degraded"
	}
	breaker := wire.Breaker{State: h.Breaker.State, FailureCount: h.Breaker.Failures, SuccessCount: h.Breaker.Successes}
	if !h.Breaker.LastFailure.IsZero() {
		seconds := float64(h.Breaker.LastFailure.UnixMicro()) / 1e6
		breaker.LastFailure = &seconds
	}
	return c.ok(wire.Health{
		Status: status, DockerAvailable: h.Engine.Ready, GvisorAvailable: h.Engine.Ready && h.Engine.Name == "gvisor",
		CircuitBreaker: breaker, Version: c.api.options.Version, ProductionMode: c.api.options.ProductionMode,
		QueueStats: newPool(h.Pool), Engine: wire.Engine(h.Engine),
	})
}

// ready is for balancers: whether to send work here.
func (c *call) ready() error {
	h := c.api.service.Health(c.r.Context())
	if !h.Ready {
		return c.notReady()
	}
	if err := c.api.service.Accepting(c.r.Context()); err != nil {
		answer, _ := translate(err, words{})
		return c.answer(http.StatusServiceUnavailable, wire.Readiness{Status: "unavailable", Detail: wire.Sanitize(answer.detail)})
	}
	return c.ok(wire.Readiness{Status: "ready"})
}

func (c *call) metrics() error {
	c.api.options.Metrics.ServeHTTP(c.w, c.r)
	return nil
}

func (c *call) mcp() error {
	c.patient()
	c.api.options.MCP(c.w, c.r, c.principal)
	return nil
}
