package cli

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/sys/unix"

	"github.com/takovm/tako/internal/takotest"
)

// shelf is an output directory with a neighbour that nothing may get into.
type shelf struct {
	*output
	dir, neighbour string
}

func newShelf(t *testing.T) *shelf {
	t.Helper()
	parent := t.TempDir()
	s := &shelf{dir: filepath.Join(parent, "out"), neighbour: filepath.Join(parent, "neighbour")}
	must(t, os.Mkdir(s.neighbour, 0o700))
	must(t, os.WriteFile(filepath.Join(s.neighbour, "victim"), []byte("precious"), 0o600))
	var err error
	s.output, err = openOutput("--output-dir", s.dir)
	must(t, err)
	t.Cleanup(s.Close)
	t.Cleanup(func() {
		entries, err := os.ReadDir(s.neighbour)
		data, _ := os.ReadFile(filepath.Join(s.neighbour, "victim"))
		if err != nil || len(entries) != 1 || string(data) != "precious" {
			t.Errorf("the neighbour holds %v, %q, %v", entries, data, err)
		}
		if above, _ := os.ReadDir(parent); len(above) != 2 {
			t.Errorf("above are %v", above)
		}
	})
	return s
}

func (s *shelf) put(name, content string) error {
	return s.save(name, int64(len(content)), strings.NewReader(content))
}

// holds checks a file's content and that no unfinished file is left.
func (s *shelf) holds(t *testing.T, name, want string) {
	t.Helper()
	path := filepath.Join(s.dir, name)
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() {
		t.Errorf("%q: %v, %v", name, info, err)
		return
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != want {
		t.Errorf("%q is %q, %v; want %q", name, data, err, want)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".tako-????????*")); len(left) > 0 {
		t.Errorf("unfinished files are left beside %q: %v", name, left)
	}
}

func TestSave(t *testing.T) {
	s := newShelf(t)
	for _, name := range []string{"a", "dir/sub/b", "ü ☃", strings.Repeat("x", 255), "-rf", "$(reboot)", "a b\\c"} {
		must(t, s.put(name, "content of "+name))
		s.holds(t, name, "content of "+name)
	}
	must(t, s.put("empty", ""))
	s.holds(t, "empty", "")
	must(t, s.put("a", "again"))
	s.holds(t, "a", "again")
	if info, err := os.Stat(filepath.Join(s.dir, "a")); err != nil || info.Mode().Perm()&0o133 != 0 {
		t.Errorf("the mode of a file is %v, %v", info.Mode(), err)
	}
}

// Names that lead out of the directory lead nowhere.
func TestSaveHostileNames(t *testing.T) {
	s := newShelf(t)
	for _, name := range []string{
		"../neighbour/victim", "..", "../x", "a/../../x", "/etc/tako-test", s.neighbour + "/victim", "", ".", "a/..", "x/../../neighbour/y",
		"nul\x00byte", "\x1b[2Jcleared", "line\nline", strings.Repeat("x", 256),
	} {
		if err := s.put(name, "hostile"); err == nil {
			t.Errorf("%q is taken", name)
		}
	}
	if _, err := os.Lstat("/etc/tako-test"); err == nil {
		t.Error("a file was written to /etc")
	}
}

// Links that somebody has planted are replaced or refused, never followed out.
func TestSavePlantedLinks(t *testing.T) {
	s := newShelf(t)
	plant := func(target, name string) { must(t, os.Symlink(target, filepath.Join(s.dir, name))) }
	plant(filepath.Join(s.neighbour, "victim"), "absolute")
	plant("../neighbour/victim", "relative")
	plant(filepath.Join(s.neighbour, "new"), "dangling")
	plant("loop", "loop")
	for _, name := range []string{"absolute", "relative", "dangling", "loop"} {
		must(t, s.put(name, "mine"))
		s.holds(t, name, "mine")
	}
	plant(s.neighbour, "outdir")
	plant("..", "up")
	plant("missing", "nodir")
	for _, name := range []string{"outdir/victim", "outdir/new", "up/neighbour/victim", "up/x"} {
		if err := s.put(name, "hostile"); err == nil {
			t.Errorf("%q is taken", name)
		}
	}
	// What is linked within the directory stays within it.
	must(t, os.Mkdir(filepath.Join(s.dir, "real"), 0o700))
	plant("real", "alias")
	if err := s.put("alias/f", "inside"); err == nil {
		s.holds(t, "real/f", "inside")
	}
	must(t, unix.Mkfifo(filepath.Join(s.dir, "fifo"), 0o600))
	must(t, s.put("fifo", "no longer"))
	s.holds(t, "fifo", "no longer")
}

