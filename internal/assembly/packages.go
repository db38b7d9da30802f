package assembly

import (
	"context"
	"io"
	"net/url"
	"time"

	"github.com/takovm/tako/internal/attempt"
	"github.com/takovm/tako/internal/build"
	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/netguard"
	"github.com/takovm/tako/internal/oci"
	"github.com/takovm/tako/internal/pkgindex"
)

// indexes are where packages come from.
func indexes(cfg *config.Config) (o pkgindex.Options, err error) {
	o.Wheels, o.Sources = cfg.PackageWheelsDir, cfg.PackageAllowSdists
	var urls []string
	if !cfg.PackageOffline {
		urls = append(urls, cfg.PackageIndexURL.Reveal())
		for _, u := range cfg.PackageExtraIndexURLs {
			urls = append(urls, u.Reveal())
		}
	}
	for _, text := range urls {
		if text == "" {
			continue
		}
		u, err := url.Parse(text)
		if err != nil { // which repeats the URL
			return o, job.Errorf(job.KindConfig, "a package index is not a URL")
		}
		o.Indexes = append(o.Indexes, u)
	}
	if text := cfg.NPMRegistryURL.Reveal(); text != "" && !cfg.PackageOffline {
		if o.NPM, err = url.Parse(text); err != nil {
			return o, job.Errorf(job.KindConfig, "npm_registry_url is not a URL")
		}
	}
	if text := cfg.DependencyProxyURL.Reveal(); text != "" {
		if o.Proxy, err = url.Parse(text); err != nil {
			return o, job.Errorf(job.KindConfig, "dependency_proxy_url is not a URL")
		}
	}
	allow, err := allowedCIDRs(cfg)
	if err != nil {
		return o, err
	}
	o.Guard, err = netguard.New(netguard.Options{Allow: allow, Ports: netguard.AnyPort()})
	return o, err
}

// builder installs packages on this machine.
func (l *Local) newBuilder(cfg *config.Config) (*build.Builder, error) {
	from, err := indexes(cfg)
	if err != nil {
		return nil, err
	}
	limits := job.DefaultLimits()
	limits.Memory, limits.Disk = int64(cfg.BuildMemory), min(int64(cfg.BuildMemory), 8<<30)
	limits.CPUs, limits.PIDs, limits.OpenFiles = cfg.MaxCPUs, max(200, cfg.MaxPIDs), 4096
	limits.FileSize, limits.Files = limits.Disk, 500_000
	limits.Startup, limits.Execution = time.Minute, time.Duration(cfg.BuildTimeout)*time.Second
	return build.New(build.Options{
		Dir: packagesDir(cfg), Environments: environmentCache(cfg), Runner: l.Runner,
		Index: from, Limits: limits, Base: l.images.base, NPM: l.images.npm,
	})
}

// npm is where npm installs for an environment: an image has its own, or none;
// that of this machine is put beside this machine's environment.
func (i *images) npm(ctx context.Context, base environment.Environment) (environment.Environment, string, error) {
	if base.Config != nil {
		return base, "", nil
	}
	layer, ok, err := i.host.NPM(ctx)
	if err != nil || !ok {
		return base, "", err
	}
	return base.With(layer), environment.NPMProgram, nil
}

// base finds an environment without packages.
func (i *images) base(digest string) (environment.Environment, bool) {
	if now := i.current(); now.Digest == digest {
		return now.Environment, true
	}
	return i.host.Find(digest)
}

// Environment makes what a job runs in: an image, packages, or both.
func (l *Local) Environment(ctx context.Context, w attempt.Wanted, log io.Writer) (environment.Environment, error) {
	if w.Digest != "" {
		for _, find := range []func(string) (environment.Environment, bool){l.images.base, l.builder.Find} {
			if env, ok := find(w.Digest); ok {
				return env, nil
			}
		}
		return environment.Environment{}, job.Errorf(job.KindInvalid, "the environment of the version or job to be repeated is not here any more").
			WithHint("build its job type again, or submit it as a new job")
	}
	base, err := l.baseOf(ctx, w.Image, w.Pull)
	if err != nil || len(w.Requirements) == 0 {
		return base, err
	}
	return l.builder.Python(ctx, build.Request{Base: base, Requirements: w.Requirements, Log: log})
}

// baseOf is what packages are put beside: an image, or this machine's
// environment, which stays because a layer refers to it.
func (l *Local) baseOf(ctx context.Context, image string, pull bool) (environment.Environment, error) {
	switch {
	case image == "":
		return l.images.keep(ctx)
	case pull:
		return Image(ctx, l.config, image, oci.Options{})
	}
	return l.Image(image)
}
