package oci

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// archive is a tar of an image, with its files found by name where they are:
// nothing of it is extracted.
type archive struct {
	f     *os.File
	shown string
	files map[string]*io.SectionReader
	links map[string]string
	limit int64 // bytes of a small file
}

// most bounds the files in an archive: blobs, and in old ones three for each
// layer.
const mostFiles = 10_000

// openArchive indexes the archive in f, which is a plain tar.
func openArchive(f *os.File, shown string, limits Limits) (*archive, error) {
	a := &archive{f: f, shown: shown, files: map[string]*io.SectionReader{}, links: map[string]string{}, limit: limits.Manifest}
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	t := tar.NewReader(f)
	for n := 0; ; n++ {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return a, nil
		}
		if err != nil {
			return nil, corrupt("%s is not an archive of an image, or cut off: %w", shown, err)
		}
		if n >= mostFiles {
			return nil, tooMuch("%s has more than %d files", shown, mostFiles)
		}
		name := path.Join("/", h.Name)
		switch h.Typeflag {
		case tar.TypeReg:
			// The reader has read the header and nothing of the content.
			at, err := f.Seek(0, io.SeekCurrent)
			if err != nil {
				return nil, err
			}
			if sparse(h) || h.Size > st.Size()-at {
				return nil, corrupt("%s is cut off in %s, or sparse", shown, quoted(h.Name))
			}
			a.files[name] = io.NewSectionReader(f, at, h.Size)
		case tar.TypeSymlink: // of layers that an image has twice
			a.links[name] = path.Join("/", path.Dir(h.Name), h.Linkname)
		case tar.TypeLink:
			a.links[name] = path.Join("/", h.Linkname)
		}
	}
}

// sparse reports a file whose content is not in the archive as it is.
func sparse(h *tar.Header) bool {
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// file answers a file of the archive from its begin; nil if there is none.
func (a *archive) file(name string) *io.SectionReader {
	name = path.Join("/", name)
	if to, ok := a.links[name]; ok && a.files[name] == nil {
		name = to
	}
	r := a.files[name]
	if r == nil {
		return nil
	}
	return io.NewSectionReader(r, 0, r.Size())
}

// small reads a small file of the archive.
func (a *archive) small(name string) ([]byte, error) {
	r := a.file(name)
	if r == nil {
		return nil, corrupt("%s has no %s", a.shown, quoted(name))
	}
	if r.Size() > a.limit {
		return nil, tooMuch("%s in %s has %d bytes: it may have %d", quoted(name), a.shown, r.Size(), a.limit)
	}
	return io.ReadAll(r)
}

func (a *archive) json(name string, to any) error {
	content, err := a.small(name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(content, to); err != nil {
		return corrupt("%s in %s cannot be read: %w", quoted(name), a.shown, err)
	}
	return nil
}

// layout is the name of a blob in an OCI layout.
func layout(d v1.Hash) string { return "blobs/" + d.Algorithm + "/" + d.Hex }
