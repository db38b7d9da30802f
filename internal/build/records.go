package build

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/lifecycle"
)

// record is what a list of requirements came to.
type record struct {
	Base         string    `json:"base"` // digest of the environment
	Requirements []string  `json:"requirements"`
	Layer        string    `json:"layer"` // digest
	Installed    []string  `json:"installed"`
	At           time.Time `json:"at"`
}

// known is the environment of an earlier installation, whose layer is there.
func (b *Builder) known(r Request, key string) (environment.Environment, bool) {
	if r.Anew {
		return environment.Environment{}, false
	}
	defer b.together()()
	rec, err := b.read(key)
	if err != nil {
		return environment.Environment{}, false
	}
	layer, ok := environment.FindLayer(b.o.Environments, rec.Layer)
	b.used(key)
	return r.Base.With(layer), ok
}

// Find answers an environment with packages of earlier by its digest.
func (b *Builder) Find(digest string) (environment.Environment, bool) {
	if strings.Trim(digest, "0123456789abcdef") != "" {
		return environment.Environment{}, false
	}
	defer b.together()()
	rec, err := b.read("env-" + digest)
	if err != nil {
		return environment.Environment{}, false
	}
	layer, ok := environment.FindLayer(b.o.Environments, rec.Layer)
	base, found := b.o.Base(rec.Base)
	if !ok || !found {
		return environment.Environment{}, false
	}
	b.used("env-" + digest)
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

// keep remembers what was installed. The key's record comes last: who finds it
// finds the others.
func (b *Builder) keep(digest, key string, rec record, lock Lock) error {
	if err := b.write(b.lockPath(digest), lock); err != nil {
		return err
	}
	if err := b.write(b.path("env-"+digest), rec); err != nil {
		return err
	}
	return b.write(b.path(key), rec)
}

// write keeps a file, whole or not at all.
func (b *Builder) write(path string, content any) error {
	data, err := encode(content)
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
		err = os.Rename(f.Name(), path)
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
	if err := lifecycle.Flock(ctx, f, syscall.LOCK_EX); err != nil {
		f.Close()
		if ctx.Err() == nil {
			err = fmt.Errorf("waiting for an installation: %w", err)
		}
		return nil, err
	}
	return func() { f.Close() }, nil
}
