package environment

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/takovm/tako/internal/job"
)

// errCorrupt says that an image is not what was written.
var errCorrupt = errors.New("corrupt image")

const (
	// endSize is how much of an image's begin and of its end the cheap check
	// reads, in bytes.
	endSize = 64 << 10
	// maxSidecar bounds a sidecar, in bytes.
	maxSidecar = 256 << 10

	superblockOffset = 1024       // EROFS_SUPER_OFFSET
	superblockMagic  = 0xE0F5E1E2 // EROFS_SUPER_MAGIC_V1, little-endian
)

// sidecar is what is known of a finished image.
type sidecar struct {
	Entry  string `json:"entry"`
	Size   int64  `json:"size"`   // bytes
	SHA256 string `json:"sha256"` // of the whole file
	Ends   string `json:"ends"`   // SHA-256 of the first and the last endSize bytes
	// Environment is what the image holds; nil for that of init.
	Environment *Environment `json:"environment,omitempty"`
}

func readSidecar(image string) (s sidecar, err error) {
	f, err := os.Open(sidecarPath(image))
	if err != nil {
		return s, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSidecar))
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("its sidecar: %w", errCorrupt)
	}
	return s, nil
}

// Verify reads the whole image at path and compares it with the checksum that
// was taken when it was made. A difference is a job.KindUnavailable error;
// Host.Ensure finds most of them itself and builds again, the rest are mended
// by removing the file.
func Verify(path string) error {
	return VerifyContext(context.Background(), path, nil)
}

// VerifyContext is Verify with an end and reports.
func VerifyContext(ctx context.Context, path string, progress func(Progress)) error {
	err := func() error {
		s, err := checkEnds(path)
		if err != nil {
			return err
		}
		sum, err := hashFile(ctx, path, s.Size, progress)
		if err != nil {
			return err
		}
		if sum != s.SHA256 {
			return fmt.Errorf("its content changed: %w", errCorrupt)
		}
		return nil
	}()
	if err != nil && ctx.Err() == nil {
		return job.Errorf(job.KindUnavailable, "the image %s cannot be used: %w", path, err).WithHint("remove it; it will be made again")
	}
	return err
}

// checkEnds is the cheap check: size, magic and the checksum of both ends.
func checkEnds(image string) (s sidecar, err error) {
	f, err := os.Open(image)
	if err != nil {
		return s, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return s, err
	}
	if s, err = readSidecar(image); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("it has no sidecar: %w", errCorrupt)
		}
		return s, err
	}
	if st.Size() != s.Size {
		return s, fmt.Errorf("it has %d bytes instead of %d: %w", st.Size(), s.Size, errCorrupt)
	}
	ends, magic, err := readEnds(f, st.Size())
	if err != nil {
		return s, err
	}
	if magic != superblockMagic {
		return s, fmt.Errorf("it is not EROFS: %w", errCorrupt)
	}
	if ends != s.Ends {
		return s, fmt.Errorf("its content changed: %w", errCorrupt)
	}
	return s, nil
}

// readEnds returns the checksum of both ends and the magic.
func readEnds(f io.ReaderAt, size int64) (sum string, magic uint32, err error) {
	first := make([]byte, min(endSize, size))
	last := make([]byte, min(endSize, size))
	if _, err := f.ReadAt(first, 0); err != nil {
		return "", 0, err
	}
	if _, err := f.ReadAt(last, size-int64(len(last))); err != nil {
		return "", 0, err
	}
	if len(first) >= superblockOffset+4 {
		magic = binary.LittleEndian.Uint32(first[superblockOffset:])
	}
	h := sha256.Sum256(bytes.Join([][]byte{first, last}, nil))
	return hex.EncodeToString(h[:]), magic, nil
}

// hashFile reads a file back.
func hashFile(ctx context.Context, name string, size int64, progress func(Progress)) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	m := &meter{ctx: ctx, report: progress, phase: PhaseVerify, total: size}
	if _, err := io.CopyBuffer(struct{ io.Writer }{h}, m.reader(f), make([]byte, 1<<20)); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// finish verifies a complete temporary image and gives it its name. The
// sidecar comes first, so that every image has one and can be pruned; a
// sidecar alone means nothing.
func (c *cache) finish(ctx context.Context, f *os.File, name string, progress func(Progress)) (size int64, err error) {
	defer func() {
		f.Close()
		if err != nil {
			os.Remove(f.Name())
			removeImage(name)
		}
	}()
	if err := f.Sync(); err != nil {
		return 0, err
	}
	c.at("written")
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	s := sidecar{Entry: c.entry, Size: st.Size(), Environment: c.describes}
	if s.Ends, _, err = readEnds(f, s.Size); err != nil {
		return 0, err
	}
	if s.SHA256, err = hashFile(ctx, f.Name(), s.Size, progress); err != nil {
		return 0, err
	}
	js, err := json.Marshal(s)
	if err != nil {
		return 0, err
	}
	removeImage(name) // a corrupt or unfinished one; users of it keep their open file
	c.at("removed")
	if err := c.writeFile(sidecarPath(name), js); err != nil {
		return 0, err
	}
	c.at("described")
	if err := c.commit(f, name, 0o400); err != nil {
		return 0, err
	}
	c.at("finished")
	return s.Size, nil
}
