package cli

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/takovm/tako/internal/job"
	tako "github.com/takovm/tako/sdk/go"
)

func (a *app) newJobsLogsCommand() *cobra.Command {
	var follow bool
	var after string
	cmd, r := a.remoteCommand(&cobra.Command{
		Use: "logs JOB", Short: "Print what a job wrote", Args: oneID("job"),
		Long: `Print what a job wrote: its standard output to standard output, its standard
error to standard error, byte for byte. With -f it goes on with what happens,
through restarts of the server, until the job ends; then it exits with 1 if the
job did not succeed. With --json it prints every event on a line of its own.`,
		Example: "  tako jobs logs 3f2a...\n  tako jobs logs -f 3f2a... > out.txt 2> err.txt",
	})
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the job ends")
	cmd.Flags().StringVar(&after, "after", "", "begin after the event with this `id` (see --json)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := r.client()
		if err != nil {
			return err
		}
		o := tako.EventsOptions{After: after, Stored: !follow}
		if follow {
			o.Patience = -1
		}
		status, err := r.logs(cmd.Context(), c, args[0], o)
		if err != nil {
			return err
		}
		if follow && status != job.Succeeded {
			return &exitError{code: exitFailed, msg: fmt.Sprintf("the job ended as %s", status)}
		}
		return nil
	}
	return cmd
}

// logs prints events and answers the status of the last one that has one.
func (r *remote) logs(ctx context.Context, c *tako.Client, id string, o tako.EventsOptions) (status tako.Status, err error) {
	for e, err := range c.Events(ctx, id, o) {
		if err != nil {
			return status, failure(err)
		}
		if s := e.Status(); s != "" {
			status = s
		}
		if err := r.event(e); err != nil {
			return status, err
		}
	}
	return status, nil
}

func (r *remote) event(e tako.Event) error {
	if r.json {
		line := json.NewEncoder(r.app.streams.Out)
		line.SetEscapeHTML(false)
		return line.Encode(struct {
			ID    string          `json:"id"`
			Event tako.EventType  `json:"event"`
			Data  json.RawMessage `json:"data"`
		}{e.ID, e.Type, e.Data})
	}
	to := r.app.streams.Out
	switch e.Type {
	case job.EventStderr:
		to = r.app.streams.Err
	case job.EventStdout:
	case job.EventTruncated:
		_, err := fmt.Fprintln(r.app.streams.Err, "tako: the log is full: what the job wrote after this is not kept")
		return err
	default:
		return nil
	}
	out, err := e.Bytes()
	if err != nil {
		return failure(err)
	}
	_, err = to.Write(out)
	return err
}

func (a *app) newJobsArtifactsCommand() *cobra.Command {
	var out string
	cmd, r := a.remoteCommand(&cobra.Command{
		Use: "artifacts JOB", Short: "List the files that a job left, or copy them", Args: oneID("job"),
		Long: `List the files that a job left in /output: name, size, type and SHA-256. With --out
they are copied below that directory, and never beside it.`,
		Example: "  tako jobs artifacts 3f2a... --out results",
	})
	cmd.Flags().StringVarP(&out, "out", "o", "", "copy them into this `directory`")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := r.client()
		if err != nil {
			return err
		}
		list, err := c.Artifacts(cmd.Context(), args[0])
		if err != nil {
			return failure(err)
		}
		if out != "" {
			if err := copyArtifacts(cmd.Context(), c, args[0], list.Items, out); err != nil {
				return err
			}
		}
		return r.say(list, func() {
			r.table("NAME\tBYTES\tTYPE\tSHA-256", func(row func(...any)) {
				for _, f := range list.Items {
					row(f.Name, f.SizeBytes, orDash(f.ContentType), f.SHA256)
				}
			})
		})
	}
	return cmd
}

func copyArtifacts(ctx context.Context, c *tako.Client, id string, list []tako.Artifact, dir string) error {
	o, err := openOutput("--out", dir)
	if err != nil {
		return err
	}
	defer o.Close()
	for _, f := range list {
		content, err := c.OpenArtifact(ctx, id, f.Name)
		if err != nil {
			return failure(err)
		}
		err = o.save(f.Name, f.SizeBytes, content)
		content.Close()
		if err != nil {
			return &exitError{code: exitFailed, msg: fmt.Sprintf("%s: %s", f.Name, err)}
		}
	}
	return nil
}
