package cli

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	tako "github.com/takovm/tako/sdk/go"
)

const jobsLong = `Look at jobs of a server, cancel, repeat and remove them. A job has an id, which
whoever submits it is told:

    tako jobs list --status failed     which jobs there are
    tako jobs logs -f JOB              what one writes, until it ends
    tako jobs show JOB                 how it ended, and why
    tako jobs rerun JOB --wait         the same again

Jobs of "tako run" are not among them: they need no server and leave no record.`

func (a *app) newJobsCommand() *cobra.Command {
	cmd := group("jobs", "Look at jobs of a server, cancel, repeat and remove them",
		a.newJobsListCommand(), a.newJobsShowCommand(), a.newJobsLogsCommand(), a.newJobsArtifactsCommand(),
		a.newJobsCancelCommand(), a.newJobsRerunCommand(), a.newJobsForkCommand(), a.newJobsPurgeCommand())
	cmd.Long = jobsLong
	cmd.SuggestFor = []string{"job", "ps", "ls", "executions"}
	return cmd
}

func (a *app) newJobsListCommand() *cobra.Command {
	var f tako.ExecutionFilter
	var labels []string
	cmd, r := a.remoteCommand(&cobra.Command{
		Use: "list", Short: "List jobs, newest first", Args: noArgs, SuggestFor: []string{"ls", "ps"},
		Long: `List jobs, newest first: id, status, type, when it came, how long it took, exit code
and error.`,
		Example: "  tako jobs list --status failed --limit 20\n  tako jobs list --label team:search --json",
	})
	flags := cmd.Flags()
	flags.StringVar(&f.Status, "status", "", "only jobs with this `status`: queued, running, succeeded, failed, timeout, oom, cancelled")
	flags.StringVar(&f.JobType, "job-type", "", "only jobs of this `type`")
	flags.StringArrayVar(&labels, "label", nil, "only jobs with this label, `key:value`; all of several have to be there")
	flags.IntVar(&f.Limit, "limit", 20, "jobs at most, 1 to 1000")
	flags.IntVar(&f.Offset, "offset", 0, "jobs to leave out from the newest on (default 0)")
	completes(cmd, "status", statuses()...)
	a.completesTypes(cmd, "job-type")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		err := checkLimit(f.Limit)
		if err != nil {
			return err
		}
		if f.Labels, err = parseLabels(labels); err != nil {
			return err
		}
		c, err := r.client()
		if err != nil {
			return err
		}
		page, err := c.Executions(cmd.Context(), f)
		if err != nil {
			return failure(err)
		}
		return r.say(page, func() { r.records(page) })
	}
	return cmd
}

// checkLimit refuses 0, too: the client takes it for no limit of its own, and the
// server has another.
func checkLimit(n int) error {
	if n < 1 || n > 1000 {
		return usageError("--limit %d: it must be between 1 and 1000", n)
	}
	return nil
}

func parseLabels(texts []string) (map[string]string, error) {
	labels := map[string]string{}
	for _, text := range texts {
		key, value, ok := strings.Cut(text, ":")
		if !ok || key == "" {
			return nil, usageError("--label %q: write key:value", text)
		}
		labels[key] = value
	}
	return labels, nil
}

func (r *remote) records(page *tako.Page[tako.Record]) {
	if len(page.Items) == 0 {
		r.printf("No jobs.\n")
		return
	}
	r.table("JOB\tSTATUS\tTYPE\tCREATED\tTOOK\tEXIT\tERROR", func(row func(...any)) {
		for _, e := range page.Items {
			failed := "-"
			if e.Error != nil {
				failed = e.Error.Type
			}
			row(e.ExecutionID, e.Status, e.JobType, clock(e.CreatedAt), took(e.DurationMS), orDash(e.ExitCode), failed)
		}
	})
	if page.HasMore {
		r.printf("There are more: --offset %d\n", page.Offset+page.Count)
	}
}

func (a *app) newJobsShowCommand() *cobra.Command {
	cmd, r := a.remoteCommand(&cobra.Command{
		Use: "show JOB", Short: "Show what is known of a job", Args: oneID("job"), SuggestFor: []string{"get", "inspect", "status"},
		Long: `Show what is known of a job: where it stands, how it ended and why, what it used, and
the files that it left. With --json it is the whole record.`,
		Example: "  tako jobs show 3f2a...\n  tako jobs show 3f2a... --json",
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := r.client()
		if err != nil {
			return err
		}
		e, err := c.Execution(cmd.Context(), args[0])
		if err != nil {
			return failure(err)
		}
		return r.say(e, func() { r.execution(e) })
	}
	return cmd
}

// execution prints a record for people: what there is, and why it ended.
func (r *remote) execution(e *tako.FullRecord) {
	line := func(name string, value any) { r.printf("%-12s %s\n", name+":", oneLine(fmt.Sprint(value))) }
	line("Job", e.ExecutionID)
	line("Status", e.Status)
	line("Type", e.JobRef)
	line("Created", clock(e.CreatedAt))
	line("Started", clock(e.StartedAt))
	line("Ended", clock(e.EndedAt))
	line("Took", took(e.DurationMS))
	line("Exit code", orDash(e.ExitCode))
	if e.Error != nil {
		line("Error", e.Error.Type+": "+e.Error.Message)
	}
	if by := e.EndedBy; by != nil {
		line("Ended by", strings.TrimSpace(fmt.Sprintf("%s %s %s", by.Actor, orNothing(by.Limit), orNothing(by.Signal))))
	}
	if u := e.ResourceUsage; u != nil && u.MaxRSSMB != nil && u.CPUTimeMS != nil {
		line("Used", fmt.Sprintf("%.1f MB, %s of CPU", *u.MaxRSSMB, took(u.CPUTimeMS)))
	}
	if e.Sandbox != nil {
		line("Sandbox", fmt.Sprintf("%s, %s %s", e.Sandbox.Supply, e.Sandbox.Engine, e.Sandbox.EngineVersion))
		if len(e.Sandbox.Unenforced) > 0 {
			line("Unenforced", strings.Join(e.Sandbox.Unenforced, ", ")+" (this host cannot; see tako doctor)")
		}
	}
	if e.Environment != nil {
		line("Environment", fmt.Sprintf("%s %s %.12s", e.Environment.Name, e.Environment.Version, e.Environment.Digest))
	}
	if e.ParentExecutionID != nil {
		line("Made from", fmt.Sprintf("%s (%s)", *e.ParentExecutionID, orDash(e.Relationship)))
	}
	if len(e.Attempts) > 1 {
		line("Attempts", len(e.Attempts))
	}
	for _, a := range e.Artifacts {
		line("Artifact", fmt.Sprintf("%s, %d bytes", a.Name, a.SizeBytes))
	}
	for _, skipped := range e.SkippedArtifacts {
		line("Skipped", skipped)
	}
	if len(e.Output) > 0 && string(e.Output) != "null" {
		line("Output", string(json.RawMessage(e.Output)))
	}
	r.printf("Its output: tako jobs logs %s\n", e.ExecutionID)
}

func orNothing(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
