package assembly

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/runner"
)

// collected is a sink that keeps what it gets.
type collected map[string][]byte

func (c collected) take(name string, size int64, r io.Reader) error {
	data, err := io.ReadAll(r)
	if err == nil && int64(len(data)) != size {
		err = fmt.Errorf("%d bytes of %d", len(data), size)
	}
	c[name] = data
	return err
}

// Regular files come out; what could lead elsewhere or mislead stays.
func TestArtifacts(t *testing.T) {
	r := newRig(t)
	got := collected{}
	res := r.runInto(t, r.python(`
import os, socket
os.chdir('/output')
def put(name, content=b'x'):
    with open(name, 'wb') as f: f.write(content)
put('plain.txt', b'text')
put('empty')
put('table.csv', b'a,b\n1,2\n')
put('image', b'\x89PNG\r\n\x1a\n')
os.makedirs('sub/deep')
put('sub/deep/file', b'\x00\xff' * 70_000)
put('a' * 255)
put('große Datei ☃')
put('mode0'); os.chmod('mode0', 0)
put('fits.bin', b'x' * 200_000)
os.link('plain.txt', 'hardlink')
# None of these.
put('.hidden'); os.mkdir('.dir'); put('.dir/x')
os.symlink('/input/data.json', 'link'); os.symlink('plain.txt', 'inner link'); os.symlink('/', 'dirlink')
os.mkfifo('fifo')
socket.socket(socket.AF_UNIX).bind('socket')
put('new\nline'); put(b'\xff\xfe invalid'); put('escape\x1b[2J')
put('large.bin', b'x' * 200_001)
os.makedirs('/output/' + '/'.join('d' * 40)); put('/output/' + '/'.join('d' * 40) + '/x')
try: os.mknod('device', 0o20666, os.makedev(1, 3))
except OSError: put('no-device')
`, func(l *job.Limits) { l.Artifact = 200_000 }), runner.Sinks{Keep: true, Artifact: got.take})
	verdict{job.Succeeded, job.EndedBy{Actor: job.ActorUserCode}, "", 0}.check(t, res)
	types := map[string]string{
		"plain.txt": "text/plain; charset=utf-8", "empty": "text/plain; charset=utf-8", "table.csv": "text/csv; charset=utf-8",
		"image": "image/png", "sub/deep/file": "application/octet-stream", strings.Repeat("a", 255): "text/plain; charset=utf-8",
		"große Datei ☃": "text/plain; charset=utf-8", "mode0": "text/plain; charset=utf-8",
		"fits.bin": "text/plain; charset=utf-8", "hardlink": "text/plain; charset=utf-8", "no-device": "text/plain; charset=utf-8",
	}
	for _, a := range res.Artifacts {
		sum := sha256.Sum256(got[a.Name])
		if a.SHA256 != hex.EncodeToString(sum[:]) || a.SizeBytes != int64(len(got[a.Name])) || a.ContentType != types[a.Name] {
			t.Errorf("%+v, but %d bytes came", a, len(got[a.Name]))
		}
		delete(types, a.Name)
	}
	if len(types) != 0 || len(got) != len(res.Artifacts) {
		t.Errorf("missing: %v; skipped: %q", types, res.Skipped)
	}
	for _, part := range []string{
		".hidden", ".dir", `"link": symbolic link`, "inner link", "dirlink", "fifo", "socket", `new\\nline`, "invalid", `escape\\x1b`,
		"large.bin", "d/d/d",
	} {
		if !slices.ContainsFunc(res.Skipped, func(s string) bool { return strings.Contains(s, part) }) {
			t.Errorf("nothing is said about %s: %q", part, res.Skipped)
		}
	}
	for _, s := range res.Skipped {
		if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' }) {
			t.Errorf("a note holds a control character: %q", s)
		}
	}
}

