package environment

import (
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"testing"

	erofs "github.com/erofs/go-erofs"

	"github.com/takovm/tako/internal/job"
)

// The root is read-only, so a .pyc that does not match its .py costs a
// compilation at every start. This packs the real Python of the machine that
// runs the test: what was valid on the host must be so in the image.
func TestBytecodeIsValid(t *testing.T) {
	if testing.Short() {
		t.Skip("packs the whole host")
	}
	h := &Host{Cache: t.TempDir()}
	env, err := h.Ensure(t.Context(), nil)
	if job.KindOf(err) == job.KindUnavailable {
		t.Skip(err)
	}
	must(t, err)
	f, err := os.Open(env.Image)
	must(t, err)
	defer f.Close()
	image, err := erofs.Open(f)
	must(t, err)
	tag := ".cpython-" + strings.Join(strings.Split(env.Version, ".")[:2], "") + ".pyc"
	valid := 0
	must(t, fs.WalkDir(image, "usr", func(name string, d fs.DirEntry, err error) error {
		base, ok := strings.CutSuffix(path.Base(name), tag)
		if err != nil || !ok || path.Base(path.Dir(name)) != "__pycache__" {
			return err
		}
		source := path.Join(path.Dir(path.Dir(name)), base+".py")
		switch host, err := os.Stat("/" + source); {
		case err != nil || !validFor(t, os.DirFS("/"), name, host):
		default:
			packed, err := fs.Stat(image, source)
			if errors.Is(err, fs.ErrNotExist) {
				return nil // a link to /etc, such as sitecustomize
			}
			must(t, err)
			if st, ok := packed.Sys().(*erofs.Stat); !validFor(t, image, name, packed) || !ok || st.MtimeNs != 0 {
				t.Errorf("%s is valid on the host and not in the image", name)
			}
			valid++
		}
		return nil
	}))
	t.Logf("%d valid", valid)
	if valid == 0 {
		t.Error("no bytecode in the image")
	}
}

// validFor does what Python does before it trusts a .pyc: it compares the time
// in seconds and the size of the source. The header is magic, flags, mtime and
// size, 4 bytes each, little-endian (PEP 552).
func validFor(t *testing.T, fsys fs.FS, name string, source fs.FileInfo) bool {
	f, err := fsys.Open(name)
	must(t, err)
	defer f.Close()
	var header [16]byte
	if _, err := io.ReadFull(f, header[:]); err != nil {
		return false
	}
	return binary.LittleEndian.Uint32(header[4:]) == 0 &&
		binary.LittleEndian.Uint32(header[8:]) == uint32(source.ModTime().Unix()) &&
		binary.LittleEndian.Uint32(header[12:]) == uint32(source.Size())
}
