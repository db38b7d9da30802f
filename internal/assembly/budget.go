package assembly

import (
	"log/slog"

	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/queue"
	"github.com/takovm/tako/internal/sandbox"
)

// most is what a request may raise its limits to.
func most(cfg *config.Config) job.LimitRequest {
	memory, disk := int64(cfg.MaxMemory), int64(cfg.MaxDisk)
	return job.LimitRequest{
		Memory: &memory, Disk: &disk, CPUs: &cfg.MaxCPUs, PIDs: &cfg.MaxPIDs,
		Stdout: &cfg.MaxStdoutBytes, Stderr: &cfg.MaxStderrBytes, Artifact: &cfg.MaxArtifactBytes,
	}
}

func newSlots(cfg *config.Config) *queue.Slots {
	return queue.NewSlots(queue.Budget{
		Slots: cfg.MaxWorkers, Reserved: min(1, cfg.MaxWorkers-1), Memory: memoryBudget(cfg), Waiting: 16 * cfg.MaxWorkers,
	})
}

// poolOptions size the pool; without room for one sandbox there is none.
func poolOptions(cfg *config.Config, log *slog.Logger) sandbox.PoolOptions {
	o := sandbox.PoolOptions{Max: cfg.WarmPoolSize, MaxMemory: int64(cfg.WarmPoolMemory), Log: log}
	if o.MaxMemory <= 0 {
		o.Max = 0
	}
	return o
}

// memoryBudget is what all sandboxes that run may have together: what is
// configured, or this machine's memory less an eighth for everything else, less
// what those that wait may hold, though at most half of it. 0, no bound, where
// it cannot be told.
func memoryBudget(cfg *config.Config) int64 {
	all := int64(cfg.MemoryBudget)
	if all <= 0 {
		total := hostMemory()
		all = total - total/8
	}
	if cfg.WarmPoolSize == 0 {
		return all
	}
	return all - min(int64(cfg.WarmPoolMemory), all/2)
}
