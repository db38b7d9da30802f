package guest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"syscall"

	"github.com/takovm/tako/internal/guest/wire"
)

// File describes a file to put into a sandbox.
type File struct {
	// Path is absolute, below /code, /input, /app, /tmp or /output, without
	// "." or ".." in it; parts are at most 255 bytes, all of it 4,096.
	Path string
	// Mode holds permission bits; others are ignored.
	Mode os.FileMode
	// UID and GID own the file.
	UID, GID int
	// Size is how many bytes there are, exactly.
	Size int64
}

// Put writes the file f with the bytes of r. A file or link of that name is
// replaced, never written through; directories that are missing above it are
// made, root's, 0755. The error is a *FileError if the guest could not write
// it, for one with ENOSPC because the file system is full, and nothing of the
// file is left then. An error of r, which is wrapped, or an r that ends before
// Size bytes leaves nothing either. More than Size bytes are not
// read. The session goes on after all of these.
func (s *Session) Put(ctx context.Context, f File, r io.Reader) error {
	if err := checkTarget("put", f.Path, f.UID, f.GID); err != nil {
		return err
	}
	if f.Size < 0 {
		return fmt.Errorf("put %s: size is %d", f.Path, f.Size)
	}
	if err := s.begin(ctx, writing, f.begin().Append(nil)); err != nil {
		return s.wrap("put", err)
	}
	defer s.done()
	failed, err := s.stream(ctx, f, r)
	if err != nil {
		return s.wrap("put", err)
	}
	answer := s.written(ctx, "put", f.Path)
	if failed != nil && (answer == nil || errors.Is(answer, syscall.ECANCELED)) {
		return failed
	}
	return answer
}

// MostAtOnce bounds what PutAll and Release send at once, in bytes.
const MostAtOnce = 256 << 10

// Content is a file with its bytes.
type Content struct {
	File  // whose Size is that of Bytes
	Bytes []byte
}

// PutAll is Put for several files that are at hand, with one way there and back
// for all of them. They are to have 256 KiB together; more go one by one. Each is
// written whatever became of the others; the error is the first one's.
func (s *Session) PutAll(ctx context.Context, files ...Content) error {
	total, err := measure(files)
	if err != nil {
		return err
	}
	if len(files) < 2 || total > MostAtOnce {
		return s.putEach(ctx, files)
	}
	if err := s.begin(ctx, writing); err != nil {
		return s.wrap("put", err)
	}
	defer s.done()
	s.expect(len(files) - 1)
	if err := s.sendOrFail(ctx, framesOf(files)); err != nil {
		return s.wrap("put", err)
	}
	return s.allWritten(ctx, files)
}

// measure sets the files' sizes and adds them up.
func measure(files []Content) (total int, err error) {
	for i := range files {
		f := &files[i]
		f.Size = int64(len(f.Bytes))
		if err := checkTarget("put", f.Path, f.UID, f.GID); err != nil {
			return 0, err
		}
		total += len(f.Bytes)
	}
	return total, nil
}

// allWritten waits for the answers to requests to write files. The error is the
// first one's.
func (s *Session) allWritten(ctx context.Context, files []Content) error {
	var first error
	for i := range files {
		err := s.written(ctx, "put", files[i].Path)
		if first == nil {
			first = err
		}
	}
	return first
}

func (s *Session) putEach(ctx context.Context, files []Content) error {
	var first error
	for i := range files {
		err := s.Put(ctx, files[i].File, bytes.NewReader(files[i].Bytes))
		if first == nil {
			first = err
		}
	}
	return first
}

func (f *File) begin() wire.PutBegin {
	return wire.PutBegin{Path: f.Path, Mode: uint32(f.Mode.Perm()), UID: uint32(f.UID), GID: uint32(f.GID), Size: uint64(f.Size)}
}

// framesOf puts files, one after the other.
func framesOf(files []Content) (frames []byte) {
	for i := range files {
		frames = files[i].begin().Append(frames)
		for piece := range slices.Chunk(files[i].Bytes, wire.MaxPayload) {
			frames = wire.AppendRaw(frames, wire.TypePutData, piece)
		}
	}
	return frames
}

// stream sends f's bytes. failed is what is wrong with r; the guest was told to
// forget the file then.
func (s *Session) stream(ctx context.Context, f File, r io.Reader) (failed, err error) {
	for left := f.Size; left > 0; {
		// A fresh piece each time: a cancelled send leaves its own behind.
		n := min(left, wire.MaxPayload)
		b := make([]byte, wire.HeaderSize+n)
		wire.PutHeader(b, wire.TypePutData, int(n))
		if _, err := io.ReadFull(r, b[wire.HeaderSize:]); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			failed = fmt.Errorf("put %s: read: %w", f.Path, err)
			return failed, s.sendOrFail(ctx, wire.AppendEmpty(nil, wire.TypePutAbort))
		}
		if err := s.sendOrFail(ctx, b); err != nil {
			return nil, err
		}
		left -= n
	}
	return nil, nil
}

// Mkdir makes a directory with the given mode and owner and what is missing
// above it, root's, 0755. One that exists gets that mode and owner. Paths are
// as in File. The error is a *FileError if the guest could not.
func (s *Session) Mkdir(ctx context.Context, path string, mode os.FileMode, uid, gid int) error {
	if err := checkTarget("mkdir", path, uid, gid); err != nil {
		return err
	}
	request := wire.Mkdir{Path: path, Mode: uint32(mode.Perm()), UID: uint32(uid), GID: uint32(gid)}
	if err := s.begin(ctx, writing, request.Append(nil)); err != nil {
		return s.wrap("mkdir", err)
	}
	defer s.done()
	return s.written(ctx, "mkdir", path)
}

// written waits for the answer to a request to write path.
func (s *Session) written(ctx context.Context, op, path string) error {
	f, err := s.next(ctx)
	if err != nil {
		return s.wrap(op, err)
	}
	if f.kind != wire.TypeDone {
		return s.wrap(op, s.fail(violation(f.kind, "a file was to be answered")))
	}
	var m wire.Done
	if err := s.decode(f, &m); err != nil {
		return s.wrap(op, err)
	}
	if m.Errno != 0 {
		return &FileError{Op: op, Path: path, Errno: errno(m.Errno)}
	}
	return nil
}

// checkTarget refuses what init would. An owner of -1 would be the kernel's
// "leave it".
func checkTarget(op, path string, uid, gid int) error {
	if _, ok := wire.SplitPath(path); !ok || uid < 0 || uid > math.MaxInt32 || gid < 0 || gid > math.MaxInt32 {
		return &FileError{Op: op, Path: path, Errno: syscall.EINVAL}
	}
	return nil
}

// errno believes no number that no kernel has: its text would be the guest's.
func errno(n uint16) syscall.Errno {
	if n >= 4096 {
		return syscall.EIO
	}
	return syscall.Errno(n)
}
