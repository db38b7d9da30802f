package guest_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/takovm/tako/internal/guest"
)

func TestPut(t *testing.T) {
	sb := boot(t)
	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<16+1)
	must(t, sb.Put(t.Context(), guest.File{Path: "/code/a/b/main.py", Mode: 0o444, Size: 5}, strings.NewReader("first, and more")))
	must(t, sb.Put(t.Context(), guest.File{Path: "/code/a/b/main.py", Mode: 0o444, Size: 6}, strings.NewReader("second")))
	must(t, sb.Put(t.Context(), guest.File{Path: "/app/own", Mode: 0o6640, UID: 1000, GID: 1001, Size: int64(len(large))}, bytes.NewReader(large)))
	must(t, sb.Put(t.Context(), guest.File{Path: "/input/empty", Mode: 0o600, UID: 1000, GID: 1000}, nil))
	must(t, sb.Mkdir(t.Context(), "/tmp/.cache/lib", 0o700, 1000, 1000))
	must(t, sb.Mkdir(t.Context(), "/tmp/.cache/lib", 0o750, 1000, 1001))
	got := sb.run(python(`
import hashlib, os
for path in ('/code/a', '/code/a/b', '/code/a/b/main.py', '/app/own', '/input/empty', '/tmp/.cache', '/tmp/.cache/lib'):
    st = os.stat(path)
    text = hashlib.sha256(open(path, 'rb').read()).hexdigest()[:8] if os.path.isfile(path) and os.access(path, os.R_OK) else ''
    print(path, oct(st.st_mode & 0o7777), st.st_uid, st.st_gid, text)
print(open('/code/a/b/main.py').read())
`)).stdout
	want := `/code/a 0o755 0 0 
/code/a/b 0o755 0 0 
/code/a/b/main.py 0o444 0 0 16367aac
/app/own 0o640 1000 1001 ` + digest(large) + `
/input/empty 0o600 1000 1000 e3b0c442
/tmp/.cache 0o755 0 0 
/tmp/.cache/lib 0o750 1000 1001 
second
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPutFails(t *testing.T) {
	sb := boot(t)
	for _, path := range []string{"/etc/passwd", "/code", "/code/../etc/x", "relative", "/code/" + strings.Repeat("x", 256), ""} {
		if err := sb.put(path, "x"); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("put %.20q: %v", path, err)
		}
	}
	if err := sb.Put(t.Context(), guest.File{Path: "/code/x", UID: -1}, nil); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("uid -1: %v", err)
	}
	// Eight MiB fit; the ninth does not, and leaves nothing of its file.
	nine := strings.Repeat("x", 9<<20)
	err := sb.put("/code/large", nine)
	var failed *guest.FileError
	if !errors.As(err, &failed) || failed.Path != "/code/large" || failed.Errno != syscall.ENOSPC {
		t.Errorf("put of 9 MiB: %v", err)
	}
	must(t, sb.put("/code/fits", nine[:7<<20]))
	// A reader that fails or ends early leaves nothing, either.
	broken := errors.New("broken")
	f := guest.File{Path: "/tmp/partial", Mode: 0o644, Size: 200_000}
	if err := sb.Put(t.Context(), f, io.MultiReader(strings.NewReader(nine[:100_000]), failing{broken})); !errors.Is(err, broken) {
		t.Errorf("failing reader: %v", err)
	}
	if err := sb.Put(t.Context(), f, strings.NewReader("short")); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("short reader: %v", err)
	}
	must(t, sb.put("/tmp/file", "x"))
	if err := sb.put("/tmp/file/below", "x"); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("below a file: %v", err)
	}
	must(t, sb.Mkdir(t.Context(), "/tmp/dir", 0o755, 0, 0))
	if err := sb.put("/tmp/dir", "x"); !errors.Is(err, syscall.EISDIR) {
		t.Errorf("over a directory: %v", err)
	}
	if err := sb.Mkdir(t.Context(), "/tmp/file", 0o755, 0, 0); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("mkdir over a file: %v", err)
	}
	if got := sb.run(python(`import os; print(os.listdir('/code'), sorted(os.listdir('/tmp')))`)).stdout; got != "['fits'] ['dir', 'file']\n" {
		t.Errorf("left: %s", got)
	}
}

// Several files at once are what they would be one by one.
func TestPutAll(t *testing.T) {
	sb := boot(t)
	content := func(path string, size int) guest.Content {
		return guest.Content{File: guest.File{Path: path, Mode: 0o444}, Bytes: bytes.Repeat([]byte("x"), size)}
	}
	must(t, sb.PutAll(t.Context()))
	must(t, sb.PutAll(t.Context(), content("/code/one", 1)))
	must(t, sb.PutAll(t.Context(), content("/code/a", 0), content("/input/b/c", 5), content("/code/d", 70_000), content("/code/e", 200_000-70_000)))
	must(t, sb.PutAll(t.Context(), content("/code/large", 300_000), content("/code/small", 3))) // one by one
	must(t, sb.put("/tmp/file", "x"))
	err := sb.PutAll(t.Context(), content("/code/before", 2), content("/tmp/file/below", 4), content("/tmp/file/too", 4), content("/code/after", 6))
	var failed *guest.FileError
	if !errors.As(err, &failed) || failed.Path != "/tmp/file/below" || failed.Errno != syscall.ENOTDIR {
		t.Errorf("below a file: %v", err)
	}
	if err := sb.PutAll(t.Context(), content("/code/never", 2), content("/etc/passwd", 4)); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("outside: %v", err)
	}
	must(t, sb.Mkdir(t.Context(), "/tmp/next", 0o755, 0, 0)) // the conversation goes on in step
	got := sb.run(python(`
