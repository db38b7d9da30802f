package cli

import (
	"errors"

	"github.com/spf13/cobra"

	tako "github.com/takovm/tako/sdk/go"
)

func (a *app) newStatusCommand() *cobra.Command {
	cmd, r := a.remoteCommand(&cobra.Command{
		Use: "status", Short: "Say how a server is", Args: noArgs, SuggestFor: []string{"health", "ping", "info"},
		Long: `Say how a server is: whether its engine works, what runs and what waits. Docker is
what Tako VM's clients look at; here it says that the engine works.`,
		Example: "  tako status\n  tako status --url https://tako.example.com --json",
	})
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := r.client()
		if err != nil {
			return err
		}
		h, err := c.Health(cmd.Context())
		if err != nil {
			return failure(err)
		}
		pool, err := c.Pool(cmd.Context())
		switch {
		case errors.Is(err, tako.ErrUnauthorized), errors.Is(err, tako.ErrForbidden):
			q := h.QueueStats // as much as anybody is told
			pool = &tako.Pool{Pending: q.Pending, Running: q.Running, MaxWorkers: q.MaxWorkers, MaxQueueSize: q.MaxQueueSize}
		case err != nil:
			return failure(err)
		}
		return r.say(map[string]any{"health": h, "pool": pool}, func() { r.health(h, pool) })
	}
	return cmd
}

func (r *remote) health(h *tako.Health, pool *tako.Pool) {
	available := map[bool]string{true: "available", false: "unavailable"}
	r.printf("Status: %s\nDocker: %s\nVersion: %s\n", oneLine(h.Status), available[h.DockerAvailable], oneLine(h.Version))
	r.printf("Engine: %s %s on %s, %s\n", oneLine(h.Engine.Name), oneLine(h.Engine.Version), oneLine(h.Engine.Platform), available[h.Engine.Ready])
	r.printf("Breaker: %s\n", oneLine(h.CircuitBreaker.State))
	r.printf("Jobs: %d running of at most %d, %d waiting of at most %d\n", pool.Running, pool.MaxWorkers, pool.Pending, pool.MaxQueueSize)
	if s := pool.Sandboxes; s.Max > 0 {
		r.printf("Sandboxes: %d ready of %d wanted, %d of %d attempts found one\n", s.Ready, s.Wanted, s.Hits, s.Hits+s.Misses)
	}
}
