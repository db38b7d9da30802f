package attempt

import (
	"context"
	"strings"
	"testing"

	"github.com/takovm/tako/internal/egress"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/runner"
)

// drawer has values.
type drawer map[string]string

func (d drawer) Reveal(_ context.Context, name string) (string, error) {
	v, ok := d[name]
	switch {
	case !ok:
		return "", job.Errorf(job.KindNotFound, "secret %s is not set", name)
	case v == "sealed":
		return "", job.Errorf(job.KindConfig, "secret %s cannot be read", name)
	case v == "away":
		return "", job.Errorf(job.KindUnavailable, "the database is away")
	}
	return v, nil
}

// An attempt of a type with secrets has placeholders and a policy with values;
// where a value cannot be had, it fails before anything runs.
func TestSecrets(t *testing.T) {
	authority, err := egress.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	typ := plainType()
	typ.Network = job.Network{Mode: job.NetworkAllow, Allow: []string{"a.example"}}
	typ.Secrets = []job.SecretBinding{{Name: "K", Host: "a.example"}}
	closed := &job.Network{Mode: job.NetworkNone}
	elsewhere := typ
	elsewhere.Secrets = []job.SecretBinding{{Name: "K", Host: "b.example"}}
	for name, tc := range map[string]struct {
		typ     job.Type
		from    Secrets
		request job.Request
		kind    string // of the error
		detail  string
		key     string
		again   bool
	}{
		"a value":              {typ, drawer{"K": "0123456789"}, job.Request{}, "", "", "tako-secret.K.placeholder", false},
		"its own variable":     {typ, drawer{"K": "0123456789"}, job.Request{Env: map[string]string{"K": "mine"}}, "", "", "mine", false},
		"no network this time": {typ, drawer{"K": "0123456789"}, job.Request{Network: closed}, "", "", "tako-secret.K.placeholder", false},
		"none set":             {typ, drawer{}, job.Request{}, "config_error", "needs a secret that is not set: K; tako secrets set K", "", false},
		"a lost key":           {typ, drawer{"K": "sealed"}, job.Request{}, "config_error", "cannot be read", "", false},
		"a lost database":      {typ, drawer{"K": "away"}, job.Request{}, "service_unavailable", "the database is away", "", true},
		"nowhere":              {typ, nil, job.Request{}, "config_error", "there is nowhere to have them from", "", false},
		"out of reach":         {elsewhere, drawer{"K": "0123456789"}, job.Request{}, "config_error", "bound to b.example, which jobs cannot reach", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			var ran *runner.Attempt
			e, _ := executor(func(_ context.Context, a runner.Attempt, _ runner.Sinks) (*runner.Result, error) {
				ran = &a
				return &runner.Result{Status: job.Succeeded}, nil
			})
			e.Egress = egress.Options{Authority: authority}
			trust := &runner.Trust{Own: authority.PEM()}
			e.Secrets, e.Trust = tc.from, func() *runner.Trust { return trust }
			end := e.Run(t.Context(), &job.Record{Request: tc.request}, tc.typ, (&memory{}).Append)
			if tc.kind != "" {
				if f := end.Outcome.Error; ran != nil || f == nil || f.Type != tc.kind || !strings.Contains(f.Message, tc.detail) || end.Again != tc.again {
					t.Errorf("it ran: %v; %+v, again %v", ran != nil, f, end.Again)
				}
				return
			}
			if ran == nil {
				t.Fatalf("%+v", end.Outcome.Error)
			}
			if ran.Env["K"] != tc.key || ran.Trust != trust || ran.Redact.String("0123456789") != "**********" || (ran.Network == nil) != (tc.request.Network != nil) {
				t.Errorf("%+v", ran)
			}
		})
	}
}
