package oci

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"syscall"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/takovm/tako/internal/job"
)

// Load takes images out of an archive that `docker save` or another tool wrote
// (docker-archive or OCI layout, also compressed), makes their environments and
// records them under the names that the archive has for them, or under reference
// if that is not empty and there is one image. Errors are those of Pull.
func (s *Store) Load(ctx context.Context, file, reference string, o Options) ([]*Image, error) {
	if reference != "" {
		if _, err := parseReference(reference); err != nil {
			return nil, err
		}
	}
	release, err := s.lock(ctx, syscall.LOCK_SH)
	if err != nil {
		return nil, err
	}
	defer release()
	f, err := s.plain(ctx, file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	a, err := openArchive(f, file, s.limits)
	if err != nil {
		return nil, err
	}
	found, err := s.candidates(a)
	if err != nil {
		return nil, s.fail(err)
	}
	if found, err = named(found, file, reference); err != nil {
		return nil, err
	}
	var images []*Image
	for _, c := range found {
		image, err := s.complete(ctx, c, o.progress())
		if err != nil {
			return images, err
		}
		images = append(images, image)
	}
	return images, nil
}

// plain opens an archive; one that is compressed is unpacked into a file without
// a name.
func (s *Store) plain(ctx context.Context, file string) (*os.File, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, job.Errorf(job.KindNotFound, "the archive cannot be read: %w", err).WithHint("name a file that `docker save` has written")
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = invalid("%s is not a regular file", file).WithHint("name a file that `docker save` has written")
	}
	var magic [4]byte
	if err == nil {
		_, err = f.ReadAt(magic[:], 0)
	}
	if err == io.EOF {
		err = corrupt("%s is not an archive: it is too short", file)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	if !compressed(magic[:]) {
		return f, nil
	}
	defer f.Close()
	out, err := s.nameless()
	if err != nil {
		return nil, s.fail(err)
	}
	z, err := decompress(f)
	if err == nil {
		defer z.Close()
		var n int64
		most := s.limits.Download
		if n, err = io.Copy(writing{ctx, out}, io.LimitReader(z, most+1)); err == nil && n > most {
			err = tooMuch("%s has more than %d bytes unpacked", file, most)
		}
		err = writingOr(err)
	}
	if err == nil {
		_, err = out.Seek(0, io.SeekStart)
	}
	if err != nil {
		out.Close()
		return nil, s.fail(err)
	}
	return out, nil
}

// writingOr leaves the errors of a disk and names those of compressed data.
func writingOr(err error) error {
	if job.KindOf(err) == job.KindInvalid {
		return err
	}
	return damaged(err)
}

// candidates are the images of an archive, in whichever format it is.
func (s *Store) candidates(a *archive) ([]candidate, error) {
	switch {
	case a.file("manifest.json") != nil:
		return s.saved(a)
	case a.file("index.json") != nil:
		return s.laidOut(a)
	}
	return nil, invalid("%s is not an archive of an image: it has neither manifest.json nor index.json", a.shown).
		WithHint("name a file that `docker save` has written, not a root file system alone")
}

// saved reads the format of `docker save`. It says nothing of the digests of
// layers: they are stored as what they turn out to be, and verified by the diff
// ids of the configuration.
func (s *Store) saved(a *archive) ([]candidate, error) {
	var list []struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	if err := a.json("manifest.json", &list); err != nil {
		return nil, err
	}
	var found []candidate
	for _, in := range list {
		content, err := a.small(in.Config)
		if err != nil {
			return nil, err
		}
		if len(in.Layers) > s.limits.Layers {
			return nil, tooMuch("%s has an image of %d layers: it may have %d", a.shown, len(in.Layers), s.limits.Layers)
		}
		m := &v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1}
		if m.Config, err = s.keep(bytes.NewReader(content), s.limits.Manifest, types.OCIConfigJSON); err != nil {
			return nil, err
		}
		for _, name := range in.Layers {
			r := a.file(name)
			if r == nil {
				return nil, corrupt("%s has no %s", a.shown, quoted(name))
			}
			d, err := s.keep(r, s.limits.Download, types.OCIUncompressedLayer)
			if err != nil {
				return nil, err
			}
			m.Layers = append(m.Layers, d)
		}
		written, err := json.Marshal(m)
		if err != nil {
			return nil, err
		}
		c := candidate{manifest: m, blob: stored}
		if c.digest, err = s.putBytes(written); err != nil {
			return nil, err
		}
		found = append(found, c.under(in.RepoTags)...)
	}
	return found, nil
}

// keep stores a part of an archive.
func (s *Store) keep(r io.Reader, limit int64, as types.MediaType) (v1.Descriptor, error) {
	d, size, err := s.put(r, limit)
	return v1.Descriptor{MediaType: as, Digest: d, Size: size}, err
}

// stored is the source of a blob that is in the store already.
func stored(d v1.Hash) source {
	return func(context.Context, int64) (io.ReadCloser, int64, error) {
		return nil, 0, corrupt("the image names %s, which is not in the archive", d)
	}
}

// under is the candidate once for each name, or once without any.
func (c candidate) under(names []string) []candidate {
	var all []candidate
	for _, name := range names {
		ref, err := parseReference(name)
		if name == "" || err != nil {
			continue
		}
		named := c
		named.shown = Familiar(ref)
		all = append(all, named)
	}
	if all == nil {
		c.shown = ""
		all = []candidate{c}
	}
	return all
}

// named gives every image of an archive its name.
func named(found []candidate, file, reference string) ([]candidate, error) {
	if reference != "" {
		for _, c := range found {
			if c.digest != found[0].digest {
				return nil, invalid("%s has several images, which cannot all be called %s", file, reference).
					WithHint("leave the name out")
			}
		}
		ref, err := parseReference(reference)
		if err != nil || len(found) == 0 {
			return nil, err
		}
		found = found[:1]
		found[0].shown = Familiar(ref)
	}
	if len(found) == 0 {
		return nil, corrupt("%s has no image", file)
	}
	for _, c := range found {
		if c.shown == "" {
			return nil, invalid("%s does not say what its image is called", file).WithHint("give it a name with --name")
		}
	}
	return found, nil
}
