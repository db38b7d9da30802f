package attempt

import (
	"context"

	"github.com/takovm/tako/internal/egress"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/redact"
	"github.com/takovm/tako/internal/runner"
)

// Secrets are where values are kept.
type Secrets interface {
	// Reveal answers a value; job.KindNotFound for one that is not set.
	Reveal(ctx context.Context, name string) (string, error)
}

// Bind finds the values of what a job type binds. One that is not set, or from
// nowhere, is the configuration's fault: its jobs would fail in odd ways.
func Bind(ctx context.Context, t job.Type, from Secrets) (list []egress.Secret, err error) {
	for _, b := range t.Secrets {
		if from == nil {
			return nil, job.Errorf(job.KindConfig, "job type %s has secrets, and there is nowhere to have them from", t.Name)
		}
		value, err := from.Reveal(ctx, b.Name)
		if job.KindOf(err) == job.KindNotFound {
			err = job.Errorf(job.KindConfig, "job type %s needs a secret that is not set: %s", t.Name, b.Name).WithHint("tako secrets set %s", b.Name)
		}
		if err != nil {
			return nil, err
		}
		list = append(list, egress.Secret{SecretBinding: b, Value: value})
	}
	return list, nil
}

// Protect has an attempt see the placeholders of a type's secrets, trust who
// opens their connections, and show no value in what comes out of it.
func Protect(a *runner.Attempt, t job.Type, secrets []egress.Secret, trust func() *runner.Trust) {
	if len(t.Secrets) == 0 {
		return
	}
	a.Env = merged(a.Env, placeholders(t))
	a.Trust = trust()
	values := make([]string, 0, len(secrets))
	for _, s := range secrets {
		values = append(values, s.Value)
	}
	a.Redact = redact.New(values...)
}

// placeholders are the variables of a type's secrets.
func placeholders(t job.Type) map[string]string {
	vars := map[string]string{}
	for _, b := range t.Secrets {
		vars[b.Name] = b.Placeholder()
	}
	return vars
}