// What is in the way makes one file fail, not more, and leaves what was there.
func TestSaveInTheWay(t *testing.T) {
	s := newShelf(t)
	must(t, os.MkdirAll(filepath.Join(s.dir, "dir", "full"), 0o700))
	must(t, s.put("file", "here"))
	for _, name := range []string{"dir", "file/below", "dir/full"} {
		if err := s.put(name, "x"); err == nil || !strings.HasPrefix(err.Error(), "not copied: ") {
			t.Errorf("%q: %v", name, err)
		}
	}
	s.holds(t, "file", "here")
	must(t, s.put("after", "fine"))
	s.holds(t, "after", "fine")
}

// Files that are called as unfinished ones once were are files like others.
func TestSaveBesideAnother(t *testing.T) {
	s := newShelf(t)
	must(t, s.put(".tako-part", "first"))
	must(t, s.put("other", "second"))
	must(t, s.put("dir/.tako-part/x", "third"))
	must(t, s.put("dir/y", "fourth"))
	s.holds(t, ".tako-part", "first")
	s.holds(t, "dir/.tako-part/x", "third")
}

// A file that does not end where it said is not read on.
func TestSaveEndless(t *testing.T) {
	s := newShelf(t)
	var read int64
	if err := s.save("a", 1000, endless{&read}); err == nil || !strings.Contains(err.Error(), "changed") {
		t.Errorf("%v", err)
	}
	if entries, _ := os.ReadDir(s.dir); len(entries) != 0 || read > 1<<20 {
		t.Errorf("%v, %d bytes read", entries, read)
	}
}

type endless struct{ read *int64 }

func (e endless) Read(p []byte) (int, error) {
	if *e.read += int64(len(p)); *e.read > 1<<24 {
		return 0, errors.New("too much is read")
	}
	return len(p), nil
}

// A file that does not come in full is not there, and an older one stays.
func TestSaveIncomplete(t *testing.T) {
	s := newShelf(t)
	must(t, s.put("a", "old"))
	broken := errors.New("broken")
	if err := s.save("a", 3, iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("a reader that fails: %v", err)
	}
	if err := s.save("a", 5, strings.NewReader("new")); err == nil {
		t.Error("a file that is too short is taken")
	}
	s.holds(t, "a", "old")
	if err := s.save("b", 5, strings.NewReader("new")); err == nil {
		t.Error("a file that is too short is taken")
	}
	if _, err := os.Lstat(filepath.Join(s.dir, "b")); err == nil {
		t.Error("half a file is there")
	}
}

func TestSaveFull(t *testing.T) {
	takotest.RequireRoot(t)
	dir := t.TempDir()
	must(t, unix.Mount("tako-test", dir, "tmpfs", 0, "size=16k"))
	t.Cleanup(func() { must(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	o, err := openOutput("--output-dir", dir)
	must(t, err)
	defer o.Close()
	if err := o.save("large", 1<<20, strings.NewReader(strings.Repeat("x", 1<<20))); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("a full disk: %v", err)
	}
	must(t, o.save("small", 1, strings.NewReader("x")))
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left are %v", entries)
	}
}

func TestOpenOutput(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	must(t, os.WriteFile(file, nil, 0o600))
	for _, bad := range []string{file, file + "/x", "/proc/none"} {
		o, err := openOutput("--output-dir", bad)
		var exit *exitError
		if !errors.As(err, &exit) || exit.code != exitUsage || !strings.Contains(exit.msg, bad) {
			t.Errorf("%s: %v", bad, err)
		}
		if err == nil {
			o.Close()
		}
	}
	o, err := openOutput("--output-dir", filepath.Join(dir, "deep", "er"))
	must(t, err)
	o.Close()
}
