package assembly

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/guest/initbin"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/runner"
)

// errStale is why an attempt was given up before its program started: the
// machine has changed since its environment was packed.
var errStale = errors.New("the environment is no longer this machine's")

func environmentCache(cfg *config.Config) string {
	return filepath.Join(cfg.DataDir, "cache", "environments")
}

// images keep this machine's environment. Any number of attempts use it at
// once; one of them packs it again when it has to be.
type images struct {
	host     *environment.Host
	progress func(environment.Progress)

	mu       sync.Mutex // held while it is packed
	latest   packed
	verified time.Time // when the whole image was last found sound

	pinned sync.Map // digests
	sound  sync.Map // when images and layers beside it were last found sound, by path
}

// trusted is how long an image that was verified is not verified again: each
// time reads all of it, and a program can ask for it by crashing.
const trusted = time.Minute

// packed is an environment as it was packed or recalled once.
type packed struct {
	environment.Environment
	generation int
	compared   *comparison // nil when it was packed by this process
}

// comparison finds out whether an environment is this machine's.
type comparison struct {
	done  chan struct{}
	fresh bool // valid when done is closed
}

// open finds the environment that was used last, and looks meanwhile whether it
// still holds; without one it packs it now. It returns the path of the init's
// image.
func (i *images) open(ctx context.Context, cfg *config.Config, opts Options) (initImage string, err error) {
	cache := environmentCache(cfg)
	i.host, i.progress = &environment.Host{Cache: cache}, opts.Progress
	if opts.ImagesOnly {
		return environment.PackInit(ctx, cache, initbin.Binary(), initbin.Digest())
	}
	if env, fresh, ok := i.host.Recall(); ok {
		c := &comparison{done: make(chan struct{})}
		go func() {
			defer close(c.done)
			c.fresh = fresh()
		}()
		i.latest = packed{Environment: env, compared: c}
	} else if err := i.pack(ctx); err != nil {
		return "", err
	}
	return environment.PackInit(ctx, cache, initbin.Binary(), initbin.Digest())
}

// current is the environment to use now.
func (i *images) current() packed {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.latest
}

// wanted is the environment of that digest: the current one, or one of earlier
// whose image is still there. An empty digest is the current one's.
func (i *images) wanted(digest string) (packed, error) {
	now := i.current()
	if digest == "" || digest == now.Digest {
		return now, nil
	}
	env, ok := i.host.Find(digest)
	if !ok {
		return packed{}, job.Errorf(job.KindInvalid, "the environment of the version or job to be repeated is not here any more").
			WithHint("this machine's Python or its packages have changed since; submit the code as a new job")
	}
	return packed{Environment: env, generation: now.generation}, nil
}

// pack makes sure of this machine's environment. The caller holds the lock, or
// is alone.
func (i *images) pack(ctx context.Context) error {
	env, err := i.host.Ensure(ctx, i.progress)
	if err == nil {
		i.latest = packed{Environment: env, generation: i.latest.generation + 1}
	}
	return err
}

// keep has this machine's environment stay, as it is now.
func (i *images) keep(ctx context.Context) (environment.Environment, error) {
	env, err := i.settled(ctx)
	if err == nil {
		err = i.pin(ctx, env.Digest)
	}
	return env, err
}

// settled is this machine's environment, known to hold now.
func (i *images) settled(ctx context.Context) (environment.Environment, error) {
	for again := true; ; again = false {
		env := i.current()
		err := env.ready(ctx)
		if err == nil || !again || !errors.Is(err, errStale) {
			return env.Environment, err
		}
		if err := i.renew(ctx, env); err != nil {
			return environment.Environment{}, err
		}
	}
}

// pin has an environment stay, unless it does already.
func (i *images) pin(ctx context.Context, digest string) error {
	if _, done := i.pinned.Load(digest); done && i.host.Pinned(digest) { // another process may have let go of it
		return nil
	}
	if err := i.host.Pin(ctx, digest); err != nil {
		return err
	}
	i.pinned.Store(digest, true)
	return nil
}

// renew packs again what was found stale, unless somebody has done it since.
func (i *images) renew(ctx context.Context, stale packed) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.latest.generation != stale.generation {
		return nil
	}
	return i.pack(ctx)
}

// mend verifies a whole image and packs again one that is not what was packed.
// It reports whether there is another one now.
func (i *images) mend(ctx context.Context, env packed) (bool, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.latest.generation != env.generation {
		return true, nil
	}
	if time.Since(i.verified) < trusted {
		return false, nil
	}
	err := environment.VerifyContext(ctx, env.Image, i.progress)
	if err == nil {
		i.verified = time.Now()
	}
	if err == nil || ctx.Err() != nil {
		return false, nil
	}
	if i.progress != nil {
		i.progress(environment.Progress{Phase: environment.PhaseVerify, Note: "the image " + env.Image + " is corrupt and is made again"})
	}
	if err := os.Remove(env.Image); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, nil //nolint:nilerr // the attempt's own failure says more
	}
	return true, i.pack(ctx)
}

