package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/pkgindex"
	"github.com/takovm/tako/internal/runner"
)

// rules is the version of how layers are made. It is part of every key.
const rules = "tako packages 2"

// Options configure a Builder.
type Options struct {
	// Dir is where records are kept, Environments the cache of images and layers.
	Dir, Environments string
	// Runner runs installations.
	Runner interface {
		Run(ctx context.Context, a runner.Attempt, sinks runner.Sinks) (*runner.Result, error)
	}
	Index pkgindex.Options
	// NPM answers the environment in which npm installs for base, and its program
	// there. Nil, and an empty program, is the npm that base has.
	NPM func(ctx context.Context, base environment.Environment) (env environment.Environment, program string, err error)
	// Limits are an installation's. Disk bounds what it may leave, and all of it
	// is in memory meanwhile.
	Limits job.Limits
	// Base finds an environment by its digest: one without a layer.
	Base func(digest string) (environment.Environment, bool)
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Builder makes environments with packages.
type Builder struct {
	o    Options
	turn chan struct{} // one installation at a time: each may take all of Limits.Memory

	mu      sync.Mutex
	joined  map[string]*installation // that others may wait for, by key
	closed  bool
	ended   context.Context // by Close
	end     context.CancelFunc
	running sync.WaitGroup
}

// New returns a builder whose records are in o.Dir. The caller closes it.
func New(o Options) (*Builder, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, job.Errorf(job.KindUnavailable, "the directory of packages: %w", err).WithHint("choose another data directory")
	}
	b := &Builder{o: o, turn: make(chan struct{}, 1), joined: map[string]*installation{}}
	b.ended, b.end = context.WithCancel(context.Background())
	return b, nil
}

// Request asks for packages.
type Request struct {
	Base         environment.Environment
	Requirements []string
	// Anew installs them again, whatever there is: newer versions may be out.
	Anew bool
	// Log, if not nil, is told what is done.
	Log io.Writer
}

// Python answers an environment with packages, npm's included: that of an earlier
// installation of the same list, or of one that is made now. One process makes
// it, others wait. An installation that has begun goes on when ctx ends, so that
// who asks next finds what it came to. A list that cannot be installed is
// job.KindDependency.
func (b *Builder) Python(ctx context.Context, r Request) (environment.Environment, error) {
	if r.Log == nil {
		r.Log = io.Discard
	}
	if err := CheckRequirements(r.Requirements); err != nil {
		return environment.Environment{}, err
	}
	if err := installable(r.Base, r.Requirements); err != nil {
		return environment.Environment{}, err
	}
	r.Requirements = normal(r.Requirements)
	key := b.key(r.Base, r.Requirements)
	if env, ok := b.known(r, key); ok {
		return env, nil
	}
	in, err := b.join(ctx, r, key)
	if err != nil {
		return environment.Environment{}, err
	}
	defer b.leave(in)
	defer in.log.follow(r.Log)()
	select {
	case <-in.done:
		return in.env, in.err
	case <-ctx.Done():
		return environment.Environment{}, context.Cause(ctx)
	}
}

// make installs what in is about, unless another process has done so meanwhile or
// nobody wants it any more.
func (b *Builder) make(ctx context.Context, in *installation) (environment.Environment, error) {
	r, key := in.request, in.key
	unlock, err := b.lock(ctx, key)
	if err != nil {
		return environment.Environment{}, err
	}
	defer unlock()
	if env, ok := b.known(r, key); ok { // somebody else's
		return env, nil
	}
	select {
	case b.turn <- struct{}{}:
		defer func() { <-b.turn }()
	case <-ctx.Done():
		return environment.Environment{}, context.Cause(ctx)
	}
	if !b.begin(in) {
		return environment.Environment{}, errNobody
	}
	fmt.Fprintf(&in.log, "Installing %s in %s %s.\n", strings.Join(r.Requirements, ", "), r.Base.Name, r.Base.Version)
	got, err := b.install(ctx, r.Base, r.Requirements, &in.log)
	if err != nil {
		return environment.Environment{}, err
	}
	defer got.Close()
	defer b.together()() // until the records name it
	layer, err := environment.PackLayer(ctx, b.o.Environments, got.entries, nil)
	if err != nil {
		return environment.Environment{}, err
	}
	rec := record{Base: r.Base.Digest, Requirements: r.Requirements, Layer: layer.Digest, Installed: got.installed, At: b.o.Now()}
	env := r.Base.With(layer)
	if err := b.keep(env.Digest, key, rec, got.lock); err != nil {
		return environment.Environment{}, err
	}
	fmt.Fprintf(&in.log, "Installed %s: layer %s, %d MB.\n", strings.Join(rec.Installed, ", "), layer.Digest, layer.Size>>20)
	return env, nil
}

// installable reports packages for a language that an environment has not.
func installable(base environment.Environment, requirements []string) error {
	python, npm := split(requirements)
	if _, ok := base.Languages["python"]; !ok && len(python) > 0 {
		return job.Errorf(job.KindDependency, "the environment %s has no Python to install packages for", base.Name)
	}
	if _, ok := base.Languages["node"]; !ok && len(npm) > 0 {
		return job.Errorf(job.KindDependency, "the environment %s has no Node to install npm packages for", base.Name).
			WithHint("install nodejs and npm on this machine, or use an image that has them")
	}
	return nil
}

// key names an environment and a list of requirements, and all else that decides
// what they come to but the day.
func (b *Builder) key(base environment.Environment, requirements []string) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n%q\n%t\n%q\n", rules, base.Digest, requirements, b.o.Index.Sources, shelf(b.o.Index.Wheels))
	for _, u := range b.o.Index.Indexes {
		fmt.Fprintf(h, "%s\n", u.Redacted())
	}
	if u := b.o.Index.NPM; u != nil {
		fmt.Fprintf(h, "npm %s://%s%s\n", u.Scheme, u.Host, u.EscapedPath()) // its user may be a token
	}
	return hex.EncodeToString(h.Sum(nil))
}

// shelf is what a directory of packages has: what is put there, or made again,
// may be what a list comes to.
func shelf(dir string) []string {
	entries, err := os.ReadDir(dir)
	if dir == "" || err != nil { // the gateway says so
		return nil
	}
	all := []string{dir}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || !strings.HasSuffix(e.Name(), ".whl") && !strings.HasSuffix(e.Name(), ".tgz") {
			continue
		}
		all = append(all, fmt.Sprintf("%s %d %d", e.Name(), info.Size(), info.ModTime().UnixNano()))
	}
	return all
}
