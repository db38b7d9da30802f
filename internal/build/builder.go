package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/pkgindex"
	"github.com/takovm/tako/internal/runner"
)

// rules is the version of how layers are made. It is part of every key.
const rules = "tako packages 1"

// lockPoll is how often who waits for another's installation looks again.
const lockPoll = 50 * time.Millisecond

// Options configure a Builder.
type Options struct {
	// Dir is where records are kept, Environments the cache of images and layers.
	Dir, Environments string
	// Runner runs installations.
	Runner interface {
		Run(ctx context.Context, a runner.Attempt, sinks runner.Sinks) (*runner.Result, error)
	}
	Index pkgindex.Options
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
}

// New returns a builder whose records are in o.Dir.
func New(o Options) (*Builder, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, job.Errorf(job.KindUnavailable, "the directory of packages: %w", err).WithHint("choose another data directory")
	}
	return &Builder{o, make(chan struct{}, 1)}, nil
}

// record is what a list of requirements came to.
type record struct {
	Base         string    `json:"base"` // digest of the environment
	Requirements []string  `json:"requirements"`
	Layer        string    `json:"layer"` // digest
	Installed    []string  `json:"installed"`
	At           time.Time `json:"at"`
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

// Python answers an environment with Python packages: that of an earlier
// installation of the same list, or of one that is made now. One process makes
// it, others wait. A list that cannot be installed is job.KindDependency.
func (b *Builder) Python(ctx context.Context, r Request) (environment.Environment, error) {
	if r.Log == nil {
		r.Log = io.Discard
	}
	if err := CheckRequirements(r.Requirements); err != nil {
		return environment.Environment{}, err
	}
	if _, ok := r.Base.Languages["python"]; !ok {
		return environment.Environment{}, job.Errorf(job.KindDependency, "the environment %s has no Python to install packages for", r.Base.Name)
	}
	requirements := normal(r.Requirements)
	key := b.key(r.Base, requirements)
	if env, ok := b.known(r, key); ok {
		return env, nil
	}
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
	fmt.Fprintf(r.Log, "Installing %s in %s %s.\n", strings.Join(requirements, ", "), r.Base.Name, r.Base.Version)
	tree, err := b.install(ctx, r.Base, requirements, r.Log)
	if err != nil {
		return environment.Environment{}, err
	}
	defer tree.Close()
	layer, err := environment.PackLayer(ctx, b.o.Environments, tree.Entries, nil)
	if err != nil {
		return environment.Environment{}, err
	}
	rec := record{Base: r.Base.Digest, Requirements: requirements, Layer: layer.Digest, Installed: installed(tree.Entries), At: b.o.Now()}
	env := r.Base.With(layer)
	for _, name := range []string{"env-" + env.Digest, key} {
		if err := b.write(name, rec); err != nil {
			return environment.Environment{}, err
		}
	}
	fmt.Fprintf(r.Log, "Installed %s: layer %s, %d MB.\n", strings.Join(rec.Installed, ", "), layer.Digest, layer.Size>>20)
	return env, nil
}

// key names an environment and a list of requirements, and all else that decides
// what they come to but the day.
func (b *Builder) key(base environment.Environment, requirements []string) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n%q\n%t\n%q\n", rules, base.Digest, requirements, b.o.Index.Sources, b.o.Index.Wheels)
	for _, u := range b.o.Index.Indexes {
		fmt.Fprintf(h, "%s\n", u.Redacted())
	}
	return hex.EncodeToString(h.Sum(nil))
}

// known is the environment of an earlier installation, whose layer is there.
func (b *Builder) known(r Request, key string) (environment.Environment, bool) {
	if r.Anew {
		return environment.Environment{}, false
	}
	rec, err := b.read(key)
	if err != nil {
		return environment.Environment{}, false
	}
	layer, ok := environment.FindLayer(b.o.Environments, rec.Layer)
	return r.Base.With(layer), ok
}

// Find answers an environment with packages of earlier by its digest.
func (b *Builder) Find(digest string) (environment.Environment, bool) {
	if strings.Trim(digest, "0123456789abcdef") != "" {
		return environment.Environment{}, false
	}
	rec, err := b.read("env-" + digest)
	if err != nil {
		return environment.Environment{}, false
	}
	layer, ok := environment.FindLayer(b.o.Environments, rec.Layer)
	base, found := b.o.Base(rec.Base)
	if !ok || !found {
		return environment.Environment{}, false
	}
	env := base.With(layer)
	return env, env.Digest == digest
}

func (b *Builder) path(name string) string { return filepath.Join(b.o.Dir, name+".json") }

func (b *Builder) read(name string) (rec record, err error) {
	data, err := os.ReadFile(b.path(name))
	if err == nil {
		err = json.Unmarshal(data, &rec)
	}
	return rec, err
}

// write keeps a record, whole or not at all.
func (b *Builder) write(name string, rec record) error {
	data, err := json.Marshal(rec)
	if err != nil {
		return fmt.Errorf("encoding what was installed: %w", err)
	}
	f, err := os.CreateTemp(b.o.Dir, "*.tmp")
	if err != nil {
		return job.Errorf(job.KindUnavailable, "keeping what was installed: %w", err)
	}
	defer os.Remove(f.Name()) // does nothing after the rename
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), b.path(name))
	}
	if err != nil {
		return job.Errorf(job.KindUnavailable, "keeping what was installed: %w", err)
	}
	return nil
}

// lock waits until this process is the one that installs.
func (b *Builder) lock(ctx context.Context, key string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(b.o.Dir, key+".lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, job.Errorf(job.KindUnavailable, "the directory of packages: %w", err)
	}
	tick := time.NewTicker(lockPoll) // flock knows no context
	defer tick.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			f.Close()
			return nil, fmt.Errorf("waiting for an installation: %w", err)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, context.Cause(ctx)
		case <-tick.C:
		}
	}
}
