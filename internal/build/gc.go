package build

import (
	"context"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/lifecycle"
)

// grace is how long a layer stays after a use, whatever is asked for: whoever has
// found it is about to hold it.
const grace = time.Minute

// Layer is a layer of packages that is kept, and what is known of it.
type Layer struct {
	Digest       string     `json:"digest"`
	Size         int64      `json:"size"` // bytes
	Requirements [][]string `json:"requirements"`
	Installed    []string   `json:"installed"`
	Made         time.Time  `json:"made"`
	Used         time.Time  `json:"used"` // last; that it was made is a use
	// NeededBy is a version of a job type, or a job type, that it stays for; empty
	// for none.
	NeededBy string `json:"needed_by,omitempty"`

	records []string // names
	bases   []string // digests of the environments that it was made for
}

// Needs says what layers stay for, by name.
type Needs struct {
	Environments map[string]string // by digests of environments with packages
	Lists        map[string]string // by List
}

// List names a list of requirements in an environment, for Needs.
func (b *Builder) List(base environment.Environment, requirements []string) string {
	return b.key(base, normal(requirements))
}

// Layers lists what there is, the last used first.
func (b *Builder) Layers(needs Needs) ([]Layer, error) {
	stored, err := environment.Layers(b.o.Environments)
	if err != nil {
		return nil, err
	}
	byDigest := map[string]*Layer{}
	for _, s := range stored {
		byDigest[s.Digest] = &Layer{Digest: s.Digest, Size: s.Size, Made: s.Made, Used: s.Made, Requirements: [][]string{}, Installed: []string{}}
	}
	for name, rec := range b.records() {
		l := byDigest[rec.Layer]
		if l == nil { // it was damaged, or its removal was cut short
			l = &Layer{Digest: rec.Layer, Made: rec.At}
			byDigest[rec.Layer] = l
		}
		l.add(name, rec, needs)
		if st, err := os.Stat(b.path(name)); err == nil && st.ModTime().After(l.Used) {
			l.Used = st.ModTime()
		}
	}
	var all []Layer
	for _, l := range byDigest {
		all = append(all, *l)
	}
	slices.SortFunc(all, func(a, b Layer) int {
		if c := b.Used.Compare(a.Used); c != 0 {
			return c
		}
		return strings.Compare(a.Digest, b.Digest)
	})
	return all, nil
}

func (l *Layer) add(name string, rec record, needs Needs) {
	l.records = append(l.records, name)
	l.Installed = rec.Installed
	if !slices.ContainsFunc(l.Requirements, func(had []string) bool { return slices.Equal(had, rec.Requirements) }) {
		l.Requirements = append(l.Requirements, rec.Requirements)
		slices.SortFunc(l.Requirements, slices.Compare)
	}
	if !slices.Contains(l.bases, rec.Base) {
		l.bases = append(l.bases, rec.Base)
	}
	by, ok := needs.Lists[name]
	if digest, isEnv := strings.CutPrefix(name, "env-"); isEnv {
		by, ok = needs.Environments[digest]
	}
	if ok && (l.NeededBy == "" || by < l.NeededBy) {
		l.NeededBy = by
	}
}

// records are all that can be read, by name.
func (b *Builder) records() map[string]record {
	all := map[string]record{}
	names, _ := filepath.Glob(filepath.Join(b.o.Dir, "*.json"))
	for _, path := range names {
		name := strings.TrimSuffix(filepath.Base(path), ".json")
		if rec, err := b.read(name); err == nil {
			all[name] = rec
		}
	}
	return all
}

// Bases are the environments that a layer is known for: they stay with it.
func (l *Layer) Bases() []string { return l.bases }

