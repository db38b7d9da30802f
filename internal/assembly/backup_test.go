package assembly

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/takovm/tako/internal/artifact"
	"github.com/takovm/tako/internal/artifact/disk"
	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// kept is a data directory with a database and some blobs, which nobody serves.
type kept struct {
	cfg   *config.Config
	blobs *disk.Store
	store store.Store
}

func newKept(t *testing.T, contents ...string) *kept {
	t.Helper()
	k := &kept{cfg: config.Default(t.TempDir())}
	k.cfg.DiskReserve, k.cfg.DiskReservePercent = 0, 0
	var err error
	k.store, err = OpenStore(t.Context(), k.cfg, nil)
	must(t, err)
	t.Cleanup(func() { must(t, k.store.Close()) })
	k.blobs, err = disk.Open(disk.Options{Dir: filepath.Join(k.cfg.DataDir, "blobs"), Reserve: disk.Reserve{Bytes: -1}})
	must(t, err)
	t.Cleanup(func() { must(t, k.blobs.Close()) })
	for _, c := range contents {
		k.put(t, c)
	}
	return k
}

func (k *kept) put(t *testing.T, content string) artifact.Digest {
	t.Helper()
	d, _, err := k.blobs.Put(t.Context(), strings.NewReader(content), 1<<20)
	must(t, err)
	return d
}

// copied lists the blobs of a backup, each of which has to be good.
func copied(t *testing.T, target string) map[artifact.Digest]bool {
	t.Helper()
	s, err := disk.Open(disk.Options{Dir: filepath.Join(target, "blobs")})
	must(t, err)
	defer s.Close()
	list, err := s.List(t.Context(), "", artifact.MaxList)
	must(t, err)
	found := map[artifact.Digest]bool{}
	for _, info := range list {
		must(t, artifact.Verify(t.Context(), s, info.Digest))
		found[info.Digest] = true
	}
	return found
}

// busy is a database during whose copy something happens.
type busy struct {
	store.Store
	meanwhile func()
}

func (b busy) Backup(ctx context.Context, path string) error {
	err := b.Store.Backup(ctx, path)
	b.meanwhile()
	return err
}

// What the copied database names is in the backup: what was purged since, and
// what came just before.
func TestBackupHasWhatItsDatabaseNames(t *testing.T) {
	k := newKept(t, "stays")
	purged, target := k.put(t, "purged"), filepath.Join(t.TempDir(), "backup")
	var came artifact.Digest
	b, err := backUp(t.Context(), k.cfg, busy{k.store, func() {
		must(t, k.blobs.Delete(t.Context(), purged))
		came = k.put(t, "came")
	}}, target)
	must(t, err)
	found := copied(t, target)
	if !found[purged] || !found[came] || len(found) != 3 || b.Blobs != 3 || b.Missing != 0 {
		t.Errorf("%v, %+v", found, b)
	}
}

// A backup does not take the server's disk, and leaves nothing where it fails.
func TestBackupWithoutRoom(t *testing.T) {
	k := newKept(t, "content")
	target := filepath.Join(k.cfg.DataDir, "backup")
	free, _, err := k.blobs.Space()
	must(t, err)
	k.cfg.DiskReserve = config.Size(2 * free)
	if _, err := Backup(t.Context(), k.cfg, target); job.KindOf(err) != job.KindUnavailable || !strings.Contains(err.Error(), "kept free") {
		t.Errorf("the error is %v", err)
	}
	if _, err := os.Stat(target); !os.IsNotExist(err) {
		t.Errorf("it is there: %v", err)
	}
}

// A command of another version leaves the database of a server alone.
func TestOtherVersionIsLeftAlone(t *testing.T) {
	k := newKept(t)
	target := filepath.Join(t.TempDir(), "backup")
	age := func(step string) {
		db, err := sql.Open("sqlite", databaseFile(k.cfg))
		must(t, err)
		_, err = db.ExecContext(t.Context(), "UPDATE river_migration SET version = version "+step)
		must(t, err)
		must(t, db.Close())
	}
	age("+ 1000")
	if _, err := Backup(t.Context(), k.cfg, target); job.KindOf(err) != job.KindConfig {
		t.Errorf("backup: %v", err)
	}
	if _, err := OpenKeys(t.Context(), k.cfg); job.KindOf(err) != job.KindConfig {
		t.Errorf("keys: %v", err)
	}
	age("- 1000")
	keys, err := OpenKeys(t.Context(), k.cfg)
	must(t, err)
	must(t, keys.Close())
	if _, err := Backup(t.Context(), k.cfg, target); err != nil {
		t.Errorf("backup: %v", err)
	}
}
