package environment

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"testing"
)

func someIndex(t testing.TB) ([]byte, string) {
	root := fakeRoot(t, map[string]string{"/usr/lib/a.py": "a", "/usr/lib/b": "-> a.py", "/usr/lib/c/d.py": "d"})
	l := newLook(root)
	for _, name := range []string{"/usr/lib/a.py", "/usr/lib/b", "/usr/lib/c/d.py", "/usr/missing/x"} {
		_, _, _, err := l.resolve(name)
		must(t, err)
	}
	_, err := l.readdir("/usr/lib/c")
	must(t, err)
	b, err := encodeIndex(indexHead{Rules: rules, Root: root}, l, later().UnixNano())
	must(t, err)
	return b, root
}

func TestIndexCompares(t *testing.T) {
	b, root := someIndex(t)
	compare := func() bool {
		idx, err := decodeIndex(b)
		must(t, err)
		fresh, err := idx.fresh(root)
		must(t, err)
		return fresh
	}
	if !compare() {
		t.Fatal("nothing changed, but it is not fresh")
	}
	put(t, root, "/usr/lib/e.py", "not looked at")
	if !compare() {
		t.Error("a directory that was only passed through counts")
	}
	put(t, root, "/usr/lib/c/f.py", "new")
	if compare() {
		t.Error("a new file in a directory that was listed does not count")
	}
}

func TestIndexOfOtherRulesOrRoot(t *testing.T) {
	b, root := someIndex(t)
	idx, err := decodeIndex(b)
	must(t, err)
	if fresh, _ := idx.fresh(root + "/usr"); fresh {
		t.Error("fresh for another root")
	}
	idx.Rules = "older"
	if fresh, _ := idx.fresh(root); fresh {
		t.Error("fresh with other rules")
	}
}

func TestDamagedIndex(t *testing.T) {
	good, _ := someIndex(t)
	for i := range good {
		if _, err := decodeIndex(good[:i]); !errors.Is(err, errIndex) {
			t.Fatalf("cut at %d: %v", i, err)
		}
		bad := append([]byte{}, good...)
		bad[i] ^= 0x10
		if _, err := decodeIndex(bad); !errors.Is(err, errIndex) {
			t.Fatalf("flipped at %d: %v", i, err)
		}
	}
}

// FuzzIndex feeds indexes with a correct checksum: neither decoding nor
// comparing may panic, read outside or run long.
func FuzzIndex(f *testing.F) {
	good, root := someIndex(f)
	f.Add(good)
	f.Add([]byte(indexMagic))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		b = bytes.Clone(b)
		if len(b) >= len(indexMagic)+4 {
			copy(b, indexMagic)
			binary.LittleEndian.PutUint32(b[len(indexMagic):], crc32.Checksum(b[len(indexMagic)+4:], castagnoli))
		}
		idx, err := decodeIndex(b)
		if err != nil {
			if !errors.Is(err, errIndex) {
				t.Errorf("error %v", err)
			}
			return
		}
		idx.Rules, idx.Root = rules, root
		if _, err := idx.fresh(root); err != nil && !errors.Is(err, errIndex) {
			t.Errorf("error %v", err)
		}
	})
}

// FuzzSidecar checks that no sidecar makes a sound image of a bad one, or a
// crash.
func FuzzSidecar(f *testing.F) {
	f.Add([]byte(`{"entry":"python","size":3,"sha256":"","ends":""}`))
	f.Add([]byte(`{"size":-1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		image := t.TempDir() + "/x.erofs"
		must(t, os.WriteFile(image, []byte("bad"), 0o600))
		must(t, os.WriteFile(sidecarPath(image), b, 0o600))
		if _, err := checkEnds(image); err == nil {
			t.Error("three bytes are an image")
		}
	})
}
