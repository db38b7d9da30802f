package oci

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/takovm/tako/internal/environment"
)

// PhaseCopy is the writing of an image's own layers.
const PhaseCopy environment.Phase = "copy"

// staging holds the parts of an image that is being made, out of sight: files
// among the unfinished ones, until commit makes blobs of them.
type staging struct {
	ctx              context.Context
	store            *Store
	layers           map[v1.Hash]string // paths
	config, manifest []byte
	meter            *meter
}

func newStaging(ctx context.Context, s *Store, layers [][]environment.TreeEntry, progress func(environment.Progress)) *staging {
	var all int64
	for _, entries := range layers {
		all += bytesOf(entries)
	}
	return &staging{ctx: ctx, store: s, layers: map[v1.Hash]string{}, meter: newMeter(PhaseCopy, all, progress)}
}

func bytesOf(entries []environment.TreeEntry) (n int64) {
	for i := range entries {
		n += entries[i].Size
	}
	return n
}

// add writes a tree as a layer and adds it to manifest and configuration. Layers
// are not compressed: their digests then depend on nothing but what is in them.
func (st *staging) add(entries []environment.TreeEntry, m *v1.Manifest, config *v1.ConfigFile) (err error) {
	if most := st.store.limits.Unpacked; bytesOf(entries) > most {
		return tooMuch("the files of a layer have %d bytes together: they may have %d", bytesOf(entries), most)
	}
	if len(entries) > st.store.limits.Entries {
		return tooMuch("a layer has %d files and directories: it may have %d", len(entries), st.store.limits.Entries)
	}
	if err := room(st.store.dir, bytesOf(entries)); err != nil {
		return err
	}
	f, err := st.store.temporary()
	if err != nil {
		return err
	}
	kept := false
	defer func() {
		err = errors.Join(err, f.Close())
		if !kept {
			os.Remove(f.Name())
		}
	}()
	h := sha256.New()
	size := &counter{}
	if err := st.write(io.MultiWriter(writing{st.ctx, f}, h, size), entries); err != nil {
		return err
	}
	d := v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(h.Sum(nil))}
	m.Layers = append(m.Layers, v1.Descriptor{MediaType: types.OCIUncompressedLayer, Digest: d, Size: size.n})
	config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, d)
	if st.layers[d] == "" && st.store.has(d) != size.n {
		st.layers[d], kept = f.Name(), true
	}
	return nil
}

type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}

// write writes a tree as a tar, in an order and with attributes that depend on
// nothing else.
func (st *staging) write(w io.Writer, entries []environment.TreeEntry) error {
	sorted := slices.Clone(entries)
	slices.SortFunc(sorted, func(a, b environment.TreeEntry) int { return cmp.Compare(a.Path, b.Path) })
	t := tar.NewWriter(w)
	for i := range sorted {
		e := &sorted[i]
		if strings.Contains(e.Path, "/"+whiteout) {
			return invalid("%s cannot be in an image: a name that begins with %s means that something is removed", quoted(e.Path), whiteout).WithHint("give it another name")
		}
		h := &tar.Header{
			Name: e.Path[1:], Mode: int64(e.Mode.Perm()), Uid: int(e.UID), Gid: int(e.GID), ModTime: time.Unix(max(e.Mtime, 0), 0), Format: tar.FormatPAX,
		}
		switch e.Type {
		case fs.ModeDir:
			h.Typeflag, h.Name, h.ModTime = tar.TypeDir, h.Name+"/", time.Unix(0, 0)
		case fs.ModeSymlink:
			h.Typeflag, h.Linkname = tar.TypeSymlink, e.Target
		default:
			h.Typeflag, h.Size = tar.TypeReg, e.Size
		}
		if err := t.WriteHeader(h); err != nil {
			return invalid("%s cannot be in an image: %w", quoted(e.Path), err)
		}
		if h.Typeflag == tar.TypeReg {
			if err := st.content(t, e); err != nil {
				return err
			}
		}
	}
	return t.Close()
}

func (st *staging) content(t io.Writer, e *environment.TreeEntry) error {
	r, err := e.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	if _, err := io.CopyN(t, io.TeeReader(r, st.meter), e.Size); err != nil {
		return fmt.Errorf("copying %s: %w", quoted(e.Path), err)
	}
	return nil
}

// commit makes blobs of what is staged.
func (st *staging) commit() error {
	for d, path := range st.layers {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		err = errors.Join(commit(f, st.store.blob(d)), f.Close())
		if err != nil {
			return err
		}
		delete(st.layers, d)
	}
	for _, content := range [][]byte{st.config, st.manifest} {
		if _, _, err := st.store.put(bytes.NewReader(content), st.store.limits.Manifest); err != nil {
			return err
		}
	}
	return nil
}

// discard removes what is still staged.
func (st *staging) discard() {
	for _, path := range st.layers {
		os.Remove(path)
	}
}
