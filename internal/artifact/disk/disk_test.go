package disk

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/takovm/tako/internal/artifact"
	"github.com/takovm/tako/internal/artifact/artifacttest"
	"github.com/takovm/tako/internal/job"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, o Options) *Store {
	t.Helper()
	if o.Dir == "" {
		o.Dir = filepath.Join(t.TempDir(), "blobs")
	}
	if o.Space == nil {
		o.Reserve.Bytes = -1
	}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *Store) path(d artifact.Digest) string { return filepath.Join(s.dir, string(d[:2]), string(d)) }

func TestContract(t *testing.T) {
	artifacttest.Run(t, artifacttest.Driver{
		New: func(t *testing.T) artifact.Store { return open(t, Options{}) },
		Damage: func(t *testing.T, s artifact.Store, d artifact.Digest, data []byte) {
			if err := os.WriteFile(s.(*Store).path(d), data, 0o600); err != nil {
				t.Fatal(err)
			}
		},
		Clutter: func(t *testing.T, s artifact.Store) { clutter(t, s.(*Store).dir) },
	})
}

func clutter(t *testing.T, dir string) {
	name := strings.Repeat("a", 64)
	for _, d := range []string{"aa", "bb", "tmp", "lost+found", "cc/" + "cc" + name[2:]} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{"README", "aa/short", "bb/" + name, "tmp/" + name, "lost+found/" + name, "dd"} {
		if err := os.WriteFile(filepath.Join(dir, f), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range []string{"aa/" + name, "ee"} {
		if err := os.Symlink("/etc/hostname", filepath.Join(dir, l)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestModes(t *testing.T) {
	old := unix.Umask(0)
	defer unix.Umask(old)
	s := open(t, Options{})
	defer s.Close()
	d, _, err := s.Put(t.Context(), strings.NewReader("x"), 1)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{
		s.dir: 0o700, filepath.Join(s.dir, "tmp"): 0o700, filepath.Dir(s.path(d)): 0o700, s.path(d): 0o600,
	} {
		st, err := os.Stat(path)
		if err != nil || st.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, st.Mode(), err)
		}
	}
}

// What is not a regular file is not read, wherever it leads.
func TestLinks(t *testing.T) {
	for name, replace := range map[string]func(path, other string) error{
		"a link to a file":   func(path, other string) error { return os.Symlink(other, path) },
		"a dangling link":    func(path, _ string) error { return os.Symlink("nowhere", path) },
		"a pipe":             func(path, _ string) error { return unix.Mkfifo(path, 0o600) },
		"a folder":           func(path, _ string) error { return os.Mkdir(path, 0o700) },
		"its folder, linked": func(path, other string) error { return relink(filepath.Dir(path), filepath.Dir(other)) },
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, Options{})
			defer s.Close()
			d, _, err := s.Put(t.Context(), strings.NewReader("secret"), 10)
			if err != nil {
				t.Fatal(err)
			}
			other := filepath.Join(t.TempDir(), string(d))
			if err := os.Rename(s.path(d), other); err != nil {
				t.Fatal(err)
			}
			if err := replace(s.path(d), other); err != nil {
				t.Fatal(err)
			}
			if b, err := s.Open(t.Context(), d); err == nil {
				b.Close()
				t.Error("it was opened")
			} else if !errors.Is(err, artifact.ErrCorrupt) {
				t.Errorf("the error is %v", err)
			}
			list, err := s.List(t.Context(), "", 10)
			if err != nil || len(list) != 0 {
				t.Errorf("it is listed: %v, %v", list, err)
			}
		})
	}
}

// relink puts a link to where into the place of a folder that is empty.
func relink(dir, where string) error {
	if err := os.Remove(dir); err != nil {
		return err
	}
	return os.Symlink(where, dir)
}

