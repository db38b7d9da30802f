package sandbox

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/takovm/tako/internal/engine"
	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/guest"
	"github.com/takovm/tako/internal/job"
)

// restore starts a sandbox from the snapshot of its shape, of that key, which it makes first
// where it is worth it. Any error means: launch one from nothing.
func (s *Supplier) restore(ctx context.Context, key string, r Request) (*Sandbox, error) {
	snapshot, err := s.Snapshots.take(key)
	if err != nil && s.Snapshots.wanted(key) {
		if err := s.freezeInto(ctx, key, r); err != nil {
			return nil, err
		}
		snapshot, err = s.Snapshots.take(key)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoSnapshot, err)
	}
	box, err := s.start(ctx, r, func(id string) (engine.Sandbox, error) { return s.Engine.Restore(ctx, s.spec(id, r), snapshot) })
	if err == nil {
		err = box.open(ctx)
	}
	if err == nil {
		return box, nil
	}
	err = fmt.Errorf("restoring the snapshot %s: %w", key, err)
	if ctx.Err() == nil && job.KindOf(err) == job.KindEngine {
		s.Snapshots.fail(key, err)
	}
	return nil, err
}

// restoreFor is restore for the pool. For a shape that is kept warm, a snapshot
// that is not there is made; others have to be asked for first.
func (s *Supplier) restoreFor(ctx context.Context, key string, r Request, warm bool) (*Sandbox, error) {
	box, err := s.restore(ctx, key, r)
	if !warm || !errors.Is(err, errNoSnapshot) || s.Snapshots.recent(key+".failed") {
		return box, err
	}
	if err := s.freezeInto(ctx, key, r); err != nil {
		return nil, err
	}
	return s.restore(ctx, key, r)
}

// Prepare makes the snapshot of a request that has a held program, unless it is
// there.
func (s *Supplier) Prepare(ctx context.Context, r Request) error {
	if s.Snapshots == nil || r.Held == nil {
		return nil
	}
	key, err := s.key(r)
	if err != nil {
		return err
	}
	if _, err := s.Snapshots.take(key); err == nil {
		return nil
	}
	return s.freezeInto(ctx, key, r)
}

// key names all that the snapshot of a request depends on.
func (s *Supplier) key(r Request) (string, error) {
	shape, err := s.Engine.Shape(s.spec("shape", r))
	if err != nil {
		return "", err
	}
	held, err := json.Marshal(r.Held)
	if err != nil {
		return "", fmt.Errorf("naming a snapshot: %w", err)
	}
	h := sha256.New()
	fmt.Fprintf(h, "tako snapshot 1\n%s\n%s\n%s\n%q\n", shape, r.Environment.Digest, held, r.Tenant)
	return hex.EncodeToString(h.Sum(nil)[:16]), nil
}

// freezeInto makes the snapshot of that key.
func (s *Supplier) freezeInto(ctx context.Context, key string, r Request) error {
	err := s.Snapshots.add(ctx, key, func(ctx context.Context, dir string) error { return s.freeze(ctx, r, dir) })
	if err == nil || errors.Is(err, errBusy) || ctx.Err() != nil {
		return err
	}
	err = fmt.Errorf("making the snapshot %s: %w", key, err)
	s.Snapshots.fail(key, err)
	if r.Held.Preload != "" && s.Log != nil {
		s.Log.Warn("a job type's modules cannot be preloaded; its jobs run without that for a day", "error", err)
	}
	return err
}

// freeze starts a sandbox with the program held in it and writes it to dir.
func (s *Supplier) freeze(ctx context.Context, r Request, dir string) (err error) {
	box, err := s.boot(ctx, r)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, box.Destroy()) }()
	if err := preload(ctx, box.Session, r.Held.Preload); err != nil {
		return err
	}
	if err := box.Session.Hold(ctx, r.Held.Program, r.Held.Script); err != nil {
		return err
	}
	_, err = box.Checkpoint(ctx, dir)
	return err
}

// openTime is how long a clone's program may take to open its script, which takes
// milliseconds unless it was saved while it did something else.
const openTime = 5 * time.Second

// open has the program that is held in a clone open its script. One that cannot
// is the snapshot's fault.
func (b *Sandbox) open(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	err := errors.New("no program is held in it")
	if b.Held {
		err = b.Session.Open(limited)
	}
	if err != nil {
		return job.Errorf(job.KindEngine, "%w", errors.Join(err, b.Destroy()))
	}
	return nil
}

// preload puts code where the interpreter runs it before its script.
func preload(ctx context.Context, session *guest.Session, code string) error {
	if code == "" {
		return nil
	}
	file := guest.File{Path: environment.PreloadFile, Mode: 0o400, UID: UID, GID: GID, Size: int64(len(code))}
	if err := session.Put(ctx, file, strings.NewReader(code)); err != nil {
		return fmt.Errorf("putting what is to be preloaded: %w", err)
	}
	return nil
}
