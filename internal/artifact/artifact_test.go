package artifact

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"path"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/takovm/tako/internal/job"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func FuzzParseDigest(f *testing.F) {
	for _, s := range []string{"", strings.Repeat("0", 64), strings.Repeat("G", 64), "../" + strings.Repeat("a", 61), strings.Repeat("é", 32)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDigest(text)
		if err != nil {
			if job.KindOf(err) != job.KindInvalid {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if string(d) != text || len(text) != 64 || path.Base(text) != text || strings.Trim(text, "0123456789abcdef") != "" {
			t.Fatalf("%q is a digest", text)
		}
	})
}

// bytesCloser is a blob in memory, read in pieces of its own choice.
func sum(data []byte) []byte { s := sha256.Sum256(data); return s[:] }

type bytesCloser struct {
	*bytes.Reader
	piece int
}

func (bytesCloser) Close() error { return nil }

func (b bytesCloser) Read(p []byte) (int, error) { return b.Reader.Read(p[:min(len(p), b.piece)]) }

// Whatever is read and in whatever steps, it is the blob's; and whoever reads
// on from the start to the end learns of damage.
func FuzzBlob(f *testing.F) {
	f.Add([]byte("some bytes of a blob"), []byte{3, 200, 9}, 4, false)
	f.Add([]byte("damaged"), []byte{0}, 1, true)
	f.Add([]byte{}, []byte{1}, 1, true)
	f.Fuzz(func(t *testing.T, data, steps []byte, piece int, damaged bool) {
		info := Info{Digest: digestOf(sum(data)), Size: int64(len(data))}
		if damaged {
			info.Digest = digestOf(sum(append([]byte("x"), data...)))
		}
		b := NewBlob(info, bytesCloser{bytes.NewReader(data), 1 + (piece&0xff+0xff)%0xff})
		for _, step := range steps {
			at, err := b.Seek(int64(step), io.SeekStart)
			if err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, int(step)%7+1)
			n, err := b.Read(buf)
			if n > 0 && !bytes.Equal(buf[:n], data[at:at+int64(n)]) {
				t.Fatalf("other bytes at %d", at)
			}
			if errors.Is(err, ErrCorrupt) && damaged {
				return
			}
			if err != nil && err != io.EOF {
				t.Fatal(err)
			}
		}
		if _, err := b.Seek(0, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(b)
		if damaged != errors.Is(err, ErrCorrupt) || !damaged && !bytes.Equal(got, data) {
			t.Fatalf("damaged %v: %d of %d bytes, %v", damaged, len(got), len(data), err)
		}
	})
}

func TestReadError(t *testing.T) {
	broken := errors.New("broken")
	b := NewBlob(Info{Digest: "d", Size: 10}, failing{broken})
	if _, err := b.Read(make([]byte, 1)); !errors.Is(err, broken) {
		t.Errorf("read: %v", err)
	}
	if _, err := b.Seek(5, io.SeekStart); !errors.Is(err, broken) {
		t.Errorf("seek: %v", err)
	}
	if _, err := b.Seek(0, 9); err == nil {
		t.Error("a seek of no kind works")
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error)       { return 0, f.err }
func (f failing) Seek(int64, int) (int64, error) { return 0, f.err }
func (failing) Close() error                     { return nil }
