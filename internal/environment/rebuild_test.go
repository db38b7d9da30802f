package environment

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/takovm/tako/internal/job"
)

func TestRebuildWhenTheHostChanges(t *testing.T) {
	site := "/usr/lib/python3/dist-packages/"
	cases := []struct {
		name    string
		change  func(t *testing.T, root string)
		content bool // the image's content changes, too
	}{
		{"nothing", func(*testing.T, string) {}, false},
		{"new package", func(t *testing.T, root string) { put(t, root, site+"new/__init__.py", "new") }, true},
		{"removed package", func(t *testing.T, root string) { must(t, os.Remove(filepath.Join(root, site, "six.py"))) }, true},
		{"same size and time", func(t *testing.T, root string) { put(t, root, site+"six.py", "SIX") }, true},
		{"replaced by rename", func(t *testing.T, root string) {
			put(t, root, "/tmp/six.py", "SIX")
			must(t, os.Rename(filepath.Join(root, "/tmp/six.py"), filepath.Join(root, site, "six.py")))
		}, true},
		{"made executable", func(t *testing.T, root string) { must(t, os.Chmod(filepath.Join(root, site, "six.py"), 0o755)) }, true},
		{"made secret", func(t *testing.T, root string) { must(t, os.Chmod(filepath.Join(root, site, "six.py"), 0o600)) }, true},
		{"touched directory", func(t *testing.T, root string) {
			must(t, os.Chtimes(filepath.Join(root, site), time.Now(), time.Now()))
		}, false},
		{"written again", func(t *testing.T, root string) { put(t, root, site+"six.py", "six") }, false},
		{"installed node", func(t *testing.T, root string) { put(t, root, "/usr/bin/node", "x: node") }, true},
		{"another awk", func(t *testing.T, root string) {
			put(t, root, "/usr/bin/gawk", "x: gawk")
			must(t, os.Remove(filepath.Join(root, "/etc/alternatives/awk")))
			put(t, root, "/etc/alternatives/awk", "-> /usr/bin/gawk")
		}, true},
		{"a directory became a link", func(t *testing.T, root string) {
			must(t, os.Rename(filepath.Join(root, "/usr/local"), filepath.Join(root, "/opt")))
			must(t, os.Symlink("/opt", filepath.Join(root, "/usr/local")))
		}, true},
		{"what is not packed", func(t *testing.T, root string) {
			put(t, root, "/usr/bin/ssh", "x: ssh")
			put(t, root, "/home/x/y", "y")
		}, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t, debian())
			before := ensure(t, h)
			c.change(t, h.Root)
			after := ensure(t, h)
			if (before.Digest != after.Digest) != c.content {
				t.Errorf("digest %s became %s", before.Digest, after.Digest)
			}
			if fresh := ensure(t, &Host{Root: h.Root, Cache: t.TempDir()}); fresh.Digest != after.Digest {
				t.Errorf("digest %s, but %s in a new cache", after.Digest, fresh.Digest)
			}
			readImage(t, after.Image)
		})
	}
}

// counting returns how often the host has written an image so far.
func counting(h *Host) *int {
	n := 0
	h.step = func(step string) {
		if step == "created" {
			n++
		}
	}
	return &n
}

func TestSameContentIsNotWrittenAgain(t *testing.T) {
	h := newHost(t, debian())
	built := counting(h)
	before := ensure(t, h)
	put(t, h.Root, "/usr/lib/python3/dist-packages/six.py", "six") // another ctime
	ensure(t, h)
	must(t, os.Remove(filepath.Join(h.Cache, "python.index")))
	if after := ensure(t, h); *built != 1 || after.Image != before.Image {
		t.Errorf("the image was written %d times", *built)
	}
}

// A file may change twice within one tick of the kernel's clock and look the
// same after both. So one that changed just before the scan is not trusted.
func TestRecentChangeIsLookedAtAgain(t *testing.T) {
	h := newHost(t, debian())
	h.now = func() time.Time { return time.Now() }
	ensure(t, h)
	c, err := openCache(h.Cache, "python")
	must(t, err)
	if _, ok := h.current(c); ok {
		t.Error("an index of files that changed milliseconds ago is trusted")
	}
	h.now = later
	ensure(t, h)
	if _, ok := h.current(c); !ok {
		t.Error("an index of files that changed long ago is not trusted")
	}
}

func TestChangeWhilePackingStartsAgain(t *testing.T) {
	h := newHost(t, debian())
	times := 0
	h.step = func(step string) {
		if step != "created" {
			return
		}
		if times++; times == 1 {
			put(t, h.Root, "/usr/lib/python3/dist-packages/six.py", "changed!")
		}
	}
	env := ensure(t, h)
	if got := readImage(t, env.Image)["/usr/lib/python3/dist-packages/six.py"].text; got != "changed!" || times != 2 {
		t.Errorf("after %d attempts the image has %q", times, got)
	}
}

func TestChangeWithoutEndIsAnError(t *testing.T) {
	h := newHost(t, debian())
	text := "changed"
	h.step = func(step string) {
		if step == "created" {
			text += "!"
			put(t, h.Root, "/usr/lib/python3/dist-packages/six.py", text)
		}
	}
	_, err := h.Ensure(t.Context(), nil)
	if job.KindOf(err) != job.KindUnavailable || !strings.Contains(err.Error(), "six.py") {
		t.Errorf("error %v", err)
	}
	onlyIn(t, h.Cache, "python.lock")
}

func TestCancelledBuildLeavesNothing(t *testing.T) {
	h := newHost(t, debian())
	ctx, cancel := context.WithCancel(t.Context())
	h.step = func(step string) {
		if step == "created" {
			cancel()
		}
	}
	if _, err := h.Ensure(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	onlyIn(t, h.Cache, "python.lock")
}
