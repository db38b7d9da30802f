package attempt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/runner"
)

// maker makes environments as a test has it.
type maker func(ctx context.Context, w Wanted, log io.Writer) (environment.Environment, error)

func (m maker) Environment(ctx context.Context, w Wanted, log io.Writer) (environment.Environment, error) {
	return m(ctx, w, log)
}

// What a job asks for beyond this machine's environment is made before it runs,
// as far as it may ask.
func TestEnvironments(t *testing.T) {
	type asks struct {
		request job.Request
		typ     job.Type
	}
	for name, tc := range map[string]struct {
		asks
		open   bool // requests may ask
		want   string
		error  string
		detail string
	}{
		"nothing":                   {asks{}, false, "", "", ""},
		"a version":                 {asks{typ: job.Type{Environment: "dd"}}, false, "dd", "", ""},
		"a rerun":                   {asks{job.Request{Environment: "ee"}, job.Type{Environment: "dd"}}, false, "ee", "", ""},
		"a type's packages":         {asks{typ: job.Type{Requirements: []string{"a"}}}, false, "made of  true [a]", "", ""},
		"a type's image":            {asks{typ: job.Type{Image: "i"}}, false, "made of i true []", "", ""},
		"a version's packages":      {asks{typ: job.Type{Requirements: []string{"a"}, Environment: "dd"}}, false, "made of dd true [a]", "", ""},
		"the type's own image":      {asks{job.Request{Image: "i"}, job.Type{Image: "i"}}, false, "made of i true []", "", ""},
		"packages of its own":       {asks{job.Request{Requirements: []string{"b"}}, job.Type{Requirements: []string{"a"}}}, true, "made of  true [a b]", "", ""},
		"an image of its own":       {asks{job.Request{Image: "j"}, job.Type{Image: "i"}}, true, "made of j false []", "", ""},
		"packages beside a version": {asks{job.Request{Requirements: []string{"b"}}, job.Type{Environment: "dd"}}, true, "", "config_error", "cannot add packages"},
		"packages that it may not":  {asks{request: job.Request{Requirements: []string{"b"}}}, false, "", "config_error", "Runtime dependency installation is disabled"},
		"an image that it may not":  {asks{request: job.Request{Image: "j"}}, false, "", "config_error", "images of requests are not allowed"},
		"packages that are none":    {asks{typ: job.Type{Requirements: []string{"none"}}}, false, "", "dependency_error", "no such package"},
		"an image that is none":     {asks{typ: job.Type{Image: "none"}}, false, "", "dependency_error", "no such image"},
		"what takes too long":       {asks{typ: job.Type{Requirements: []string{"slow"}}}, false, "", "dependency_error", "longer than its startup_timeout of 0s"},
	} {
		t.Run(name, func(t *testing.T) {
			ran := ""
			e, _ := executor(func(_ context.Context, a runner.Attempt, _ runner.Sinks) (*runner.Result, error) {
				ran = a.Environment.Digest
				return &runner.Result{Status: job.Succeeded}, nil
			})
			e.Packages, e.Images = tc.open, tc.open
			e.Environments = maker(func(ctx context.Context, w Wanted, log io.Writer) (environment.Environment, error) {
				fmt.Fprint(log, "making it")
				switch {
				case w.Image == "none":
					return environment.Environment{}, job.Errorf(job.KindNotFound, "no such image")
				case strings.Join(w.Requirements, "") == "none":
					return environment.Environment{}, job.Errorf(job.KindDependency, "no such package")
				case strings.Join(w.Requirements, "") == "slow":
					<-ctx.Done()
					return environment.Environment{}, context.Cause(ctx)
				}
				return environment.Environment{Digest: fmt.Sprint("made of ", w.Digest+w.Image, " ", w.Pull, " ", w.Requirements)}, nil
			})
			typ := tc.typ
			typ.Limits = job.DefaultLimits()
			if strings.Contains(name, "too long") {
				typ.Limits.Startup = time.Millisecond
			}
			log := &memory{}
			tc.request.Language = "python"
			r := e.Run(t.Context(), &job.Record{Request: tc.request}, typ, log.Append)
			if tc.error == "" {
				if ran != tc.want || r.Status != job.Succeeded {
					t.Errorf("it ran in %q, not %q: %+v", ran, tc.want, r.Outcome.Error)
				}
				return
			}
			if f := r.Outcome.Error; ran != "" || r.Again || f == nil || f.Type != tc.error || !strings.Contains(f.Message, tc.detail) {
				t.Errorf("it ran in %q; %+v", ran, r.Outcome.Error)
			}
		})
	}
}

// What the making says is in the log, and a job that is cancelled meanwhile is
// cancelled.
func TestEnvironmentIsGivenUp(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	e, _ := executor(nil)
	e.Environments = maker(func(ctx context.Context, _ Wanted, log io.Writer) (environment.Environment, error) {
		fmt.Fprint(log, "half of it \xff")
		cancel(errors.New("enough"))
		<-ctx.Done()
		return environment.Environment{}, context.Cause(ctx)
	})
	typ := plainType()
	typ.Requirements = []string{"a"}
	log := &memory{}
	r := e.Run(ctx, &job.Record{Request: job.Request{Language: "python"}}, typ, log.Append)
	all := append(log.events, r.Events...)
	if r.Status != job.Cancelled || len(all) != 1 || all[0].Type != job.EventBuild || !strings.Contains(string(all[0].Data), "half of it \ufffd") {
		t.Errorf("%s, events %+v", r.Status, all)
	}
}