// Collect removes the layers that nothing needs, that nobody holds and that were
// not used after then, with their records. It answers those that are gone.
func (b *Builder) Collect(ctx context.Context, needs Needs, then time.Time) ([]Layer, error) {
	if latest := b.o.Now().Add(-grace); then.After(latest) {
		then = latest
	}
	release, err := b.alone(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	all, err := b.Layers(needs)
	if err != nil {
		return nil, err
	}
	var gone []Layer
	for _, l := range all {
		if l.NeededBy != "" || l.Used.After(then) {
			continue
		}
		removed, err := b.remove(ctx, &l, then)
		if err != nil {
			return gone, err
		}
		if removed {
			gone = append(gone, l)
		}
	}
	return gone, b.sweep(then)
}

// Remove removes a layer, by its digest or the first 12 digits of it or more. One
// that is needed or held is job.KindInvalid, one that is not there
// job.KindNotFound.
func (b *Builder) Remove(ctx context.Context, digest string, needs Needs) (*Layer, error) {
	release, err := b.alone(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	l, err := b.Layer(digest, needs)
	if err != nil {
		return nil, err
	}
	if l.NeededBy != "" {
		return nil, job.Errorf(job.KindInvalid, "the layer %.12s is needed by %s", l.Digest, l.NeededBy).WithHint("remove or change that first")
	}
	removed, err := b.remove(ctx, l, b.o.Now())
	if err == nil && !removed {
		err = job.Errorf(job.KindInvalid, "the layer %.12s is in use", l.Digest).WithHint("try again when what runs with it has ended")
	}
	return l, err
}

// shortest is how many digits of a digest name a layer.
const shortest = 12

// Layer is the layer of a digest, or of the begin of one.
func (b *Builder) Layer(digest string, needs Needs) (*Layer, error) {
	all, err := b.Layers(needs)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if IsDigest(digest) && strings.HasPrefix(all[i].Digest, digest) {
			return &all[i], nil
		}
	}
	return nil, job.Errorf(job.KindNotFound, "there is no layer %.64s", digest).WithHint("`tako env list --all` says what is here")
}

// IsDigest reports whether a text may name a layer.
func IsDigest(text string) bool {
	return len(text) >= shortest && len(text) <= hex.EncodedLen(32) && strings.Trim(text, "0123456789abcdef") == ""
}

// remove removes a layer that nobody holds, and then its records: without it
// they say nothing, and who reads them meanwhile installs again. The caller is
// alone.
func (b *Builder) remove(ctx context.Context, l *Layer, then time.Time) (bool, error) {
	removed, err := environment.RemoveLayer(ctx, b.o.Environments, l.Digest, then)
	if err != nil || !removed && l.Size > 0 {
		return false, err
	}
	for _, name := range l.records {
		if err := os.Remove(b.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return true, job.Errorf(job.KindUnavailable, "removing what was installed: %w", err)
		}
		if digest, ok := strings.CutPrefix(name, "env-"); ok {
			os.Remove(b.lockPath(digest)) // without the record nobody asks for it
		}
	}
	return true, nil
}

// sweep removes locks that no list has any more, and what died unfinished.
func (b *Builder) sweep(then time.Time) error {
	left, _ := filepath.Glob(filepath.Join(b.o.Dir, "*"))
	for _, path := range left {
		name, isLock := strings.CutSuffix(filepath.Base(path), ".lock")
		st, err := os.Stat(path)
		if filepath.Base(path) == gateFile || !isLock && !strings.HasSuffix(path, ".tmp") || err != nil || st.ModTime().After(then) {
			continue
		}
		if _, err := os.Stat(b.path(name)); isLock && err == nil {
			continue
		}
		if err := removeFree(path); err != nil {
			return err
		}
	}
	return nil
}

// removeFree removes a file that nobody has locked.
func removeFree(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return nil //nolint:nilerr // it is gone
	}
	defer f.Close()
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		return nil
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return job.Errorf(job.KindUnavailable, "the directory of packages: %w", err)
	}
	return nil
}

// together keeps whoever removes layers away: what is found until the release is
// not removed within the grace.
func (b *Builder) together() (release func()) {
	f, err := b.gate()
	if err != nil {
		return func() {} // without a lock nobody else has one
	}
	for errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_SH), syscall.EINTR) {
	}
	return func() { f.Close() }
}

// alone waits until nobody looks for layers or keeps one.
func (b *Builder) alone(ctx context.Context) (release func(), err error) {
	f, err := b.gate()
	if err != nil {
		return nil, job.Errorf(job.KindUnavailable, "the directory of packages: %w", err)
	}
	if err := lifecycle.Flock(ctx, f, syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}

// gateFile is the lock of all layers together.
const gateFile = "all.lock"

func (b *Builder) gate() (*os.File, error) {
	return os.OpenFile(filepath.Join(b.o.Dir, gateFile), os.O_RDWR|os.O_CREATE, 0o600)
}

// used remembers that a record was used now.
func (b *Builder) used(name string) {
	now := b.o.Now()
	_ = os.Chtimes(b.path(name), now, now) // a layer that is collected too early is installed again
}

// Installed lists what an environment's layer has, as "numpy==2.0.1" or
// "npm:lodash@4.17.21".
func (b *Builder) Installed(env environment.Environment) []string {
	rec, err := b.read("env-" + env.Digest)
	if err != nil {
		return nil
	}
	return rec.Installed
}