func TestArtifactBounds(t *testing.T) {
	r := newRig(t)
	code := "for i in range(10): open(f'/output/{i}', 'w').write('x' * 1000)"
	for _, tc := range []struct {
		limits         func(*job.Limits)
		files, skipped int
	}{
		{func(*job.Limits) {}, 10, 0},
		{func(l *job.Limits) { l.ArtifactFiles = 3 }, 3, 7},
		{func(l *job.Limits) { l.ArtifactFiles = 0 }, 0, 10},
		{func(l *job.Limits) { l.Artifacts = 4500 }, 4, 6},
		{func(l *job.Limits) { l.Artifact = 999 }, 0, 10},
		{func(l *job.Limits) { l.Artifact = 1000 }, 10, 0},
	} {
		res := r.run(t, r.python(code, tc.limits))
		if res.Status != job.Succeeded || len(res.Artifacts) != tc.files || len(res.Skipped) != tc.skipped {
			t.Errorf("%d artifacts, want %d; skipped %q, want %d", len(res.Artifacts), tc.files, res.Skipped, tc.skipped)
		}
	}
	res := r.run(t, r.python("for i in range(300): open(f'/output/.{i}', 'w')"))
	if n := len(res.Skipped); n == 0 || n > 101 || !strings.Contains(res.Skipped[n-1], "and 2") {
		t.Errorf("%d notes: %q", n, res.Skipped[max(0, n-2):])
	}
}

// Output is what result.json says, byte for byte, if it is JSON.
func TestOutput(t *testing.T) {
	r := newRig(t)
	for text, valid := range map[string]bool{
		`{"a": [1, 2, {"b": null}]}`: true,
		`null`:                       true,
		`"text"`:                     true,
		`0`:                          true,
		`{"n": 123456789012345678901234567890.000000000000000000001e-7, "z": 1.0}`: true,
		`  [true]  `:                     true,
		`{"a": NaN}`:                     false,
		`Infinity`:                       false,
		`{"a": 1`:                        false,
		`{} {}`:                          false,
		``:                               false,
		"\xef\xbb\xbf{}":                 false, // a byte order mark
		"\"\xff\"":                       false,
		strings.Repeat("[", 20_000):      false,
		`{"a":1,"a":2}`:                  true,
		`"\ud800 lone surrogate escape"`: true,
	} {
		a := r.python("import shutil; shutil.copy('/input/r', '/output/result.json')")
		a.Files = []runner.File{given("r", text)}
		res := r.run(t, a)
		want := ""
		if valid {
			want = strings.TrimSpace(text)
		}
		if res.Status != job.Succeeded || string(res.Output) != want || (res.OutputNote == "") != valid {
			t.Errorf("%.80q gives %.80q, note %q, status %s", text, res.Output, res.OutputNote, res.Status)
		}
		if len(res.Artifacts) != 1 || res.Artifacts[0].Name != "result.json" {
			t.Errorf("%.80q: the artifacts are %+v", text, res.Artifacts)
		}
	}
	for name, code := range map[string]string{
		"none":        "pass",
		"link":        "import os; os.symlink('/input/data.json', '/output/result.json')",
		"directory":   "import os; os.mkdir('/output/result.json')",
		"fifo":        "import os; os.mkfifo('/output/result.json')",
		"too large":   "open('/output/result.json', 'w').write(' ' * 1_000_000 + '1')",
		"not at root": "import os; os.mkdir('/output/a'); open('/output/a/result.json', 'w').write('1')",
	} {
		res := r.run(t, r.python(code, func(l *job.Limits) { l.Artifact = 1_000_000 }))
		if res.Output != nil || res.Status != job.Succeeded {
			t.Errorf("%s: the output is %q, status %s", name, res.Output, res.Status)
		}
	}
	// It comes first, so that other files cannot use up its share, and it comes
	// from a program that failed, too.
	res := r.run(t, r.python(`
for i in range(5): open(f'/output/{i}', 'w').write('x')
open('/output/result.json', 'w').write('{"a": 1}')
raise KeyError('k')
`, func(l *job.Limits) { l.ArtifactFiles = 1 }))
	verdict{job.Failed, job.EndedBy{Actor: job.ActorUserCode}, "key_error", 1}.check(t, res)
	if string(res.Output) != `{"a": 1}` {
		t.Errorf("the output is %q", res.Output)
	}
}

