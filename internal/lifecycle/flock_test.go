package lifecycle

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestFlock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	open := func() *os.File {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	reader, another, writer := open(), open(), open()
	for _, f := range []*os.File{reader, another} {
		if err := Flock(t.Context(), f, syscall.LOCK_SH); err != nil {
			t.Fatal(err)
		}
	}
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if err := Flock(ctx, writer, syscall.LOCK_EX); !errors.Is(err, why) {
		t.Errorf("locked by others: %v", err)
	}
	got := make(chan error)
	go func() { got <- Flock(t.Context(), writer, syscall.LOCK_EX) }()
	reader.Close()
	another.Close()
	if err := <-got; err != nil {
		t.Error(err)
	}
	late := open()
	late.Close()
	if err := Flock(t.Context(), late, syscall.LOCK_EX); !errors.Is(err, syscall.EBADF) {
		t.Errorf("a closed file: %v", err)
	}
}
