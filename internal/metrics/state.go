package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// lookTime bounds what looking may cost the one who looks: a database that is
// away must not take the other metrics with it.
const lookTime = 2 * time.Second

// collector asks a State. It describes nothing ahead: what cannot be asked is
// not there.
type collector struct{ State }

func (*collector) Describe(chan<- *prometheus.Desc) {}

func (c *collector) Collect(out chan<- prometheus.Metric) {
	gauge := func(name, help string, v float64) {
		out <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, nil, nil), prometheus.GaugeValue, v)
	}
	counter := func(name, help string, v float64) {
		out <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, nil, nil), prometheus.CounterValue, v)
	}
	c.database(gauge)
	if c.Slots != nil {
		total, used, waiting, memory := c.Slots()
		gauge("tako_slots", "Jobs that may run at once.", float64(total))
		gauge("tako_slots_used", "Jobs that run on this server.", float64(used))
		gauge("tako_slots_waiting", "Who waits for a slot on this server.", float64(waiting))
		gauge("tako_memory_reserved_bytes", "Sum of the memory limits of what runs.", float64(memory))
	}
	if c.Warm != nil {
		ready, wanted, hits, misses, failed, refill := c.Warm()
		gauge("tako_pool_ready", "Sandboxes that wait for a job.", float64(ready))
		gauge("tako_pool_wanted", "Sandboxes that should wait.", float64(wanted))
		counter("tako_pool_hits_total", "Attempts that found a sandbox waiting.", float64(hits))
		counter("tako_pool_misses_total", "Attempts that could have used one and found none.", float64(misses))
		counter("tako_pool_failures_total", "How often no sandbox could be made ready.", float64(failed))
		gauge("tako_pool_refill_seconds", "How long it took to make the last one ready.", refill.Seconds())
	}
	if c.Breaker != nil {
		state := map[string]float64{"closed": 0, "half_open": 1, "open": 2}
		gauge("tako_breaker_state", "The guard before the engine: 0 closed, 1 half open, 2 open.", state[c.Breaker()])
	}
	if c.Disk == nil {
		return
	}
	if free, kept, err := c.Disk(); err == nil {
		gauge("tako_disk_free_bytes", "Free on the data directory's disk.", float64(free))
		gauge("tako_disk_reserve_bytes", "With less than that free, new work is refused.", float64(kept))
	}
}

func (c *collector) database(gauge func(name, help string, v float64)) {
	if c.Stats == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookTime)
	defer cancel()
	began := time.Now()
	st, err := c.Stats(ctx)
	up := 0.0
	if err == nil {
		up = 1
	}
	gauge("tako_database_up", "1 if the database answers.", up)
	gauge("tako_database_look_seconds", "How long it took to count what is stored.", time.Since(began).Seconds())
	if err != nil {
		return
	}
	age := 0.0
	if !st.OldestQueued.IsZero() {
		age = max(0, time.Since(st.OldestQueued).Seconds())
	}
	gauge("tako_queue_depth", "Jobs that wait.", float64(st.Queued))
	gauge("tako_queue_oldest_seconds", "How long the job has waited that waits longest.", age)
	gauge("tako_jobs_running", "Jobs that run, on all servers of the database.", float64(st.Running))
	gauge("tako_dead_letters", "Jobs that were given up.", float64(st.DeadLetters))
	gauge("tako_database_bytes", "Size of the database.", float64(st.SizeBytes))
}
