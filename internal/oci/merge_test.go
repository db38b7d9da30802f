package oci

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/takovm/tako/internal/job"
)

// mergeAll merges plain layers as build does. It answers "d 755", "f 644 text" or
// "l target" by path, and the notes.
func mergeAll(t testing.TB, l Limits, root bool, layers ...[]byte) (map[string]string, []string, error) {
	t.Helper()
	return mergeInto(t, scratch(t), l, root, layers...)
}

// mergeInto is mergeAll with a file for contents, which is empty.
func mergeInto(t testing.TB, f *os.File, l Limits, root bool, layers ...[]byte) (map[string]string, []string, error) {
	t.Helper()
	var notes []string
	m := newMerger(t.Context(), l.withDefaults(), &spool{f: f}, func(s string) { notes = append(notes, s) })
	for _, layer := range layers {
		if err := m.unpack(bytes.NewReader(layer), int64(len(layer)), digestOf(layer)); err != nil {
			return nil, notes, err
		}
	}
	entries, err := m.result(root)
	if err != nil {
		return nil, notes, err
	}
	all := map[string]string{}
	for _, e := range entries {
		text := fmt.Sprintf("f %o ", e.Mode)
		switch e.Type {
		case fs.ModeDir:
			text = fmt.Sprintf("d %o", e.Mode)
		case fs.ModeSymlink:
			text = "l " + e.Target
		default:
			r, err := e.Open()
			must(t, err)
			content, err := io.ReadAll(r)
			must(t, err)
			text += string(content)
		}
		if e.UID != 0 {
			text += fmt.Sprintf(" of %d", e.UID)
		}
		all[e.Path] = text
	}
	return all, notes, nil
}

