package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/takovm/tako/internal/api/wire"
	"github.com/takovm/tako/internal/job"
)

// record is r in the view that was asked for.
func (c *call) record(r *job.Record) any {
	if c.full() {
		return wire.NewFullRecord(r)
	}
	return wire.NewRecord(r)
}

// found is the record that the path names.
func (c *call) found(parameter string) (job.Record, error) {
	id, err := c.id(parameter)
	if err != nil {
		return job.Record{}, err
	}
	return c.api.service.Get(c.r.Context(), c.principal, id)
}

func (c *call) jobStatus() error {
	r, err := c.found("job_id")
	if err != nil {
		return err
	}
	position := 0
	if r.Status == job.Queued {
		if position, err = c.api.service.Position(c.r.Context(), c.principal, r.ID); err != nil {
			return err
		}
	}
	return c.ok(wire.NewJobStatus(&r, position))
}

func (c *call) jobResult() error {
	if !c.query["wait"].Bool() {
		r, err := c.found("job_id")
		if err != nil {
			return err
		}
		return c.ok(c.record(&r))
	}
	id, err := c.id("job_id")
	if err != nil {
		return err
	}
	r, err := c.wait(id)
	if err != nil {
		return err
	}
	return c.ok(c.record(&r))
}

// wait waits for a job's end, for as long as the caller wants to.
func (c *call) wait(id string) (job.Record, error) {
	seconds := 30.0
	if v := c.query["timeout"]; v.Has() {
		seconds = v.Float()
	}
	c.patient()
	ctx, cancel := context.WithTimeout(c.r.Context(), time.Duration(seconds*float64(time.Second)))
	defer cancel()
	r, err := c.api.service.Wait(ctx, c.principal, id)
	if errors.Is(err, context.DeadlineExceeded) {
		return r, fail(http.StatusRequestTimeout, "Timeout waiting for job")
	}
	return r, err
}

func (c *call) cancelJob() error {
	id, err := c.id("job_id")
	if err != nil {
		return err
	}
	r, err := c.api.service.Cancel(c.r.Context(), c.principal, id)
	if err != nil {
		return err
	}
	return c.ok(wire.Done{Status: string(job.Cancelled), JobID: r.ID})
}

func (c *call) deleteJob() error {
	id, err := c.id("job_id")
	if err != nil {
		return err
	}
	if err := c.api.service.Delete(c.r.Context(), c.principal, id); err != nil {
		return err
	}
	return c.ok(wire.Done{Status: "deleted", JobID: id})
}
