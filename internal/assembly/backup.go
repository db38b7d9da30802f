package assembly

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/takovm/tako/internal/artifact"
	"github.com/takovm/tako/internal/artifact/disk"
	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/job"
)

// BackedUp is what a backup holds.
type BackedUp struct {
	Target   string `json:"target"`
	Database string `json:"database"`
	Blobs    int    `json:"blobs"`
	Bytes    int64  `json:"bytes"` // of blobs
	Missing  int    `json:"missing"`
}

// Backup makes a new directory that can be a data directory: the database as it
// is at one moment, and the blobs. The database goes first. A blob that it names
// is there for at least as long as the collector's grace, so what is copied
// after it has all of them; each is verified on the way.
func Backup(ctx context.Context, cfg *config.Config, target string) (b BackedUp, err error) {
	if cfg.DatabaseURL != "" {
		return b, job.Errorf(job.KindInvalid, "the records are in PostgreSQL").WithHint("use pg_dump, and copy %s", filepath.Join(cfg.DataDir, "blobs"))
	}
	if _, err := os.Stat(filepath.Join(cfg.DataDir, "db", "tako.db")); err != nil {
		return b, job.Errorf(job.KindNotFound, "there is no database to back up: %w", err).WithHint("name the data directory with TAKO_VM_DATA_DIR or --config")
	}
	st, err := OpenStore(ctx, cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return b, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	if err := os.Mkdir(target, 0o700); err != nil {
		return b, job.Errorf(job.KindInvalid, "the backup's directory: %w", err).WithHint("name one that does not exist yet, in one that does")
	}
	if err := os.Mkdir(filepath.Join(target, "db"), 0o700); err != nil {
		return b, job.Errorf(job.KindUnavailable, "the backup's directory: %w", err)
	}
	b.Target, b.Database = target, filepath.Join(target, "db", "tako.db")
	if err := st.Backup(ctx, b.Database); err != nil {
		return b, err
	}
	if cfg.BlobURL != "" {
		return b, nil // they are in a bucket, and stay there
	}
	return b, b.blobs(ctx, cfg)
}

// blobs copies all blobs.
func (b *BackedUp) blobs(ctx context.Context, cfg *config.Config) (err error) {
	from, err := disk.Open(disk.Options{Dir: filepath.Join(cfg.DataDir, "blobs")})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	to, err := disk.Open(disk.Options{Dir: filepath.Join(b.Target, "blobs"), Reserve: disk.Reserve{Bytes: -1}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	for after := artifact.Digest(""); ; {
		list, err := from.List(ctx, after, artifact.MaxList)
		if err != nil {
			return err
		}
		for _, info := range list {
			if err := b.copy(ctx, from, to, info); err != nil {
				return fmt.Errorf("copying the blob %s: %w", info.Digest, err)
			}
			after = info.Digest
		}
		if len(list) < artifact.MaxList {
			return nil
		}
	}
}

// copy copies a blob. One that was collected meanwhile was nobody's.
func (b *BackedUp) copy(ctx context.Context, from, to artifact.Store, info artifact.Info) error {
	blob, err := from.Open(ctx, info.Digest)
	if errors.Is(err, artifact.ErrNotFound) {
		b.Missing++
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = blob.Close() }() // it was only read
	digest, n, err := to.Put(ctx, io.Reader(blob), info.Size)
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