func TestMerge(t *testing.T) {
	t.Parallel()
	type layers [][]item
	for name, c := range map[string]struct {
		layers layers
		user   bool // the image has a user of its own
		want   map[string]string
	}{
		"a later layer replaces a file": {
			layers{{{name: "a", body: "1"}}, {{name: "a", body: "2"}}}, false,
			map[string]string{"/a": "f 644 2"},
		},
		"absolute and dotted names are below the root": {
			layers{{{name: "/a", body: "1"}, {name: "./b/./c", body: "2"}, {name: "//d", body: "3"}}}, false,
			map[string]string{"/a": "f 644 1", "/b": "d 755", "/b/c": "f 644 2", "/d": "f 644 3"},
		},
		"the last of several entries counts": {
			layers{{{name: "a", body: "1"}, {name: "a", body: "2"}, link("a", "x"), {name: "a", body: "3"}}}, false,
			map[string]string{"/a": "f 644 3"},
		},
		"a whiteout removes a file": {
			layers{{{name: "d/a"}, {name: "d/b"}}, {{name: "d/.wh.a"}}}, false,
			map[string]string{"/d": "d 755", "/d/b": "f 644 "},
		},
		"a whiteout removes a directory with all in it": {
			layers{{{name: "d/e/a"}, {name: "b"}}, {{name: ".wh.d"}}}, false,
			map[string]string{"/b": "f 644 "},
		},
		"a whiteout of nothing does nothing": {
			layers{{{name: "a"}}, {{name: ".wh.b"}, {name: "c/.wh.d"}}}, false,
			map[string]string{"/a": "f 644 ", "/c": "d 755"},
		},
		"a whiteout hides what is below, not its own layer, before and after": {
			layers{{{name: "d/old"}}, {{name: "d/x"}, {name: ".wh.d"}, {name: "d/y"}}}, false,
			map[string]string{"/d": "d 755", "/d/x": "f 644 ", "/d/y": "f 644 "},
		},
		"an opaque directory hides what is below, not its own layer": {
			layers{{{name: "d/old"}, {name: "d/e/old"}}, {{name: "d/new"}, {name: "d/.wh..wh..opq"}, {name: "d/e/new"}}}, false,
			map[string]string{"/d": "d 755", "/d/new": "f 644 ", "/d/e": "d 755", "/d/e/new": "f 644 "},
		},
		"an opaque root empties the image": {
			layers{{{name: "a"}, {name: "b/c"}}, {{name: ".wh..wh..opq"}, {name: "d"}}}, false,
			map[string]string{"/d": "f 644 "},
		},
		"what aufs kept for itself is nothing": {
			layers{{{name: "a"}, {name: ".wh..wh.plnk/1.2"}, {name: ".wh..wh.aufs"}}}, false,
			map[string]string{"/a": "f 644 "},
		},
		"a directory keeps what is in it when it comes again": {
			layers{{{name: "d/a"}}, {{name: "d/", mode: 0o700}, {name: "d/b"}}}, true,
			map[string]string{"/d": "d 700", "/d/a": "f 644 ", "/d/b": "f 644 "},
		},
		"a directory that is only implied keeps its mode": {
			layers{{{name: "d/", mode: 0o711}}, {{name: "d/b"}}}, true,
			map[string]string{"/d": "d 711", "/d/b": "f 644 "},
		},
		"a file takes the place of a directory": {
			layers{{{name: "d/a"}}, {{name: "d", body: "file"}}}, false,
			map[string]string{"/d": "f 644 file"},
		},
		"a directory takes the place of a link of an earlier layer": {
			layers{{link("lib", "usr/lib"), {name: "usr/lib/a"}}, {{name: "lib/b"}}}, false,
			map[string]string{"/lib": "d 755", "/lib/b": "f 644 ", "/usr": "d 755", "/usr/lib": "d 755", "/usr/lib/a": "f 644 "},
		},
		"an entry below a link to the host stays in the image": {
			layers{{link("out", "/etc"), {name: "out/passwd", body: "evil"}}}, false,
			map[string]string{"/out": "d 755", "/out/passwd": "f 644 evil"},
		},
		"a link and then a file of its name": {
			layers{{link("out", "../../../etc/passwd"), {name: "out", body: "evil"}}}, false,
			map[string]string{"/out": "f 644 evil"},
		},
		"what a link of the same layer hid stays hidden": {
			layers{{{name: "d/old"}}, {link("d", "x"), {name: "d/new"}}}, false,
			map[string]string{"/d": "d 755", "/d/new": "f 644 "},
		},
		"links are kept as texts": {
			layers{{link("a", "../../../etc/shadow"), link("b", "/nowhere")}}, false,
			map[string]string{"/a": "l ../../../etc/shadow", "/b": "l /nowhere"},
		},
		"a hard link is a file of its own": {
			layers{{{name: "a", body: "1", mode: 0o755}, hard("d/b", "/a")}, {hard("c", "d/b"), {name: "a", body: "2"}}}, false,
			map[string]string{"/a": "f 644 2", "/d": "d 755", "/d/b": "f 755 1", "/c": "f 755 1"},
		},
		"a hard link to a link is that link": {
			layers{{link("a", "/etc/shadow"), hard("b", "a")}}, false,
			map[string]string{"/a": "l /etc/shadow", "/b": "l /etc/shadow"},
		},
		"setuid, setgid and sticky are gone": {
			layers{{{name: "su", mode: 0o6755}, {name: "d/", mode: 0o3777}}}, true,
			map[string]string{"/su": "f 755 ", "/d": "d 777"},
		},
		"an image for root is readable": {
			layers{{{name: "root/", mode: 0o700}, {name: "root/key", mode: 0o600, uid: 7}, {name: "root/x", mode: 0o100}}}, false,
			map[string]string{"/root": "d 755", "/root/key": "f 644 ", "/root/x": "f 755 "},
		},
		"an image with a user keeps owners and modes": {
			layers{{{name: "d/", mode: 0o700, uid: 33}, {name: "d/key", mode: 0o600, uid: 33}}}, true,
			map[string]string{"/d": "d 700 of 33", "/d/key": "f 600  of 33"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var tars [][]byte
			for _, items := range c.layers {
				tars = append(tars, layerOf(t, items...))
			}
			got, notes, err := mergeAll(t, Limits{}, !c.user, tars...)
			must(t, err)
			if diff := cmp.Diff(c.want, got); diff != "" || len(notes) > 0 {
				t.Errorf("merged (-want +got):\n%s%q", diff, notes)
			}
		})
	}
}

func TestMergeLeavesOut(t *testing.T) {
	t.Parallel()
	got, notes, err := mergeAll(t, Limits{}, true, layerOf(t,
		item{name: "a", body: "1"},
		item{name: "disk", kind: tar.TypeBlock}, item{name: "tty", kind: tar.TypeChar}, item{name: "pipe", kind: tar.TypeFifo},
		item{name: "dev/null", kind: tar.TypeChar},
		item{name: "latin\xe9", body: "2"},
	))
	must(t, err)
	if want := map[string]string{"/a": "f 644 1"}; !maps.Equal(got, want) {
		t.Errorf("merged %v, want %v", got, want)
	}
	if len(notes) != 4 || !strings.Contains(notes[0], `"/disk"`) || !strings.Contains(notes[3], "UTF-8") {
		t.Errorf("notes: %q", notes)
	}
}

