package server

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"github.com/takovm/tako/internal/job"
)

// maxSocketPath is what Linux takes of a path, its last byte being NUL.
const maxSocketPath = 107

// ListenSocket listens on a Unix socket at path that only this user can connect
// to. A socket that nobody listens on any more is replaced; anything else that
// is there is left, and an error. Closing the listener removes it.
func ListenSocket(ctx context.Context, path string) (net.Listener, error) {
	if err := vacant(ctx, path); err != nil {
		return nil, err
	}
	wrong := func(err error) error {
		return job.Errorf(job.KindUnavailable, "listening on the socket %s: %w", path, err).
			WithHint("choose another with --socket, in a directory that this user may write, of at most %d bytes", maxSocketPath-len("/.tako-0123456789/s"))
	}
	// It is made in a directory that nobody else can enter, so that nobody can
	// connect before its mode is right.
	dir, err := os.MkdirTemp(filepath.Dir(path), ".tako-")
	if err != nil {
		return nil, wrong(err)
	}
	defer os.RemoveAll(dir)
	made := filepath.Join(dir, "s")
	if len(made) > maxSocketPath || len(path) > maxSocketPath {
		return nil, wrong(syscall.ENAMETOOLONG)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "unix", made)
	if err != nil {
		return nil, wrong(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // its name is another one by then
	if err = os.Chmod(made, 0o600); err == nil {
		err = os.Rename(made, path)
	}
	if err != nil {
		return nil, errors.Join(wrong(err), l.Close())
	}
	info, err := os.Lstat(path)
	if err != nil {
		return nil, errors.Join(wrong(err), l.Close())
	}
	return &socket{Listener: l, path: path, made: info}, nil
}

// vacant reports whether a socket may be made at path.
func vacant(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && info.Mode().Type() != fs.ModeSocket {
		return job.Errorf(job.KindConfig, "%s is there, and is no socket", path).WithHint("choose another path with --socket")
	}
	c, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err == nil {
		c.Close()
		return job.Errorf(job.KindUnavailable, "another server listens on the socket %s", path).WithHint("choose another path with --socket")
	}
	return nil // of one that has ended
}

// socket is a listener whose name is removed with it.
type socket struct {
	net.Listener
	path string
	made fs.FileInfo
}

func (s *socket) Addr() net.Addr { return &net.UnixAddr{Name: s.path, Net: "unix"} }

func (s *socket) Close() error {
	if now, err := os.Lstat(s.path); err == nil && os.SameFile(s.made, now) { // and not that of who came after
		if err := os.Remove(s.path); err != nil {
			return errors.Join(err, s.Listener.Close())
		}
	}
	return s.Listener.Close()
}
