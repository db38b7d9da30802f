package server

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/takovm/tako/internal/job"
)

func TestListenSocket(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "tako.sock")
	listen := func() net.Listener {
		t.Helper()
		l, err := ListenSocket(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	l := listen()
	info, err := os.Stat(path)
	if err != nil || info.Mode() != fs.ModeSocket|0o600 || l.Addr().String() != path {
		t.Errorf("%v, %v, %v", info, err, l.Addr())
	}
	if _, err := ListenSocket(t.Context(), path); job.KindOf(err) != job.KindUnavailable || !strings.Contains(err.Error(), "another server listens") {
		t.Errorf("twice: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}

	// One that was killed leaves its socket, which is replaced.
	killed := listen().(*socket)
	killed.Listener.Close()
	next := listen()
	if err := killed.Close(); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the socket of the next one was removed: %v", err)
	}
	next.Close()
}

func TestListenSocketRefuses(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		file:                                  "is no socket",
		filepath.Join(dir, "no", "tako.sock"): "no such file or directory",
		filepath.Join("/", strings.Repeat("x/", 60)): "no such file or directory",
		filepath.Join(dir, strings.Repeat("x", 100)): "name too long",
	} {
		l, err := ListenSocket(t.Context(), path)
		if err == nil {
			l.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if got, err := os.ReadFile(file); string(got) != "mine" {
		t.Errorf("the file is %q, %v", got, err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}
