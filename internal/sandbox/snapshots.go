package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/takovm/tako/internal/engine"
)

const (
	// snapshotAge and snapshotClones are when a snapshot is made anew: its
	// clones share Python's hash secret and their address layout.
	snapshotAge    = 24 * time.Hour
	snapshotClones = 10_000
	// keepSnapshots is how many stay, of about 5 MB each.
	keepSnapshots = 8
)

// Why there is no snapshot to restore.
var (
	errNoSnapshot = errors.New("there is none")
	errBusy       = errors.New("another process makes it")
)

// Snapshots are sandboxes on disk, each with a program held in it. Any number
// of processes share the directory:
//
//	<key>/          a snapshot: the engine's files and manifest.json
//	<key>/uses      a byte for each clone
//	<key>.lock      held (flock) by the one process that makes it
//	<key>.seen      somebody would have liked to have it
//	<key>.failed    it could not be made or restored; the reason is in it
//	<key>-*.tmp     unfinished, or on its way out
//
// What is found wrong is removed, and the sandbox is launched from nothing.
type Snapshots struct {
	Dir string
	// now is the clock; time.Now outside tests.
	now func() time.Time
}

// manifest says what a snapshot consists of. Its files are checked against it
// before each use: the engine would restore what a disk has garbled.
type manifest struct {
	Made  time.Time       `json:"made"`
	Files map[string]file `json:"files"`
}

type file struct {
	Size int64  `json:"size"`
	CRC  uint32 `json:"crc32c"`
}

const (
	manifestName = "manifest.json"
	usesName     = "uses"
)

func (s *Snapshots) path(name string) string { return filepath.Join(s.Dir, name) }

func (s *Snapshots) time() time.Time {
	if s.now != nil {
		return s.now()
	}
	return time.Now()
}

// take returns the snapshot of that key for one clone. The error says why there
// is none; one that is corrupt or worn is gone then.
func (s *Snapshots) take(key string) (engine.Snapshot, error) {
	dir := s.path(key)
	m, err := readManifest(dir)
	if errors.Is(err, os.ErrNotExist) {
		return engine.Snapshot{}, errNoSnapshot
	}
	if err == nil {
		err = s.worn(dir, m)
	}
	for name, want := range m.Files {
		if err == nil {
			err = check(filepath.Join(dir, name), want)
		}
	}
	if err != nil {
		return engine.Snapshot{}, errors.Join(fmt.Errorf("the snapshot %s: %w", key, err), s.remove(key))
	}
	return engine.Snapshot{Dir: dir}, nil
}

func readManifest(dir string) (manifest, error) {
	var m manifest
	data, err := os.ReadFile(filepath.Join(dir, manifestName))
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, err
	}
	if len(m.Files) == 0 {
		return m, errors.New("its manifest names no file")
	}
	return m, nil
}