// raw makes a header that the tar writer would refuse, and nothing after it.
func raw(t testing.TB, change func(block []byte)) []byte {
	t.Helper()
	b := layerOf(t, item{name: "victim"})[:512]
	change(b)
	copy(b[148:156], "        ")
	sum := 0
	for _, c := range b {
		sum += int(c)
	}
	copy(b[148:156], fmt.Sprintf("%06o\x00 ", sum))
	return b
}

func TestMergeRefuses(t *testing.T) {
	t.Parallel()
	one := func(items ...item) [][]byte { return [][]byte{layerOf(t, items...)} }
	huge := func(size int64) [][]byte {
		var b bytes.Buffer
		must(t, tar.NewWriter(&b).WriteHeader(&tar.Header{Name: "huge", Typeflag: tar.TypeReg, Size: size, Format: tar.FormatGNU}))
		return [][]byte{b.Bytes()}
	}
	for name, c := range map[string]struct {
		layers [][]byte
		limits Limits
		says   string
	}{
		"a path that leads out":           {one(item{name: "../etc/passwd"}), Limits{}, "leads out of the image"},
		"a path that leads out later":     {one(item{name: "a/b/../../../etc/passwd"}), Limits{}, "leads out"},
		"a path that leads back in":       {one(item{name: "a/../b"}), Limits{}, "leads out"},
		"a directory that leads out":      {one(item{name: "../d/"}), Limits{}, "leads out"},
		"a link that lies outside":        {one(link("../l", "x")), Limits{}, "leads out"},
		"a whiteout outside":              {one(item{name: "../.wh.etc"}), Limits{}, "leads out"},
		"a whiteout of the root":          {one(item{name: ".wh."}), Limits{}, "removes nothing"},
		"a whiteout of the parent":        {one(item{name: "d/.wh..."}), Limits{}, "removes nothing"},
		"a hard link to outside":          {one(hard("a", "../../etc/shadow")), Limits{}, "leads out"},
		"a hard link to the host":         {one(hard("a", "/etc/shadow")), Limits{}, "no file of the image"},
		"a hard link through a link":      {one(link("l", "/etc"), hard("a", "l/shadow")), Limits{}, "no file of the image"},
		"a hard link to a directory":      {one(item{name: "d/"}, hard("a", "d")), Limits{}, "no file of the image"},
		"a hard link to itself":           {one(hard("a", "a")), Limits{}, "no file of the image"},
		"a hard link to what is removed":  {[][]byte{layerOf(t, item{name: "d/a"}), layerOf(t, item{name: ".wh.d"}, hard("b", "d/a"))}, Limits{}, "no file of the image"},
		"a hard link below an opaque one": {[][]byte{layerOf(t, item{name: "d/a"}), layerOf(t, item{name: "d/.wh..wh..opq"}, hard("b", "d/a"))}, Limits{}, "no file of the image"},
		"a part of 256 bytes":             {one(item{name: strings.Repeat("a", 256)}), Limits{}, "a part of 256 bytes"},
		"a path of 5000 bytes":            {one(item{name: strings.Repeat("abcdefg/", 625) + "x"}), Limits{}, "5001 bytes"},
		"a link without a target":         {one(link("l", "")), Limits{}, "leads to a path of 0 bytes"},
		"8 EB":                            {huge(1<<63 - 1), Limits{}, "more than"},
		"more than there is":              {huge(1 << 20), Limits{}, "cut off"},
		"no tar":                          {[][]byte{bytes.Repeat([]byte("x"), 2000)}, Limits{}, "not a tar archive"},
		"cut off in a header":             {[][]byte{layerOf(t, item{name: "a"})[:300]}, Limits{}, "cut off"},
		"cut off in a file":               {[][]byte{layerOf(t, item{name: "a", body: strings.Repeat("x", 5000)})[:2000]}, Limits{}, "cut off"},
		"a negative size":                 {[][]byte{raw(t, func(b []byte) { copy(b[124:136], "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff") })}, Limits{}, "not a tar"},
		"too many entries":                {one(item{name: "a"}, item{name: "b"}, item{name: "c"}), Limits{Entries: 2}, "more than 2 files"},
		"too many directories implied":    {one(item{name: strings.Repeat("d/", 100) + "x"}), Limits{Entries: 50}, "more than 50 files"},
		"too many of one name":            {one(item{name: "a"}, item{name: "a"}, item{name: "a"}), Limits{Entries: 2}, "more than 2 files"},
		"too much in paths":               {one(item{name: strings.Repeat("d/", 100) + "x"}), Limits{Paths: 5000}, "more than 5000 bytes together"},
		"too much in files":               {one(item{name: "a", body: strings.Repeat("x", 700)}, item{name: "b", body: strings.Repeat("x", 700)}), Limits{Unpacked: 1000}, `with "/b"`},
		"too much by hard links":          {one(item{name: "a", body: strings.Repeat("x", 700)}, hard("b", "a")), Limits{Unpacked: 1000}, "bytes already"},
		"what is written over counts":     {one(item{name: "a", body: strings.Repeat("x", 700)}, item{name: "a", body: strings.Repeat("x", 700)}), Limits{Unpacked: 1000}, "more than 1000"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := mergeAll(t, c.limits, true, c.layers...)
			wantKind(t, err, job.KindInvalid, c.says)
		})
	}
}

