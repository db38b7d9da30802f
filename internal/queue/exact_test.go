package queue_test

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/queue"
)

// changing is a job type that its operator changes.
type changing struct {
	memory  atomic.Int64
	network atomic.Pointer[job.Network]
	secrets atomic.Pointer[[]job.SecretBinding]
}

func (c *changing) Resolve(context.Context, string) (job.Type, error) {
	t := job.Type{Name: "default", Ref: "default@latest", Limits: job.DefaultLimits(), Env: map[string]string{"A": "b"}}
	t.Limits.Memory = c.memory.Load()
	if n := c.network.Load(); n != nil {
		t.Network = *n
	}
	if s := c.secrets.Load(); s != nil {
		t.Secrets = *s
	}
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

// A network that a type gives no more is not given to what repeats its jobs.
func TestAgainHasNoMoreNetwork(t *testing.T) {
	types := &changing{}
	types.memory.Store(128 << 20)
	types.network.Store(&job.Network{Mode: job.NetworkAllow, Allow: []string{"a.example", "b.example"}})
	r := newRig(t, func(o *queue.Options) { o.Types = types })
	first := r.wait(t, r.submit(t, request("x"), queue.Origin{}).ID)
	for name, tc := range map[string]struct{ now, want job.Network }{
		"the same":  {job.Network{Mode: job.NetworkAllow, Allow: []string{"b.example", "a.example"}}, *types.network.Load()},
		"more":      {job.Network{Mode: job.NetworkPublic}, *types.network.Load()},
		"less":      {job.Network{Mode: job.NetworkAllow, Allow: []string{"a.example"}}, job.Network{Mode: job.NetworkAllow, Allow: []string{"a.example"}}},
		"otherwise": {job.Network{Mode: job.NetworkAllow, Allow: []string{"c.example"}}, job.Network{Mode: job.NetworkAllow, Allow: []string{"c.example"}}},
		"none":      {job.Network{Mode: job.NetworkNone}, job.Network{Mode: job.NetworkNone}},
	} {
		types.network.Store(&tc.now)
		again, err := r.Again(t.Context(), first.ID, job.Rerun, queue.Change{}, queue.Origin{})
		if err != nil {
			t.Fatal(err)
		}
		if got := again.Request.Type.Network; got.Mode != tc.want.Mode || !slices.Equal(got.Allow, tc.want.Allow) {
			t.Errorf("%s: the rerun has %+v", name, got)
		}
	}
}

// Nor is a secret; one that the type has got since was not its job's.
func TestAgainHasNoMoreSecrets(t *testing.T) {
	binding := func(name, host string) job.SecretBinding { return job.SecretBinding{Name: name, Host: host} }
	both := []job.SecretBinding{binding("A", "a.example"), binding("B", "b.example")}
	types := &changing{}
	types.memory.Store(128 << 20)
	types.network.Store(&job.Network{Mode: job.NetworkPublic})
	types.secrets.Store(&both)
	r := newRig(t, func(o *queue.Options) { o.Types = types })
	first := r.wait(t, r.submit(t, request("x"), queue.Origin{}).ID)
	for name, tc := range map[string]struct{ now, want []job.SecretBinding }{
		"the same":     {both, both},
		"less":         {both[1:], both[1:]},
		"another host": {[]job.SecretBinding{binding("A", "c.example"), both[1]}, both[1:]},
		"more":         {append([]job.SecretBinding{binding("C", "c.example")}, both...), both},
		"none":         {nil, nil},
	} {
		types.secrets.Store(&tc.now)
		again, err := r.Again(t.Context(), first.ID, job.Rerun, queue.Change{}, queue.Origin{})
		if err != nil {
			t.Fatal(err)
		}
		if got := again.Request.Type.Secrets; !slices.Equal(got, tc.want) {
			t.Errorf("%s: the rerun has %+v", name, got)
		}
	}
}

// A network that its type does not give is refused when the job comes, not when
// it runs.
func TestRequestsOnlyNarrow(t *testing.T) {
	types := &changing{}
	types.memory.Store(128 << 20)
	types.network.Store(&job.Network{Mode: job.NetworkAllow, Allow: []string{"a.example", "b.example"}})
	r := newRig(t, func(o *queue.Options) { o.Types = types })
	for name, tc := range map[string]struct {
		asked job.Network
		want  string
	}{
		"less":    {job.Network{Mode: job.NetworkAllow, Allow: []string{"a.example"}}, ""},
		"none":    {job.Network{Mode: job.NetworkNone}, ""},
		"more":    {job.Network{Mode: job.NetworkAllow, Allow: []string{"a.example", "c.example"}}, "c.example"},
		"all":     {job.Network{Mode: job.NetworkPublic}, "the job type allows certain hosts only"},
		"a typo":  {job.Network{Mode: job.NetworkAllow, Allow: []string{"*"}}, "*"},
		"nothing": {job.Network{Mode: job.NetworkAllow}, "no patterns"},
	} {
		req := request("x")
		req.Network = &tc.asked
		_, err := r.Submit(t.Context(), req, queue.Origin{})
		if (err == nil) != (tc.want == "") || err != nil && (job.KindOf(err) != job.KindInvalid || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