// A folder that is a link leads blobs nowhere else, either.
func TestPutDoesNotFollow(t *testing.T) {
	s := open(t, Options{})
	defer s.Close()
	elsewhere := t.TempDir()
	d, _, err := s.Put(t.Context(), strings.NewReader("x"), 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(s.path(d)), relink(filepath.Dir(s.path(d)), elsewhere)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Put(t.Context(), strings.NewReader("x"), 1); err == nil {
		t.Error("it was stored through a link")
	}
	if left, _ := os.ReadDir(elsewhere); len(left) != 0 {
		t.Errorf("%v", left)
	}
	if _, err := s.DeleteBefore(t.Context(), d, time.Now()); err == nil {
		t.Error("it was removed through a link")
	}
}

// Each step that can fail leaves no blob and no temporary file.
func TestFailures(t *testing.T) {
	for _, step := range []string{"create", "write", "sync", "rename"} {
		for name, cause := range map[string]error{"full": unix.ENOSPC, "quota": unix.EDQUOT, "read-only": unix.EROFS, "broken": unix.EIO} {
			t.Run(step+" "+name, func(t *testing.T) {
				s := open(t, Options{})
				defer s.Close()
				s.fail = func(at string) error {
					if at == step {
						return cause
					}
					return nil
				}
				_, _, err := s.Put(t.Context(), strings.NewReader("x"), 1)
				if !errors.Is(err, cause) || job.KindOf(err) != job.KindUnavailable {
					t.Errorf("the error is %v", err)
				}
				nothing(t, s)
			})
		}
	}
	// After the rename the blob has its name, whole; only the promise that it
	// lasts cannot be made.
	s := open(t, Options{})
	defer s.Close()
	s.fail = func(at string) error {
		if at == "sync folder" {
			return unix.EIO
		}
		return nil
	}
	if _, _, err := s.Put(t.Context(), strings.NewReader("x"), 1); !errors.Is(err, unix.EIO) {
		t.Errorf("the error is %v", err)
	}
}

// nothing fails the test if a blob or temporary file is left.
func nothing(t *testing.T, s *Store) {
	t.Helper()
	err := filepath.WalkDir(s.dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			t.Errorf("%s is left", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestNothingLeftByRefusals(t *testing.T) {
	s := open(t, Options{})
	defer s.Close()
	if _, _, err := s.Put(t.Context(), strings.NewReader("too long"), 3); job.KindOf(err) != job.KindInvalid {
		t.Errorf("the error is %v", err)
	}
	nothing(t, s)
}

func TestSweep(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	defer s.Close()
	alive, err := s.newTemp()
	if err != nil {
		t.Fatal(err)
	}
	defer alive.discard()
	for _, name := range []string{"dead", "young"} {
		if err := os.WriteFile(filepath.Join(dir, tmpDir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	old := time.Now().Add(-2 * staleAfter)
	for _, name := range []string{"dead", alive.name} {
		if err := os.Chtimes(filepath.Join(dir, tmpDir, name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	open(t, Options{Dir: dir}).Close()
	for name, want := range map[string]bool{"dead": false, "young": true, alive.name: true} {
		if _, err := os.Stat(filepath.Join(dir, tmpDir, name)); (err == nil) != want {
			t.Errorf("%s is there: %v, want %v", name, err == nil, want)
		}
	}
}

func TestSpace(t *testing.T) {
	const gib = 1 << 30
	for _, tc := range []struct {
		name        string
		reserve     Reserve
		free, total int64
		ok          bool
	}{
		{"enough on a small disk", Reserve{}, gib, 10 * gib, true},
		{"not enough on a small disk", Reserve{}, gib - 1, 10 * gib, false},
		{"enough on a large disk", Reserve{}, 51 * gib, 1000 * gib, true},
		{"5 % of a large disk", Reserve{}, 49 * gib, 1000 * gib, false},
		{"a reserve of one's own", Reserve{Bytes: 10}, 10, 1000 * gib, true},
		{"less than that", Reserve{Bytes: 10}, 9, 1000 * gib, false},
		{"percent only", Reserve{Percent: 50}, 49 * gib, 100 * gib, false},
		{"no reserve", Reserve{Bytes: -1}, 0, gib, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := open(t, Options{Reserve: tc.reserve, Space: func() (int64, int64, error) { return tc.free, tc.total, nil }})
			defer s.Close()
			_, _, err := s.Put(t.Context(), strings.NewReader("x"), 1)
			if (err == nil) != tc.ok || err != nil && job.KindOf(err) != job.KindUnavailable {
				t.Errorf("put: %v", err)
			}
			if !tc.ok {
				nothing(t, s)
			}
		})
	}
}

// What was accepted is stored where nothing new is, but not to the last byte.
func TestAccepted(t *testing.T) {
	free := int64(10)
	s := open(t, Options{Reserve: Reserve{Bytes: 20}, Space: func() (int64, int64, error) { return free, 1000, nil }})
	defer s.Close()
	accepted := s.Accepted()
	if _, _, err := s.Put(t.Context(), strings.NewReader("x"), 1); job.KindOf(err) != job.KindUnavailable {
		t.Errorf("an upload: %v", err)
	}
	d, _, err := accepted.Put(t.Context(), strings.NewReader("x"), 1)
	if err != nil {
		t.Fatalf("what was accepted: %v", err)
	}
	if _, err := s.Stat(t.Context(), d); err != nil {
		t.Errorf("it is elsewhere: %v", err)
	}
	free = 4
	if _, _, err := accepted.Put(t.Context(), strings.NewReader("y"), 1); job.KindOf(err) != job.KindUnavailable {
		t.Errorf("the last quarter: %v", err)
	}
}

// What is no file of ours is not taken for a blob that is there.
func TestTouchLink(t *testing.T) {
	s := open(t, Options{})
	defer s.Close()
	d, _, err := s.Put(t.Context(), strings.NewReader("x"), 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(s.path(d), s.path(d)+"~"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(s.path(d)+"~", s.path(d)); err != nil {
		t.Fatal(err)
	}
	if err := s.Touch(t.Context(), d); !errors.Is(err, artifact.ErrCorrupt) {
		t.Errorf("the error is %v", err)
	}
}

func TestSpaceRunsOutMeanwhile(t *testing.T) {
	looks := 0
	s := open(t, Options{Space: func() (int64, int64, error) {
		looks++
		return 3<<30 - int64(looks)<<30, 10 << 30, nil
	}})
	defer s.Close()
	_, _, err := s.Put(t.Context(), bytes.NewReader(make([]byte, 3*spaceEvery)), 4*spaceEvery)
	if job.KindOf(err) != job.KindUnavailable || looks != 3 {
		t.Errorf("after %d looks: %v", looks, err)
	}
	nothing(t, s)
}

func TestSpaceUnknown(t *testing.T) {
	s := open(t, Options{Space: func() (int64, int64, error) { return 0, 0, unix.EIO }})
	defer s.Close()
	if _, _, err := s.Put(t.Context(), strings.NewReader("x"), 1); job.KindOf(err) != job.KindUnavailable {
		t.Errorf("put: %v", err)
	}
}

func TestSpaceOfThisDisk(t *testing.T) {
	s, err := Open(Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	free, kept, err := s.Space()
	if err != nil || free <= 0 || kept < 1<<30 {
		t.Errorf("%d free, %d kept, %v", free, kept, err)
	}
}

func TestClosed(t *testing.T) {
	s := open(t, Options{})
	d, _, err := s.Put(t.Context(), strings.NewReader("open"), 4)
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Open(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	s.Close()
	if text, err := io.ReadAll(b); string(text) != "open" || err != nil {
		t.Errorf("an open blob: %q, %v", text, err)
	}
	if _, err := s.Open(t.Context(), d); !errors.Is(err, os.ErrClosed) {
		t.Errorf("open: %v", err)
	}
	if _, _, err := s.Put(t.Context(), strings.NewReader("x"), 1); !errors.Is(err, os.ErrClosed) {
		t.Errorf("put: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"", file, filepath.Join(file, "below")} {
		if s, err := Open(Options{Dir: dir}); err == nil {
			s.Close()
			t.Errorf("%q was opened", dir)
		}
	}
}
