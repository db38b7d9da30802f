package config

import (
	"time"

	"github.com/takovm/tako/internal/job"
)

// Limits are the limits of a job that asks for none. What the configuration
// has no key for stays at job.DefaultLimits.
func (c *Config) Limits() job.Limits {
	l := job.DefaultLimits()
	l.OpenFiles = c.ContainerLimits.NofileHard
	// Both bound the same tasks: there is one user in a sandbox.
	l.PIDs = min(c.ContainerLimits.NprocHard, c.ContainerLimits.PidsLimit)
	l.FileSize = c.ContainerLimits.Fsize
	l.Disk = int64(c.ContainerLimits.TmpfsSize)
	l.Stdout, l.Stderr = c.MaxStdoutBytes, c.MaxStderrBytes
	l.Artifact, l.Artifacts = c.MaxArtifactBytes, c.MaxTotalArtifactsBytes
	l.Startup = time.Duration(c.DefaultStartupTimeout) * time.Second
	l.Execution = time.Duration(c.DefaultTimeout) * time.Second
	l.KillGrace = time.Duration(c.KillGraceMS) * time.Millisecond
	return l
}
