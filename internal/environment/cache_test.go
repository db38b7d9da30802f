package environment

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/takovm/tako/internal/job"
)

// edit replaces a file by a changed one.
func edit(t *testing.T, name string, change func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(name)
	must(t, err)
	must(t, os.Remove(name))
	must(t, os.WriteFile(name, change(b), 0o600))
}

func flip(at int) func([]byte) []byte {
	return func(b []byte) []byte {
		if at < 0 {
			at += len(b)
		}
		b[at] ^= 0xff
		return b
	}
}

func TestDamageIsFoundAndMended(t *testing.T) {
	half := func(b []byte) []byte { return b[:len(b)/2] }
	text := func(s string) func([]byte) []byte { return func([]byte) []byte { return []byte(s) } }
	cases := []struct {
		name   string
		damage func(t *testing.T, env Environment, dir string)
		note   bool // an image that is there and bad is told
	}{
		{"image begins badly", func(t *testing.T, env Environment, _ string) { edit(t, env.Image, flip(5000)) }, true},
		{"image ends badly", func(t *testing.T, env Environment, _ string) { edit(t, env.Image, flip(-1)) }, true},
		{"no EROFS", func(t *testing.T, env Environment, _ string) { edit(t, env.Image, flip(superblockOffset)) }, true},
		{"image cut", func(t *testing.T, env Environment, _ string) { edit(t, env.Image, half) }, true},
		{"image empty", func(t *testing.T, env Environment, _ string) { edit(t, env.Image, text("")) }, true},
		{"image gone", func(t *testing.T, env Environment, _ string) { must(t, os.Remove(env.Image)) }, false},
		{"sidecar gone", func(t *testing.T, env Environment, _ string) { must(t, os.Remove(sidecarPath(env.Image))) }, true},
		{"sidecar cut", func(t *testing.T, env Environment, _ string) { edit(t, sidecarPath(env.Image), half) }, true},
		{"sidecar lies", func(t *testing.T, env Environment, _ string) { edit(t, sidecarPath(env.Image), text(`{"size":-1}`)) }, true},
		{"index gone", func(t *testing.T, _ Environment, dir string) { must(t, os.Remove(dir+"/python.index")) }, false},
		{"index cut", func(t *testing.T, _ Environment, dir string) { edit(t, dir+"/python.index", half) }, false},
		{"index flipped", func(t *testing.T, _ Environment, dir string) { edit(t, dir+"/python.index", flip(-10)) }, false},
		{"index empty", func(t *testing.T, _ Environment, dir string) { edit(t, dir+"/python.index", text("")) }, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			// 256 KiB, so that image and ends are not the same.
			h := newHost(t, with(debian(), map[string]string{"/usr/lib/python3/dist-packages/big.py": strings.Repeat("x", 256<<10)}))
			before := ensure(t, h)
			c.damage(t, before, h.Cache)
			after, told := notes(t, h)
			if after.Digest != before.Digest {
				t.Errorf("digest %s became %s", before.Digest, after.Digest)
			}
			must(t, Verify(after.Image))
			if (told != "") != c.note || strings.Count(told, "\n") > 1 {
				t.Errorf("notes:\n%s", told)
			}
			if _, told := notes(t, h); told != "" {
				t.Errorf("told again:\n%s", told)
			}
		})
	}
}

func TestVerifyReadsTheMiddle(t *testing.T) {
	h := newHost(t, with(debian(), map[string]string{"/usr/lib/python3/dist-packages/big.py": strings.Repeat("x", 256<<10)}))
	env := ensure(t, h)
	must(t, Verify(env.Image))
	edit(t, env.Image, flip(100<<10))
	if err := Verify(env.Image); job.KindOf(err) != job.KindUnavailable || !errors.Is(err, errCorrupt) {
		t.Errorf("error %v", err)
	}
}

