package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/takovm/tako/internal/assembly"
	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/egress"
	"github.com/takovm/tako/internal/job"
)

const netLong = `Look at the network that jobs have. It is none, unless a job type or --allow-host of
tako run says otherwise:

    tako net explain --allow-host '*.example.com' https://api.example.com`

func (a *app) newNetCommand() *cobra.Command {
	cmd := group("net", "Look at the network that jobs have", a.newNetExplainCommand())
	cmd.Long = netLong
	cmd.SuggestFor = []string{"network"}
	return cmd
}

func (a *app) newNetExplainCommand() *cobra.Command {
	r := &remote{app: a}
	var jobType string
	var allow []string
	cmd := &cobra.Command{
		Use: "explain [flags] TARGET...", Short: "Say what a job could connect to, and why",
		Long: `Say what would happen if a job connected to each TARGET now: a URL, a host (port
443) or host:port. The same code decides as for a job, names are looked up, and
nothing is connected to. Policies come from the configuration file; no server is
asked.

With --allow-host, the policy is that of a request with these patterns, which
has to be within the policy of the job type, if one is named. A pattern is
api.example.com, *.example.com or a CIDR, each with :port or :port-port after
it (default 80 and 443).

Exit codes: 0 all of them are allowed, 1 one of them is not.`,
		Example: `  tako net explain --job-type scraper https://example.com
  tako net explain --allow-host '*.example.com' --allow-host db.internal:5432 db.internal:5432`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError("tako net explain needs a target, such as https://example.com")
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&jobType, "job-type", "", "the `type` whose policy holds (default the type that is called default)")
	cmd.Flags().StringArrayVar(&allow, "allow-host", nil, "a `pattern` of a request's policy; may be given again")
	a.completesTypes(cmd, "job-type")
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	cmd.Flags().BoolVar(&r.json, "json", false, "print the verdicts as JSON")
	cmd.RunE = func(cmd *cobra.Command, targets []string) error {
		cfg, err := a.config()
		if err != nil {
			return &exitError{code: exitFailed, msg: err.Error()}
		}
		p, err := policyOf(cmd.Context(), cfg, jobType, allow)
		if err != nil {
			return err
		}
		return r.explain(cmd.Context(), p, targets)
	}
	return cmd
}

// policyOf is the policy of a job type, or of a request's patterns within it.
func policyOf(ctx context.Context, cfg *config.Config, ref string, allow []string) (*egress.Policy, error) {
	asked := job.Network{Mode: job.NetworkAllow, Allow: allow}
	if ref == "" && len(allow) > 0 {
		o, err := assembly.Egress(cfg, nil)
		if err != nil {
			return nil, err
		}
		return egress.Compile(asked, o)
	}
	types, _, err := assembly.JobTypes(cfg)
	if err != nil {
		return nil, err
	}
	if name, _, _ := strings.Cut(ref, "@"); name != "" {
		if _, err := types.Get(ctx, name); err != nil {
			return nil, job.Errorf(job.KindNotFound, "there is no job type %q in the configuration or in job_types.json", name).
				WithHint("tako config lists job_types, beside those that are built in")
		}
	}
	t, err := types.Resolve(ctx, ref)
	if err != nil {
		return nil, err
	}
	o, err := assembly.Egress(cfg, egress.Unvalued(t.Secrets))
	if err != nil {
		return nil, err
	}
	if len(allow) == 0 {
		return egress.Compile(t.Network, o)
	}
	o.Within = &t.Network
	return egress.Compile(asked, o)
}

// explain prints a verdict for each target.
func (r *remote) explain(ctx context.Context, p *egress.Policy, targets []string) error {
	verdicts := make([]egress.Verdict, 0, len(targets))
	refused := false
	for _, target := range targets {
		v, err := p.Explain(ctx, target)
		if err != nil {
			return err
		}
		verdicts = append(verdicts, v)
		refused = refused || !v.Allowed
	}
	err := r.say(verdicts, func() {
		for _, v := range verdicts {
			r.explained(v)
		}
	})
	if err == nil && refused {
		return &exitError{code: exitFailed}
	}
	return err
}

func (r *remote) explained(v egress.Verdict) {
	word := "allowed"
	if !v.Allowed {
		word = "refused"
	}
	r.printf("%s: %s\n", oneLine(v.Target), word)
	for _, s := range v.Steps {
		mark := "ok"
		if !s.OK {
			mark = "no"
		}
		r.printf("  %-2s  %-8s %s\n", mark, s.What, oneLine(s.Why))
	}
}
