package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/takovm/tako/internal/assembly"
	"github.com/takovm/tako/internal/config"
)

const doctorLong = `Say what isolation this host gives and what to do about each gap.

Exit code 0 where the configured security_mode is met: strict (the default)
needs every limit enforced, permissive needs sandboxes to start at all. It runs
one job, in the data directory; a server that runs is not touched.`

func (a *app) newDoctorCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "doctor",
		Short:   "Say what isolation this host gives",
		Long:    doctorLong,
		Example: "  tako doctor\n  TAKO_VM_SECURITY_MODE=permissive tako doctor --json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.doctor(cmd.Context(), asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the report as one JSON object")
	return cmd
}

// check is one line of the report.
type check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
	Mend   string `json:"mend,omitempty"`
	// Fatal says that permissive mode does not get over it.
	Fatal bool `json:"fatal,omitempty"`
}

type diagnosis struct {
	SecurityMode config.SecurityMode `json:"security_mode"`
	Met          bool                `json:"met"`
	Checks       []check             `json:"checks"`
}

func (a *app) doctor(ctx context.Context, asJSON bool) error {
	cfg, err := a.config()
	if err != nil {
		return &exitError{code: exitFailed, msg: err.Error()}
	}
	d := diagnosis{SecurityMode: cfg.SecurityMode, Met: true}
	d.Checks, err = a.examine(ctx, cfg)
	if err != nil {
		return err
	}
	for _, c := range d.Checks {
		if !c.OK && (c.Fatal || cfg.SecurityMode == config.Strict) {
			d.Met = false
		}
	}
	if asJSON {
		e := json.NewEncoder(a.streams.Out)
		e.SetIndent("", "  ")
		err = e.Encode(d)
	} else {
		err = a.printDiagnosis(d)
	}
	if err != nil {
		return fmt.Errorf("printing the report: %w", err)
	}
	if !d.Met {
		return &exitError{code: exitFailed}
	}
	return nil
}

// examine looks at the host and then does the real thing: one job.
func (a *app) examine(ctx context.Context, cfg *config.Config) ([]check, error) {
	probe, err := assembly.Probe(ctx)
	if err != nil {
		return nil, err
	}
	info, caps := probe.Info, probe.Capabilities
	age := "of unknown age"
	if !info.Released.IsZero() {
		age = fmt.Sprintf("%d days old", int(time.Since(info.Released).Hours()/24))
	}
	who := "root"
	if caps.Rootless {
		who = fmt.Sprintf("rootless, uid %d", os.Getuid())
	}
	groups := "none that may be written"
	if caps.CgroupVersion > 0 {
		groups = fmt.Sprintf("v%d", caps.CgroupVersion)
	}
	checks := []check{
		{Name: "engine", OK: caps.Ready, Fatal: true, Mend: caps.Hint, Detail: strings.TrimSpace(fmt.Sprintf(
			"%s %s, %s, platform %s %s", info.Name, info.Version, age, info.Platform, caps.Reason))},
		{Name: "user", OK: true, Detail: who},
		{Name: "cgroup", OK: caps.CgroupVersion > 0, Detail: groups + exercised(caps.CgroupVersion), Mend: cgroupMend(caps.CgroupVersion)},
	}
	for _, l := range caps.Limits {
		detail := "by " + l.By
		if !l.Enforced {
			detail = "not enforced"
		}
		checks = append(checks, check{Name: "limit: " + l.Name, OK: l.Enforced, Detail: detail, Mend: l.Hint})
	}
	checks = append(checks, dataDirectory(ctx, cfg))
	return append(checks, a.trialJob(ctx, cfg)), nil
}

// exercised is plain about what has been run on real machines.
func exercised(version int) string {
	if version == 2 {
		return " (tako's own tests know v2 from a fake tree only; v1 from real machines)"
	}
	return ""
}

func cgroupMend(version int) string {
	if version > 0 {
		return ""
	}
	return "run tako as root, or in a delegated cgroup: systemd-run --user --scope -p Delegate=yes tako ..."
}

// dataDirectory tries what every run does first.
func dataDirectory(ctx context.Context, cfg *config.Config) check {
	c := check{Name: "data directory", Fatal: true, OK: true, Detail: filepath.Clean(cfg.DataDir)}
	if err := assembly.CheckDataDir(ctx, cfg); err != nil {
		c.OK, c.Detail = false, oneLine(err.Error())
	}
	return c
}

// trialJob runs a job in permissive mode, so that it says whether sandboxes
// work here and not whether limits hold, which the other lines say.
func (a *app) trialJob(ctx context.Context, cfg *config.Config) check {
	c := check{Name: "trial job", Fatal: true}
	begun := time.Now()
	out, err := assembly.Trial(ctx, cfg, newProgress(a.streams.Err, false))
	if err != nil {
		c.Detail = oneLine(err.Error())
		return c
	}
	c.OK = true
	c.Detail = fmt.Sprintf("%s in %d ms", out, time.Since(begun).Milliseconds())
	return c
}

func (a *app) printDiagnosis(d diagnosis) error {
	w := tabwriter.NewWriter(a.streams.Out, 0, 4, 2, ' ', 0)
	for _, c := range d.Checks {
		mark := "ok"
		if !c.OK {
			mark = "NO"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", mark, c.Name, c.Detail)
		if !c.OK && c.Mend != "" {
			fmt.Fprintf(w, "\t\t-> %s\n", c.Mend)
		}
	}
	verdict := "met"
	if !d.Met {
		verdict = "not met"
	}
	fmt.Fprintf(w, "\nsecurity_mode %s: %s\n", d.SecurityMode, verdict)
	return w.Flush()
}