// What the caller gives arrives as it is.
func TestInputs(t *testing.T) {
	r := newRig(t)
	blob := strings.Repeat("\x00\xff\n", 100_000)
	a := r.python(`
import json, os, sys
print(json.dumps({
    'args': sys.argv, 'stdin': sys.stdin.read(), 'env': {k: v for k, v in os.environ.items() if k.startswith('X')},
    'input': open('/input/data.json').read(), 'files': sorted(os.path.join(d, f) for d, _, n in os.walk('/input') for f in n),
    'blob': open('/input/deep/er/blob', 'rb').read() == b'\x00\xff\n' * 100_000,
    'cwd': os.getcwd(), 'uid': [os.getuid(), os.getgid(), os.getgroups()], 'umask': os.umask(0),
    'fds': sorted(os.listdir('/proc/self/fd'))[:3], 'home': os.environ['HOME'],
}, sort_keys=True))
`)
	a.Args = []string{"one", "", "two words", "ü", "--flag", "-"}
	a.Env = map[string]string{"X": "1", "XEMPTY": "", "XODD": "a=b\nc ü", "HOME": "/tmp"}
	a.Input = []byte(`{"n": 12345678901234567890.10}`)
	a.Files = []runner.File{given("a b.txt", "hello"), given("deep/er/blob", blob)}
	a.Stdin = bytes.NewReader([]byte("typed\nlines"))
	want := `{"args": ["/code/main.py", "one", "", "two words", "\u00fc", "--flag", "-"], "blob": true, "cwd": "/app", ` +
		`"env": {"X": "1", "XDG_CACHE_HOME": "/tmp/.cache", "XEMPTY": "", "XODD": "a=b\nc \u00fc"}, ` +
		`"fds": ["0", "1", "2"], "files": ["/input/a b.txt", "/input/data.json", "/input/deep/er/blob"], "home": "/tmp", ` +
		`"input": "{\"n\": 12345678901234567890.10}", "stdin": "typed\nlines", "uid": [1000, 1000, []], "umask": 18}` + "\n"
	if got := r.print(t, a); got != want {
		t.Errorf("the program saw\n%s want\n%s", got, want)
	}
	// A large input that nobody reads does not hold the end.
	b := r.python("print('done')")
	b.Stdin = endless{}
	if got := r.print(t, b); got != "done\n" {
		t.Errorf("it printed %q", got)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// A command is looked for as a shell would; what is not there is the caller's
// mistake, as a shell has it.
func TestCommands(t *testing.T) {
	r := newRig(t)
	user := job.EndedBy{Actor: job.ActorUserCode}
	for _, tc := range []struct {
		command []string
		want    verdict
	}{
		{[]string{"python3", "-c", "pass"}, verdict{job.Succeeded, user, "", 0}},
		{[]string{"/usr/bin/python3", "-c", "raise SystemExit(9)"}, verdict{job.Failed, user, "runtime_error", 9}},
		{[]string{"no-such-program"}, verdict{job.Failed, user, "file_not_found", 127}},
		{[]string{"/no/such"}, verdict{job.Failed, user, "file_not_found", 127}},
		{[]string{"./relative"}, verdict{job.Failed, user, "file_not_found", 127}},
		{[]string{"/usr"}, verdict{job.Failed, user, "permission", 126}},
		{[]string{"/input/data.json"}, verdict{job.Failed, user, "permission", 126}},
	} {
		a := r.python("")
		a.Command = tc.command
		tc.want.check(t, r.run(t, a))
	}
}
