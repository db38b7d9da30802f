package pgtest

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
)

func TestServer(t *testing.T) {
	s := New(t)
	database, err := s.NewDatabase(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Halt(); err != nil {
		t.Fatal(err)
	}
	if err := execute(t.Context(), database, "SELECT 1"); err == nil {
		t.Error("it answers after Halt")
	}
	if err := errors.Join(s.Resume(), s.Restart()); err != nil {
		t.Fatal(err)
	}
	if err := execute(t.Context(), database, "SELECT 1"); err != nil {
		t.Errorf("after Restart: %v", err)
	}
	if text, err := s.Log(); err != nil || !strings.Contains(text, "ready to accept connections") {
		t.Errorf("the log: %v\n%s", err, text)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(s.dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("its files are left: %v", err)
	}
	if err := execute(t.Context(), database, "SELECT 1"); err == nil {
		t.Error("it answers after Close")
	}
}
