package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/takovm/tako/internal/job"
	tako "github.com/takovm/tako/sdk/go"
)

// each does something for every argument; what fails does not keep the rest
// from being done.
func (r *remote) each(ctx context.Context, ids []string, word string, do func(context.Context, *tako.Client, string) (*tako.Done, error)) error {
	c, err := r.client()
	if err != nil {
		return err
	}
	var failed error
	done := []*tako.Done{}
	for _, id := range ids {
		d, err := do(ctx, c, id)
		if err != nil {
			fmt.Fprintf(r.app.streams.Err, "tako: %s: %s\n", oneLine(id), oneLine(err.Error()))
			failed = failure(err)
			continue
		}
		done = append(done, d)
	}
	if err := r.say(done, func() {
		for _, d := range done {
			r.printf("%s %s\n", d.JobID, word)
		}
	}); err != nil {
		return err
	}
	if failed != nil {
		return &exitError{code: failed.(*exitError).code} // it was said
	}
	return nil
}

func (a *app) newJobsCancelCommand() *cobra.Command {
	cmd, r := a.remoteCommand(&cobra.Command{
		Use: "cancel JOB...", Short: "End jobs, waiting or running", Args: someIDs("job"), SuggestFor: []string{"kill", "stop"},
		Long: `End jobs, waiting or running. The sandbox of one that runs is destroyed at once; what
its program printed is kept, what is in /output is not.`,
		Example: "  tako jobs cancel 3f2a...",
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return r.each(cmd.Context(), args, "cancelled", func(ctx context.Context, c *tako.Client, id string) (*tako.Done, error) {
			return c.Cancel(ctx, id)
		})
	}
	return cmd
}

// again are the flags of rerun and fork.
type again struct {
	app     *app
	jobType string
	timeout int
	wait    bool
}

func (g *again) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&g.jobType, "job-type", "", "run as this `type` (default the job's own)")
	cmd.Flags().IntVar(&g.timeout, "timeout", 0, "`seconds` that the code may take (default the job's own)")
	cmd.Flags().BoolVar(&g.wait, "wait", false, "wait for its end and print what it writes, as logs -f")
	g.app.completesTypes(cmd, "job-type")
}

func (g *again) seconds() *int {
	if g.timeout == 0 {
		return nil
	}
	return &g.timeout
}

// made prints the job that was made, or follows it.
func (g *again) made(ctx context.Context, r *remote, c *tako.Client, s *tako.Submitted) error {
	if !g.wait {
		return r.say(s, func() { r.printf("%s\n", s.JobID) })
	}
	fmt.Fprintf(r.app.streams.Err, "tako: the job is %s\n", oneLine(s.JobID))
	status, err := r.logs(ctx, c, s.JobID, tako.EventsOptions{Patience: -1})
	if err == nil && status != job.Succeeded {
		return &exitError{code: exitFailed, msg: fmt.Sprintf("the job ended as %s", status)}
	}
	return err
}

func (a *app) newJobsRerunCommand() *cobra.Command {
	g := &again{app: a}
	cmd, r := a.remoteCommand(&cobra.Command{
		Use: "rerun JOB", Short: "Run a job again", Args: oneID("job"),
		Long: `Run a job again, exactly as it was: code, input, files, environment, limits. The
new job's id is printed.`,
		SuggestFor: []string{"retry", "repeat"},
		Example:    "  tako jobs rerun 3f2a... --wait\n  tako jobs rerun 3f2a... --timeout 120",
	})
	g.flags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := r.client()
		if err != nil {
			return err
		}
		s, err := c.Rerun(cmd.Context(), args[0], tako.RerunRequest{JobType: g.jobType, Timeout: g.seconds()})
		if err != nil {
			return failure(err)
		}
		return g.made(cmd.Context(), r, c, s)
	}
	return cmd
}