// ready waits until the environment is known to hold.
func (p packed) ready(ctx context.Context) error {
	if p.compared == nil {
		return nil
	}
	select {
	case <-p.compared.done:
		if !p.compared.fresh {
			return errStale
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Current is the environment that attempts run in now which ask for none.
func (l *Local) Current() environment.Environment { return l.images.current().Environment }

// Run runs one attempt in this machine's environment, in the one whose digest
// the attempt has, or in an image's that Image has answered. The sandbox starts while
// the environment is still being compared with the machine; the program starts
// after. When that finds a difference, or the image turns out to be corrupt,
// the environment is packed again and the attempt begins anew: nobody has seen
// anything of the program by then.
func (l *Local) Run(ctx context.Context, a runner.Attempt, sinks runner.Sinks) (*runner.Result, error) {
	if a.Environment.Config != nil || a.Environment.Packages != nil {
		return l.runIn(ctx, a, sinks)
	}
	digest := a.Environment.Digest
	for again := true; ; again = false {
		env, err := l.images.wanted(digest)
		if err != nil {
			return nil, err
		}
		a.Environment, a.Ready = env.Environment, env.ready
		res, err := l.Runner.Run(ctx, a, sinks)
		if !again || ctx.Err() != nil {
			return res, err
		}
		mended, mendErr := false, error(nil)
		switch {
		case errors.Is(err, errStale):
			if mended, mendErr = true, l.images.renew(ctx, env); mendErr == nil {
				l.forgetPool()
			}
		case res != nil && suspect(res, a):
			if mended, mendErr = l.images.mend(ctx, env); mended && l.Runner.Supplier.Snapshots != nil {
				l.Runner.Supplier.Snapshots.Forget() // they may have been made with it
				l.forgetPool()
			}
		}
		if mendErr != nil {
			return nil, mendErr
		}
		if !mended {
			return res, err
		}
	}
}

// runIn runs one attempt in an image. One that turns out to be damaged is
// removed, and the attempt's failure says so: making it again is not for here.
func (l *Local) runIn(ctx context.Context, a runner.Attempt, sinks runner.Sinks) (*runner.Result, error) {
	release, err := a.Environment.Hold() // until the sandbox has it open
	if err != nil {
		return nil, job.Errorf(job.KindUnavailable, "%w", err).WithHint("%s", l.again(a.Environment.Name))
	}
	defer release()
	res, err := l.Runner.Run(ctx, a, sinks)
	if res == nil || ctx.Err() != nil || !suspect(res, a) {
		return res, err
	}
	image, mend, damaged := a.Environment.Image, "", error(nil)
	if a.Environment.Config == nil { // this machine's, which is packed again
		_, damaged = l.images.mend(ctx, l.images.current())
	} else {
		damaged = l.images.damaged(ctx, image)
	}
	if layer := a.Environment.Packages; damaged == nil && layer != nil && ctx.Err() == nil {
		image, mend = layer.Image, "run the job again: its packages are installed anew"
		damaged = l.images.damaged(ctx, image)
	}
	if damaged == nil || ctx.Err() != nil {
		return res, err
	}
	if l.Runner.Supplier.Snapshots != nil {
		l.Runner.Supplier.Snapshots.Forget() // they may have been made with it
	}
	if removeErr := os.Remove(image); removeErr != nil && !errors.Is(removeErr, fs.ErrNotExist) {
		return res, errors.Join(damaged, removeErr)
	}
	return res, job.Errorf(job.KindUnavailable, "the environment of %s is damaged and was removed", a.Environment.Name).WithHint("%s", cmp.Or(mend, l.again(a.Environment.Name)))
}

// damaged says what is wrong with an image or a layer. One that was found sound
// is not read again for a while: each time reads all of it.
func (i *images) damaged(ctx context.Context, image string) error {
	if at, ok := i.sound.Load(image); ok && time.Since(at.(time.Time)) < trusted {
		return nil
	}
	err := environment.VerifyContext(ctx, image, i.progress)
	if err == nil {
		i.sound.Store(image, time.Now())
	}
	return err
}

// forgetPool lets go what waits in an environment that is none any more.
func (l *Local) forgetPool() {
	if pool := l.Runner.Supplier.Pool; pool != nil {
		pool.Forget()
	}
}

// Warm has n sandboxes made ready for attempts like a, in this machine's
// environment.
func (l *Local) Warm(a runner.Attempt, n int) error {
	a.Environment = l.images.current().Environment
	return l.Runner.Warm(a, n)
}

// suspect reports a result that a corrupt image would explain and that nobody
// has seen anything of: nothing ran, or it crashed before it said anything.
// Neither a limit nor the caller is the reason.
func suspect(res *runner.Result, a runner.Attempt) bool {
	if res.Status != job.Failed || res.Error == nil {
		return false
	}
	if res.Error.Phase != job.PhaseStartup {
		silent := res.Stdout.Total == 0 && res.Stderr.Total == 0 && len(res.Artifacts) == 0 && a.Stdin == nil
		return silent && slices.Contains([]string{"SIGSEGV", "SIGBUS", "SIGILL"}, res.EndedBy.Signal)
	}
	// A command may well name a program that is not there; an interpreter is.
	return len(a.Command) == 0 || res.EndedBy.Actor == job.ActorEngine
}