import os
print(*[f'{p}={os.stat(p).st_size}' for d in ('/code', '/input') for top, _, names in os.walk(d) for n in sorted(names) for p in [os.path.join(top, n)]])
`)).stdout
	want := "/code/a=0 /code/after=6 /code/before=2 /code/d=70000 /code/e=130000 /code/large=300000 /code/one=1 /code/small=3 /input/b/c=5\n"
	if got != want {
		t.Errorf("got %s", got)
	}
}

// What a program put in the way is not followed, not written to and not
// waited for.
func TestPutAgainstTraps(t *testing.T) {
	sb := boot(t)
	out := newGate()
	must(t, sb.put("/tmp/precious", "precious"))
	must(t, sb.Start(t.Context(), python(`
import os, signal
os.symlink('/tmp/precious', '/output/link')
os.symlink('/tmp', '/output/dir')
os.mkfifo('/output/fifo')
os.mkdir('/output/own')
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
print('ready', flush=True)
signal.sigwait([signal.SIGUSR1])
print(open('/tmp/precious').read(), os.listdir('/tmp'), os.path.islink('/output/link'), flush=True)
`), guest.Streams{Stdout: out}))
	out.wait(t)
	must(t, sb.put("/output/link", "new"))
	must(t, sb.put("/output/fifo", "new"))
	must(t, sb.put("/output/own/file", "new"))
	if err := sb.put("/output/dir/file", "new"); err == nil {
		t.Error("a link was followed")
	}
	if err := sb.Mkdir(t.Context(), "/output/dir", 0o777, 1000, 1000); err == nil {
		t.Error("a link was adopted")
	}
	must(t, sb.Signal(t.Context(), syscall.SIGUSR1, false))
	sb.wait()
	if got := out.String(); got != "ready\nprecious ['precious'] False\n" {
		t.Errorf("got %q", got)
	}
}

// collected is what a collection brought.
type collected struct {
	names []string
	text  map[string]string
}

func (c *collected) each(name string, size int64, r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if int64(len(b)) != size {
		return fmt.Errorf("%s: %d bytes of %d", name, len(b), size)
	}
	c.names = append(c.names, name)
	c.text[name] = string(b)
	return nil
}

var generous = guest.CollectOptions{MaxFiles: 1000, MaxFileBytes: 1 << 20, MaxTotalBytes: 16 << 20, MaxDepth: 8}

func TestCollect(t *testing.T) {
	sb := boot(t)
	sb.run(python(`
import os, socket
os.chdir('/output')
def write(name, text='x'):
    with open(name, 'wb') as f: f.write(text if isinstance(text, bytes) else text.encode())