func (a *app) newJobsForkCommand() *cobra.Command {
	g := &again{app: a}
	var file string
	cmd, r := a.remoteCommand(&cobra.Command{
		Use: "fork JOB --code FILE", Short: "Run other code with a job's input", Args: oneID("job"),
		Long:    `Run other code with the input, files and limits of a job. The new job's id is printed.`,
		Example: "  tako jobs fork 3f2a... --code fixed.py --wait",
	})
	g.flags(cmd)
	cmd.Flags().StringVar(&file, "code", "", "`file` with the code, - for standard input")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		code, err := a.codeOf(file)
		if err != nil {
			return err
		}
		c, err := r.client()
		if err != nil {
			return err
		}
		s, err := c.Fork(cmd.Context(), args[0], tako.ForkRequest{Code: code, JobType: g.jobType, Timeout: g.seconds()})
		if err != nil {
			return failure(err)
		}
		return g.made(cmd.Context(), r, c, s)
	}
	return cmd
}

// codeOf reads the file that --code names. The server bounds it; this only
// keeps a mistake from filling memory.
func (a *app) codeOf(file string) (string, error) {
	const most = 16 << 20
	var from io.Reader = a.streams.In
	switch file {
	case "":
		return "", usageError("--code is missing: name a file with the code, or - for standard input")
	case "-":
	default:
		f, err := os.Open(file)
		if err != nil {
			return "", usageError("--code %s: %s", file, pathCause(err))
		}
		defer f.Close()
		from = f
	}
	code, err := io.ReadAll(io.LimitReader(from, most))
	if err != nil {
		return "", usageError("--code %s: %s", file, pathCause(err))
	}
	return string(code), nil
}

func (a *app) newJobsPurgeCommand() *cobra.Command {
	var older, status string
	cmd, r := a.remoteCommand(&cobra.Command{
		Use: "purge (JOB... | --older-than AGE)", Short: "Remove jobs that have ended: records, events, files", SuggestFor: []string{"rm", "remove", "delete"},
		Long: `Remove jobs that have ended, with their records, events and files. Which of them,
say their ids, or --older-than with days, hours or minutes (30d, 12h, 90m).`,
		Example: "  tako jobs purge 3f2a...\n  tako jobs purge --older-than 30d --status failed",
	})
	cmd.Flags().StringVar(&older, "older-than", "", "jobs that ended longer ago than this `age`: 30d, 12h, 90m")
	cmd.Flags().StringVar(&status, "status", "", "with --older-than: only those with this `status`: succeeded, failed, timeout, oom, cancelled")
	completes(cmd, "status", statuses()[2:]...) // what has ended
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if (len(args) == 0) == (older == "") {
			return usageError("tako jobs purge takes ids of jobs or --older-than, and not both")
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if older != "" {
			age, err := parseAge(older)
			if err != nil {
				return err
			}
			if args, err = r.endedBefore(cmd.Context(), time.Now().Add(-age), status); err != nil {
				return err
			}
		}
		return r.each(cmd.Context(), args, "removed", func(ctx context.Context, c *tako.Client, id string) (*tako.Done, error) {
			return c.Delete(ctx, id)
		})
	}
	return cmd
}

// endedBefore lists jobs that ended before a time.
func (r *remote) endedBefore(ctx context.Context, t time.Time, status string) ([]string, error) {
	c, err := r.client()
	if err != nil {
		return nil, err
	}
	var ids []string
	f := tako.ExecutionFilter{Status: status, ListOptions: tako.ListOptions{Limit: 1000}}
	for {
		page, err := c.Executions(ctx, f)
		if err != nil {
			return nil, failure(err)
		}
		for _, e := range page.Items {
			if e.EndedAt != nil && e.EndedAt.Before(t) {
				ids = append(ids, e.ExecutionID)
			}
		}
		if !page.HasMore || len(page.Items) == 0 { // a server that has more and gives none would never be done
			return ids, nil
		}
		f.Offset += len(page.Items)
	}
}

// parseAge reads 30d, or what Go calls a duration.
func parseAge(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return d, nil
	}
	return 0, usageError("%q is no age: write 30d, 12h or 90m", text)
}