// worn counts one more clone.
func (s *Snapshots) worn(dir string, m manifest) error {
	if age := s.time().Sub(m.Made); age > snapshotAge || age < 0 {
		return fmt.Errorf("made %v ago", age.Round(time.Minute))
	}
	f, err := os.OpenFile(filepath.Join(dir, usesName), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write([]byte{'.'}); err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && info.Size() > snapshotClones {
		err = fmt.Errorf("cloned %d times", info.Size()-1)
	}
	return err
}

func check(name string, want file) error {
	got, err := sum(name)
	if err == nil && got != want {
		err = fmt.Errorf("%s is corrupt", filepath.Base(name))
	}
	return err
}

func sum(name string) (file, error) {
	f, err := os.Open(name)
	if err != nil {
		return file{}, err
	}
	defer f.Close()
	h := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	n, err := io.CopyBuffer(h, f, make([]byte, 256<<10))
	return file{Size: n, CRC: h.Sum32()}, err
}

// wanted reports whether a missing snapshot is worth making: its shape was
// asked for before, within a snapshot's life, and nothing went wrong with it.
func (s *Snapshots) wanted(key string) bool {
	if s.recent(key + ".failed") {
		return false
	}
	seen := s.recent(key + ".seen")
	if !seen {
		s.mark(key+".seen", "")
	}
	return seen
}

func (s *Snapshots) recent(name string) bool {
	info, err := os.Stat(s.path(name))
	return err == nil && s.time().Sub(info.ModTime()) < snapshotAge
}

// mark leaves a note for other processes. One that cannot be left costs time.
func (s *Snapshots) mark(name, text string) {
	if os.MkdirAll(s.Dir, 0o700) == nil {
		_ = os.WriteFile(s.path(name), []byte(text), 0o600)
	}
}

// fail gives a key up for a snapshot's life.
func (s *Snapshots) fail(key string, reason error) {
	s.mark(key+".failed", reason.Error()+"\n")
	_ = s.remove(key) // nobody takes it before the note is old
}

// Forget removes every snapshot that nobody makes just now, and every note.
func (s *Snapshots) Forget() {
	entries, err := os.ReadDir(s.Dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		switch name := e.Name(); filepath.Ext(name) {
		case "":
			_ = s.remove(name) // it costs time only
		case ".failed":
			os.Remove(s.path(name))
		}
	}
}

// add makes the snapshot of that key with freeze, which fills a directory.
func (s *Snapshots) add(ctx context.Context, key string, freeze func(ctx context.Context, dir string) error) (err error) {
	lock, err := s.lock(key)
	if err != nil {
		return err
	}
	defer lock.Close()
	s.prune(key)
	dir, err := os.MkdirTemp(s.Dir, key+"-*.tmp")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := freeze(ctx, dir); err != nil {
		return err
	}
	if err := s.seal(dir); err != nil {
		return err
	}
	if err := s.remove(key); err != nil {
		return err
	}
	return os.Rename(dir, s.path(key))
}

// seal writes the manifest of what is in dir.
func (s *Snapshots) seal(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	m := manifest{Made: s.time(), Files: map[string]file{}}
	for _, e := range entries {
		if m.Files[e.Name()], err = sum(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, manifestName), data, 0o600)
}

// lock makes this process the one that makes a snapshot, if none is.
func (s *Snapshots) lock(key string) (*os.File, error) {
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(s.path(key+".lock"), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = errBusy
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// remove takes a snapshot away, at once for everybody.
func (s *Snapshots) remove(key string) error {
	out, err := os.MkdirTemp(s.Dir, key+"-*.tmp")
	if err != nil {
		return err
	}
	err = os.Rename(s.path(key), filepath.Join(out, "old"))
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, os.RemoveAll(out))
}

// prune removes what dead processes have left, notes that nobody heeds any
// more, and snapshots that were not used for longest. The caller holds the
// lock of key.
func (s *Snapshots) prune(key string) {
	entries, err := os.ReadDir(s.Dir)
	if err != nil {
		return
	}
	used := map[string]time.Time{}
	for _, e := range entries {
		name := e.Name()
		switch filepath.Ext(name) {
		case ".tmp":
			owner, _, _ := strings.Cut(name, "-")
			s.locked(owner, key, func() { os.RemoveAll(s.path(name)) })
		case ".seen", ".failed", ".lock":
			// A lock file that is removed while somebody waits for it would let
			// two in: nobody waits, and its owner is asked.
			owner := strings.TrimSuffix(name, filepath.Ext(name))
			if owner != key && !s.recent(name) {
				s.locked(owner, key, func() { os.Remove(s.path(name)) })
			}
		case "":
			used[name] = s.lastUse(name)
		}
	}
	names := slices.SortedFunc(maps.Keys(used), func(a, b string) int { return used[b].Compare(used[a]) })
	for _, old := range names[min(keepSnapshots-1, len(names)):] {
		if old != key {
			_ = s.remove(old) // the next one tries again
		}
	}
}

// locked does something with what belongs to a key, if nobody works on it.
func (s *Snapshots) locked(owner, mine string, do func()) {
	if owner == mine {
		do()
		return
	}
	if lock, err := s.lock(owner); err == nil {
		do()
		lock.Close()
	}
}

func (s *Snapshots) lastUse(key string) time.Time {
	for _, name := range []string{usesName, manifestName} {
		if info, err := os.Stat(filepath.Join(s.path(key), name)); err == nil {
			return info.ModTime()
		}
	}
	return time.Time{}
}