write('result.json', '{}'); write('a.txt', 'aa'); write('z'); write('empty', '')
write('big', b'b' * 300_000); write('huge', b'h' * (2 << 20))
os.makedirs('sub/deep/er'); write('sub/deep/er/file', 'deep'); write('sub-file'); write('sub/x')
os.makedirs('/'.join('d' * 12)); write('/'.join('d' * 12) + '/lost')
os.symlink('/etc/passwd', 'link'); os.symlink('/etc', 'linkdir'); os.symlink('link', 'loop')
os.mkfifo('fifo'); socket.socket(socket.AF_UNIX).bind('socket')
write('.hidden'); os.mkdir('.git'); write('.git/config')
write(b'bad\xff'); write('new\nline'); write('esc\x1b[31m'); write('ünï code')
write('secret'); os.chmod('secret', 0); os.mkdir('locked'); write('locked/in'); os.chmod('locked', 0)
with open('sparse', 'wb') as f: f.truncate(1 << 40 if False else 1 << 30)
os.link('a.txt', 'hard')
`))
	got := collected{text: map[string]string{}}
	sum, err := sb.Collect(t.Context(), generous, got.each)
	must(t, err)
	want := []string{"result.json", "a.txt", "big", "empty", "hard", "locked/in", "secret", "sub/deep/er/file", "sub/x", "sub-file", "z", "ünï code"}
	// Parts are compared, not paths: what is below "sub" comes before "sub-file".
	if diff := cmp.Diff(want, got.names); diff != "" {
		t.Error(diff)
	}
	skips := []guest.Skip{
		{Name: "shrunk", Reason: "changed while read"},
		{Name: ".git", Reason: "hidden"}, {Name: ".hidden", Reason: "hidden"}, {Name: `"bad\xff"`, Reason: "name not allowed"},
		{Name: "d/d/d/d/d/d/d/d/d", Reason: "too deep"}, {Name: `"esc\x1b[31m"`, Reason: "name not allowed"}, {Name: "fifo", Reason: "not a regular file"},
		{Name: "huge", Reason: "file too large"}, {Name: "link", Reason: "symbolic link"}, {Name: "linkdir", Reason: "symbolic link"},
		{Name: "loop", Reason: "symbolic link"}, {Name: `"new\nline"`, Reason: "name not allowed"}, {Name: "socket", Reason: "not a regular file"},
		{Name: "sparse", Reason: "file too large"},
	}
	byName := func(list []guest.Skip) map[string]string {
		m := map[string]string{}
		for _, s := range list {
			m[s.Name] = s.Reason
		}
		return m
	}
	if diff := cmp.Diff(byName(skips), byName(sum.Skipped)); diff != "" || sum.More != 0 {
		t.Errorf("%d more, %s", sum.More, diff)
	}
	if sum.Files != len(want) || got.text["sub/deep/er/file"] != "deep" || got.text["big"] != strings.Repeat("b", 300_000) {
		t.Errorf("%d files", sum.Files)
	}
}

func TestCollectBounds(t *testing.T) {
	sb := boot(t)
	sb.run(python(`
for i in range(150):
    with open('/output/f%03d' % i, 'w') as f: f.write('x' * 1000)
with open('/output/result.json', 'w') as f: f.write('x' * 1000)
`))
	for name, c := range map[string]struct {
		o     guest.CollectOptions
		files int
		first string
		why   string
	}{
		"count": {guest.CollectOptions{MaxFiles: 10, MaxFileBytes: 1000, MaxTotalBytes: 1 << 20}, 10, "result.json", "too many files"},
		"total": {guest.CollectOptions{MaxFiles: 1000, MaxFileBytes: 1000, MaxTotalBytes: 5999}, 5, "result.json", "total too large"},
		"size":  {guest.CollectOptions{MaxFiles: 1000, MaxFileBytes: 999, MaxTotalBytes: 1 << 20}, 0, "", "file too large"},
	} {
		got := collected{text: map[string]string{}}
		sum, err := sb.Collect(t.Context(), c.o, got.each)
		must(t, err)
		if sum.Files != c.files || sum.Bytes != int64(c.files)*1000 || len(sum.Skipped) != 100 || sum.More != 152-c.files-100 {
			t.Errorf("%s: %d files, %d bytes, %d skipped, %d more", name, sum.Files, sum.Bytes, len(sum.Skipped), sum.More)
		}
		if len(got.names) > 0 && got.names[0] != c.first {
			t.Errorf("%s: first is %s", name, got.names[0])
		}
		if last := sum.Skipped[99]; last.Reason != c.why {
			t.Errorf("%s: %v", name, last)
		}
	}
	// A callback's error ends the calls, not the session.
	broken := errors.New("broken")
	calls := 0
	_, err := sb.Collect(t.Context(), generous, func(string, int64, io.Reader) error { calls++; return broken })
	if !errors.Is(err, broken) || calls != 1 {
		t.Errorf("%v after %d calls", err, calls)
	}
	// A directory that is not there is empty.
	sum, err := sb.Collect(t.Context(), guest.CollectOptions{Root: "/output/none", MaxFiles: 1}, nil)
	if err != nil || sum.Files != 0 || sum.Skipped != nil {
		t.Errorf("missing root: %+v, %v", sum, err)
	}
	for _, root := range []string{"/", "/etc", "/output/..", "output", "/output/"} {
		if _, err := sb.Collect(t.Context(), guest.CollectOptions{Root: root}, nil); err == nil {
			t.Errorf("collected from %q", root)
		}
	}
}

// However much there is, a collection looks at so much of it and says so.
func TestCollectEntries(t *testing.T) {
	sb := boot(t)
	sb.run(python(`
import os
os.mkdir('/output/a')
for i in range(60_000): os.close(os.open('/output/a/%d' % i, os.O_CREAT | os.O_WRONLY))
for i in range(60_000): os.close(os.open('/output/%d' % i, os.O_CREAT | os.O_WRONLY))
`))
	sum, err := sb.Collect(t.Context(), guest.CollectOptions{MaxFiles: 10, MaxDepth: 1}, func(string, int64, io.Reader) error { return nil })
	must(t, err)
	// What is in the root (shrunk and a among it) leaves room for some of a.
	if total := sum.Files + len(sum.Skipped) + sum.More; sum.Files != 10 || total != 100_000 {
		t.Errorf("%d files, %d entries", sum.Files, total)
	}
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:4])
}
