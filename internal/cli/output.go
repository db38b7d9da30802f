package cli

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"unicode"

	"github.com/takovm/tako/internal/job"
)

// output is the directory that artifacts are copied into. Their names come
// from untrusted code: os.Root keeps every one of them below the directory,
// whatever links are in it.
type output struct {
	root *os.Root
}

// openOutput opens dir, making it if it is not there. what is what the command
// line calls it: --output-dir.
func openOutput(what, dir string) (*output, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, usageError("%s %s: %s; name a directory that can be made", what, dir, pathCause(err))
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, usageError("%s %s: %s", what, dir, pathCause(err))
	}
	return &output{root: root}, nil
}

func (o *output) Close() { o.root.Close() }

// save writes one artifact beside its place and moves it there when it is
// complete.
func (o *output) save(name string, size int64, content io.Reader) error {
	if strings.ContainsFunc(name, unicode.IsControl) {
		return errors.New("not copied: its name holds control characters")
	}
	if err := o.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return fmt.Errorf("not copied: %w", err)
	}
	// A name of its own: a fixed one could be that of another artifact.
	part := path.Join(path.Dir(name), ".tako-"+rand.Text())
	if err := o.write(part, size, content); err != nil {
		return errors.Join(fmt.Errorf("not copied: %w", err), o.discard(part))
	}
	if err := o.root.Rename(part, name); err != nil {
		return errors.Join(fmt.Errorf("not copied: %w", err), o.discard(part))
	}
	return nil
}

func (o *output) write(part string, size int64, content io.Reader) error {
	f, err := o.root.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	n, err := io.Copy(f, io.LimitReader(content, size)) // it may have no end
	if err == nil {
		err = ended(content, size-n)
	}
	return errors.Join(err, f.Close())
}

// ended checks that nothing is missing and nothing comes after. Readers say at
// their end whether all that they gave was right.
func ended(content io.Reader, missing int64) error {
	more, err := io.CopyN(io.Discard, content, 1)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return err
	case missing != 0 || more != 0:
		return job.Errorf(job.KindInvalid, "it changed while it was read")
	}
	return nil
}

func (o *output) discard(part string) error {
	if err := o.root.Remove(part); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