func TestWaiterEndsWithItsContext(t *testing.T) {
	h := newHost(t, debian())
	c, err := openCache(h.Cache, "python")
	must(t, err)
	release, err := c.lock(t.Context())
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Ensure(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	release()
	ensure(t, h)
}

func TestOldImagesGoUnlessHeld(t *testing.T) {
	h := newHost(t, debian())
	build := func(text string) Environment {
		put(t, h.Root, "/usr/lib/python3/dist-packages/six.py", text)
		env := ensure(t, h)
		old := time.Now().Add(-time.Hour)
		must(t, os.Chtimes(env.Image, old, old)) // order by build, not by clock tick
		return env
	}
	initial, err := packInit(t, h.Cache, []byte("init"))
	must(t, err)
	first := build("1")
	release, err := first.Hold()
	must(t, err)
	second := build("2")
	build("3")
	build("4")
	there := func(env Environment) bool { return exists(env.Image) && exists(sidecarPath(env.Image)) }
	if !there(first) {
		t.Error("a held image was removed")
	}
	if exists(second.Image) || exists(sidecarPath(second.Image)) {
		t.Error("an image beyond the newest two is still there")
	}
	if !exists(initial) {
		t.Error("the image of another entry was removed")
	}
	if _, err := second.Hold(); job.KindOf(err) != job.KindUnavailable {
		t.Errorf("holding a removed image: %v", err)
	}
	release()
	build("5")
	if there(first) {
		t.Error("an image that nobody holds any more is still there")
	}
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

func TestCacheThatCannotBeUsed(t *testing.T) {
	blocked := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(blocked, nil, 0o600))
	h := newHost(t, debian())
	h.Cache = filepath.Join(blocked, "cache")
	_, err := h.Ensure(t.Context(), nil)
	clearError(t, err, h.Cache)
}

// clearError wants one line that names the directory and the mend.
func clearError(t *testing.T, err error, dir string) {
	t.Helper()
	var je *job.Error
	if !errors.As(err, &je) || je.Kind != job.KindUnavailable || je.Hint == "" || !strings.Contains(je.Msg, dir) || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %v", err)
	}
}

// tmpfs mounts a small file system, which needs root.
func tmpfs(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("no mount: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

func TestReadOnlyCache(t *testing.T) {
	dir := tmpfs(t, "size=8m")
	h := newHost(t, debian())
	h.Cache = dir
	readonly := func(flags uintptr) { must(t, unix.Mount("", dir, "", unix.MS_REMOUNT|flags, "")) }
	readonly(unix.MS_RDONLY)
	_, err := h.Ensure(t.Context(), nil)
	clearError(t, err, dir)
	readonly(0)
	before := ensure(t, h)
	readonly(unix.MS_RDONLY)
	if after := ensure(t, h); after.Image != before.Image {
		t.Error("a read-only cache with the image in it should do")
	}
	put(t, h.Root, "/usr/lib/python3/dist-packages/six.py", "changed")
	_, err = h.Ensure(t.Context(), nil)
	clearError(t, err, dir)
}

func TestFullCache(t *testing.T) {
	cases := map[string]string{
		"too small for the image":  "size=512k",
		"full in the middle":       "size=3m",
		"no inode for a temporary": "size=8m,nr_inodes=2",
		"no inode for the sidecar": "size=8m,nr_inodes=3",
	}
	files := map[string]string{"/usr/lib/python3/dist-packages/big.py": strings.Repeat("x", 1<<20)}
	for name, options := range cases {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, with(debian(), files))
			h.Cache = tmpfs(t, options)
			h.step = func(step string) {
				if step == "created" && options == "size=3m" {
					must(t, os.WriteFile(h.Cache+"/another", make([]byte, 5<<19), 0o600)) // 2.5 MiB
				}
			}
			_, err := h.Ensure(t.Context(), nil)
			clearError(t, err, h.Cache)
			left, err := filepath.Glob(h.Cache + "/*.tmp")
			if err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

func packInit(t *testing.T, dir string, binary []byte) (string, error) {
	sum := sha256.Sum256(binary)
	return PackInit(t.Context(), dir, binary, hex.EncodeToString(sum[:]))
}

func TestPackInit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	binary := bytes.Repeat([]byte("init"), 3000)
	image, err := packInit(t, dir, binary)
	must(t, err)
	must(t, Verify(image))
	all := readImage(t, image)
	if got := all["/init"]; len(all) != 2 || got.text != string(binary) || got.Mode().Perm() != 0o500 {
		t.Errorf("the image holds %d paths, /init %v of %d bytes", len(all), got.Mode(), len(got.text))
	}
	before, err := os.Stat(image)
	must(t, err)
	again, err := packInit(t, dir, binary)
	must(t, err)
	if after, err := os.Stat(again); err != nil || !os.SameFile(before, after) {
		t.Errorf("made twice: %v", err)
	}
	edit(t, image, flip(-1))
	if again, err = packInit(t, dir, binary); err != nil || again != image {
		t.Errorf("image %s, error %v", again, err)
	}
	must(t, Verify(image))
	other, err := packInit(t, dir, append(binary, '!'))
	if err != nil || other == image {
		t.Errorf("another binary: image %s, error %v", other, err)
	}
	if _, err := packInit(t, dir, []byte("a")); err != nil { // smaller than an inode's room
		t.Error(err)
	}
}
