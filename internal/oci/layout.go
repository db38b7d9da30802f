package oci

import (
	"bytes"
	"context"
	"io"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// laidOut reads the OCI image layout.
func (s *Store) laidOut(a *archive) ([]candidate, error) {
	content, err := a.small("index.json")
	if err != nil {
		return nil, err
	}
	index, err := v1.ParseIndexManifest(bytes.NewReader(content))
	if err != nil {
		return nil, corrupt("index.json in %s cannot be read: %w", a.shown, err)
	}
	byName, order := map[string][]v1.Descriptor{}, []string{}
	for _, d := range index.Manifests {
		name := d.Annotations["io.containerd.image.name"]
		if name == "" {
			name = d.Annotations["org.opencontainers.image.ref.name"]
		}
		if !strings.ContainsAny(name, "/:") {
			name = "" // many tools write the tag alone
		}
		if byName[name] == nil {
			order = append(order, name)
		}
		byName[name] = append(byName[name], d)
	}
	var found []candidate
	for _, name := range order {
		c := candidate{shown: a.shown, blob: a.blob}
		if c.manifest, c.digest, err = s.inLayout(a, byName[name]); err != nil {
			return nil, err
		}
		found = append(found, c.under([]string{name})...)
	}
	return found, nil
}

// inLayout finds the manifest for this machine among some of a layout.
func (s *Store) inLayout(a *archive, all []v1.Descriptor) (*v1.Manifest, v1.Hash, error) {
	d := &all[0]
	var err error
	if len(all) > 1 {
		d, err = choose(a.shown, all)
	}
	for range 3 {
		if err == nil {
			err = checkDigest(d.Digest)
		}
		if err != nil {
			return nil, v1.Hash{}, err
		}
		content, err := a.small(layout(d.Digest))
		if err != nil {
			return nil, v1.Hash{}, err
		}
		if digestOf(content) != d.Digest {
			return nil, v1.Hash{}, corrupt("%s in %s is not what its name says", d.Digest, a.shown)
		}
		m, instead, err := parse(a.shown, content)
		if err != nil {
			return nil, v1.Hash{}, err
		}
		if m != nil {
			digest, err := s.putBytes(content)
			return m, digest, err
		}
		d = instead
	}
	return nil, v1.Hash{}, corrupt("the index of %s leads to an index, and that to another", a.shown)
}

// blob is the source of a blob of a layout.
func (a *archive) blob(d v1.Hash) source {
	return func(_ context.Context, offset int64) (io.ReadCloser, int64, error) {
		r := a.file(layout(d))
		if r == nil {
			return nil, 0, corrupt("%s has no %s", a.shown, layout(d))
		}
		_, err := r.Seek(offset, io.SeekStart)
		return io.NopCloser(r), offset, err
	}
}
