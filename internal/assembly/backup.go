package assembly

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/takovm/tako/internal/artifact"
	"github.com/takovm/tako/internal/artifact/disk"
	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/lifecycle"
	"github.com/takovm/tako/internal/store"
)

// BackedUp is what a backup holds.
type BackedUp struct {
	Target   string `json:"target"`
	Database string `json:"database"`
	Blobs    int    `json:"blobs"`
	Bytes    int64  `json:"bytes"` // of blobs
	// Missing are blobs that were removed before they could be copied, though
	// the database in the backup may name them.
	Missing int `json:"missing"`
}

// Backup makes a new directory that can be a data directory: the database as it
// is at one moment, and the blobs, each verified on the way. What could not be
// finished is removed again.
func Backup(ctx context.Context, cfg *config.Config, target string) (b BackedUp, err error) {
	if cfg.DatabaseURL != "" {
		return b, job.Errorf(job.KindInvalid, "the records are in PostgreSQL").WithHint("use pg_dump, and copy %s", filepath.Join(cfg.DataDir, "blobs"))
	}
	if _, err := os.Stat(databaseFile(cfg)); err != nil {
		return b, job.Errorf(job.KindNotFound, "there is no database to back up: %w", err).WithHint("name the data directory with TAKO_VM_DATA_DIR or --config")
	}
	st, err := openBeside(ctx, cfg)
	if err != nil {
		return b, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	return backUp(ctx, cfg, st, target)
}

func backUp(ctx context.Context, cfg *config.Config, st store.Store, target string) (_ BackedUp, err error) {
	if err := os.Mkdir(target, 0o700); err != nil {
		return BackedUp{}, job.Errorf(job.KindInvalid, "the backup's directory: %w", err).WithHint("name one that does not exist yet, in one that does")
	}
	var undo lifecycle.Undo
	defer func() {
		err = errors.Join(err, undo.Run())
		if err != nil { // half a backup looks like a whole one
			err = errors.Join(err, os.RemoveAll(target))
		}
	}()
	b := &backup{cfg: cfg, store: st, BackedUp: BackedUp{Target: target, Database: filepath.Join(target, "db", "tako.db")}}
	if err := b.open(&undo); err != nil {
		return BackedUp{}, err
	}
	if err := b.run(ctx); err != nil {
		return BackedUp{}, err
	}
	return b.BackedUp, nil
}

// backup is one under way.
type backup struct {
	BackedUp
	cfg      *config.Config
	store    store.Store
	from, to *disk.Store
}

func (b *backup) open(undo *lifecycle.Undo) (err error) {
	if err := os.Mkdir(filepath.Dir(b.Database), 0o700); err != nil {
		return job.Errorf(job.KindUnavailable, "the backup's directory: %w", err)
	}
	if b.from, err = disk.Open(disk.Options{Dir: filepath.Join(b.cfg.DataDir, "blobs")}); err != nil {
		return err
	}
	undo.Add(b.from.Close)
	// A server goes on to need its disk; another disk is there to be filled.
	reserve := disk.Reserve{Bytes: -1}
	if sameDisk(b.cfg.DataDir, b.Target) {
		reserve = reserveOf(b.cfg)
	}
	if b.to, err = disk.Open(disk.Options{Dir: filepath.Join(b.Target, "blobs"), Reserve: reserve}); err != nil {
		return err
	}
	undo.Add(b.to.Close)
	return nil
}

// sameDisk reports whether two paths are on one file system; where nobody knows,
// they are.
func sameDisk(a, b string) bool {
	var first, second unix.Stat_t
	if unix.Stat(a, &first) != nil || unix.Stat(b, &second) != nil {
		return true
	}
	return first.Dev == second.Dev
}

// run copies the blobs, the database, and the blobs that came meanwhile. What the
// database names may be purged and collected right after it was copied, so the
// first pass has to have it. What came since is younger than the collector's
// grace, unless that pass took longer than this, and is there for the second.
func (b *backup) run(ctx context.Context) error {
	if err := b.room(ctx); err != nil {
		return err
	}
	blobs := b.cfg.BlobURL == "" // else they are in a bucket, and stay there
	if blobs {
		if err := b.blobs(ctx); err != nil {
			return err
		}
		b.Missing = 0 // the database does not name them any more
	}
	if err := b.store.Backup(ctx, b.Database); err != nil {
		return err
	}
	if blobs {
		return b.blobs(ctx)
	}
	return nil
}

// room refuses a backup that the target's disk has no room for, before it has
// taken what there is.
func (b *backup) room(ctx context.Context) error {
	var need int64
	for _, name := range []string{databaseFile(b.cfg), databaseFile(b.cfg) + "-wal"} {
		if info, err := os.Stat(name); err == nil {
			need += info.Size()
		}
	}
	if b.cfg.BlobURL == "" {
		err := b.each(ctx, func(info artifact.Info) error {
			need += info.Size
			return nil
		})
		if err != nil {
			return err
		}
	}
	free, kept, err := b.to.Space()
	if err != nil {
		return err
	}
	if free-kept >= need {
		return nil
	}
	return job.Errorf(job.KindUnavailable, "the backup takes %d MiB: on its disk %d MiB are free, and %d MiB are kept free", need>>20, free>>20, kept>>20).
		WithHint("name a directory on another disk")
}

// each calls do for every blob.
func (b *backup) each(ctx context.Context, do func(artifact.Info) error) error {
	for after := artifact.Digest(""); ; {
		list, err := b.from.List(ctx, after, artifact.MaxList)
		if err != nil {
			return err
		}
		for _, info := range list {
			if err := do(info); err != nil {
				return err
			}
			after = info.Digest
		}
		if len(list) < artifact.MaxList {
			return nil
		}
	}
}

// blobs copies all blobs that are not copied yet.
func (b *backup) blobs(ctx context.Context) error {
	return b.each(ctx, func(info artifact.Info) error {
		_, err := b.to.Stat(ctx, info.Digest)
		if errors.Is(err, artifact.ErrNotFound) {
			err = b.copy(ctx, info)
		}
		if err != nil {
			return fmt.Errorf("copying the blob %s: %w", info.Digest, err)
		}
		return nil
	})
}

// copy copies a blob, if it was not collected meanwhile.
func (b *backup) copy(ctx context.Context, info artifact.Info) error {
	blob, err := b.from.Open(ctx, info.Digest)
	if errors.Is(err, artifact.ErrNotFound) {
		b.Missing++
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = blob.Close() }() // it was only read
	digest, n, err := b.to.Put(ctx, io.Reader(blob), info.Size)
	if err != nil {
		return err
	}
	if digest != info.Digest {
		return artifact.Damaged(info.Digest, "its copy is "+string(digest))
	}
	b.Blobs++
	b.Bytes += n
	return nil
}