// An archive without an end is left as soon as it has too much.
func TestAMillionEntries(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	defer r.Close()
	go func() {
		tw := tar.NewWriter(w)
		for n := range 1_000_000 {
			if tw.WriteHeader(&tar.Header{Name: fmt.Sprintf("%d", n), Typeflag: tar.TypeReg, Format: tar.FormatUSTAR}) != nil {
				return // the reader has had enough
			}
		}
		w.Close()
	}()
	m := newMerger(t.Context(), Limits{Entries: 20_000}.withDefaults(), &spool{}, func(string) {})
	wantKind(t, m.add(r), job.KindInvalid, "more than 20000 files")
}

func TestBombs(t *testing.T) {
	t.Parallel()
	zeros := strings.Repeat("\x00", ratioFloor+1<<20)
	many := layerOf(t, item{name: "zeros", body: zeros})
	behind := append(layerOf(t, item{name: "a"}), zeros...)
	for name, plain := range map[string][]byte{"a file": many, "behind the end of the archive": behind} {
		layer := zipped(t, plain)
		m := newMerger(t.Context(), Limits{}.withDefaults(), &spool{f: scratch(t)}, func(string) {})
		err := m.unpack(bytes.NewReader(layer), int64(len(layer)), digestOf(plain))
		if job.KindOf(err) != job.KindInvalid || !strings.Contains(err.Error(), "bomb") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// What is in files that are sparse does not come out of the layer.
	sparse := newMerger(t.Context(), Limits{}.withDefaults(), &spool{f: scratch(t)}, func(string) {})
	sparse.in = 1000
	wantKind(t, sparse.content(&node{}, "/sparse", ratioFloor+1, strings.NewReader("")), job.KindInvalid, "bomb")
}

func scratch(t testing.TB) *os.File {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "")
	must(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

func TestCompression(t *testing.T) {
	t.Parallel()
	plain := layerOf(t, item{name: "a", body: strings.Repeat("1", 10_000)})
	z, err := zstd.NewWriter(nil)
	must(t, err)
	for name, layer := range map[string][]byte{
		"none": plain, "gzip": zipped(t, plain), "zstd": z.EncodeAll(plain, nil),
		"gzip in two parts": append(zipped(t, plain[:700]), zipped(t, plain[700:])...),
		"zstd in two parts": append(z.EncodeAll(plain[:700], nil), z.EncodeAll(plain[700:], nil)...),
	} {
		m := newMerger(t.Context(), Limits{}.withDefaults(), &spool{f: scratch(t)}, func(string) {})
		if err := m.unpack(bytes.NewReader(layer), int64(len(layer)), digestOf(plain)); err != nil || m.root.children["a"] == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLayerIsVerified(t *testing.T) {
	t.Parallel()
	plain := layerOf(t, item{name: "a", body: "1"})
	damaged := zipped(t, plain)
	damaged[len(damaged)-6] ^= 1
	for name, c := range map[string]struct {
		layer []byte
		says  string
	}{
		"another diff id":         {zipped(t, layerOf(t, item{name: "a", body: "2"})), "not what the configuration says"},
		"more behind the archive": {append(bytes.Clone(plain), 0), "not what the configuration says"},
		"damaged gzip":            {damaged, "damaged"},
		"gzip that is cut off":    {zipped(t, plain)[:40], "damaged"},
		"gzip that is a header":   {[]byte("\x1f\x8b"), "gzip"},
		"zstd that is none":       {[]byte("\x28\xb5\x2f\xfd\xff\xff\xff\xff\xff\xff\xff\xff"), "damaged"},
		"nothing":                 {nil, "not what the configuration says"},
	} {
		m := newMerger(t.Context(), Limits{}.withDefaults(), &spool{f: scratch(t)}, func(string) {})
		err := m.unpack(bytes.NewReader(c.layer), int64(len(c.layer)), digestOf(plain))
		if job.KindOf(err) != job.KindInvalid || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
