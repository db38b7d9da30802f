package queue_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/queue"
)

// changing is a job type that its operator changes.
type changing struct{ memory atomic.Int64 }

func (c *changing) Resolve(context.Context, string) (job.Type, error) {
	t := job.Type{Name: "default", Ref: "default@latest", Limits: job.DefaultLimits(), Env: map[string]string{"A": "b"}}
	t.Limits.Memory = c.memory.Load()
	return t, nil
}

// What a job type meant when a job was accepted holds for the job and for what
// repeats it; another type is taken as it is now.
func TestAgainIsExact(t *testing.T) {
	types := &changing{}
	types.memory.Store(128 << 20)
	r := newRig(t, func(o *queue.Options) { o.Types = types })
	first := r.wait(t, r.submit(t, request("x"), queue.Origin{}).ID)
	types.memory.Store(256 << 20)
	again, err := r.Again(t.Context(), first.ID, job.Rerun, queue.Change{}, queue.Origin{})
	if err != nil {
		t.Fatal(err)
	}
	if got := again.Request; got.Type.Limits.Memory != 128<<20 || got.Type.Env["A"] != "b" || got.Environment != "image" {
		t.Errorf("the rerun has %+v in %q", got.Type, got.Environment)
	}
	if again.Fingerprint != first.Fingerprint {
		t.Error("what was asked for is not the same")
	}
	name := "other"
	other, err := r.Again(t.Context(), first.ID, job.Fork, queue.Change{JobType: &name}, queue.Origin{})
	if err != nil {
		t.Fatal(err)
	}
	if got := other.Request; got.Type.Limits.Memory != 256<<20 || got.Environment != "" {
		t.Errorf("the fork of another type has %+v in %q", got.Type, got.Environment)
	}
}
