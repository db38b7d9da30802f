package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	tako "github.com/takovm/tako/sdk/go"
)

const dlqLong = `Look at dead letters: jobs that the server had to give up, because engine or disk
failed in every attempt (max_retry_attempts, default 2) or because it was interrupted
more than 5 times. A program that fails is none. They are kept for dlq_ttl_days
(default 30).

    tako dlq list          which there are, with the reason
    tako dlq replay 17     submit the job of entry 17 again
    tako dlq rm 17         forget it

An API key needs the scope admin.`

func (a *app) newDLQCommand() *cobra.Command {
	cmd := group("dlq", "Look at dead letters: jobs that the server had to give up",
		a.newDLQListCommand(), a.newDLQStatsCommand(),
		a.newDLQEntryCommand("rm", "Remove a dead letter", "removed", func(ctx context.Context, c *tako.Client, id int64) (any, error) {
			return c.DeleteDLQ(ctx, id)
		}),
		a.newDLQEntryCommand("replay", "Submit the job of a dead letter again", "submitted again", func(ctx context.Context, c *tako.Client, id int64) (any, error) {
			return c.ReplayDLQ(ctx, id)
		}))
	cmd.Long = dlqLong
	return cmd
}

func (a *app) newDLQListCommand() *cobra.Command {
	f := tako.DLQFilter{}
	cmd, r := a.remoteCommand(&cobra.Command{
		Use: "list", Short: "List dead letters, newest first", Args: noArgs, SuggestFor: []string{"ls", "show"},
		Long:    "List dead letters, newest first: entry, job, error, and how often it was tried.",
		Example: "  tako dlq list --error-type service_unavailable",
	})
	cmd.Flags().StringVar(&f.ErrorType, "error-type", "", "only those with this `type` of error")
	cmd.Flags().IntVar(&f.Limit, "limit", 20, "entries at most, 1 to 1000")
	cmd.Flags().IntVar(&f.Offset, "offset", 0, "entries to leave out from the newest on (default 0)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := checkLimit(f.Limit); err != nil {
			return err
		}
		c, err := r.client()
		if err != nil {
			return err
		}
		page, err := c.DLQ(cmd.Context(), f)
		if err != nil {
			return failure(err)
		}
		return r.say(page, func() {
			if len(page.Items) == 0 {
				r.printf("No dead letters.\n")
				return
			}
			r.table("ENTRY\tJOB\tERROR\tRETRIES\tCREATED\tMESSAGE", func(row func(...any)) {
				for _, d := range page.Items {
					row(d.ID, d.JobID, d.ErrorType, d.RetryCount, clock(&tako.Time{Time: d.CreatedAt.Time}), orDash(d.ErrorMessage))
				}
			})
		})
	}
	return cmd
}

func (a *app) newDLQStatsCommand() *cobra.Command {
	cmd, r := a.remoteCommand(&cobra.Command{
		Use: "stats", Short: "Count dead letters by error", Args: noArgs,
		Long: "Count dead letters by the type of their error.", Example: "  tako dlq stats",
	})
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := r.client()
		if err != nil {
			return err
		}
		stats, err := c.DLQStats(cmd.Context())
		if err != nil {
			return failure(err)
		}
		return r.say(stats, func() {
			r.table("ERROR\tENTRIES", func(row func(...any)) {
				for _, kind := range slices.Sorted(maps.Keys(stats.ByErrorType)) {
					row(kind, stats.ByErrorType[kind])
				}
				row("all", stats.Total)
			})
		})
	}
	return cmd
}

func (a *app) newDLQEntryCommand(use, short, word string, do func(context.Context, *tako.Client, int64) (any, error)) *cobra.Command {
	cmd, r := a.remoteCommand(&cobra.Command{
		Use: use + " ENTRY", Short: short, Args: oneID("entry"),
		Long: short + ". ENTRY is a number that tako dlq list has.", Example: "  tako dlq " + use + " 17",
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		id, err := strconv.ParseInt(args[0], 10, 64)
		if err != nil {
			return usageError("%q is no entry: entries have numbers, see tako dlq list", args[0])
		}
		c, err := r.client()
		if err != nil {
			return err
		}
		answer, err := do(cmd.Context(), c, id)
		if err != nil {
			return failure(err)
		}
		return r.say(answer, func() {
			what := fmt.Sprint(id)
			if s, ok := answer.(*tako.Submitted); ok {
				what = "as " + s.JobID
			}
			r.printf("%s %s\n", word, what)
		})
	}
	return cmd
}
