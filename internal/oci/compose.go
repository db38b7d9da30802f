package oci

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"syscall"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/job"
)

// Composition is an image that is made on this machine: a base, layers over it,
// and what is said about how it is run.
type Composition struct {
	// Reference is its name, which has no digest.
	Reference string
	// Base is the reference of an image of the store; empty for none.
	Base string
	// Layers are trees, each put over those before it. Nothing in them is a
	// whiteout: they add and replace.
	Layers [][]environment.TreeEntry
	// Env are variables, "NAME=value", which take the places of the base's.
	// WorkingDir and User do where they are not empty.
	Env              []string
	WorkingDir, User string
	// Built is what the image's record keeps of how it was made.
	Built Built
}

// Built is how an image was made that was not pulled.
type Built struct {
	Recipe       string   `json:"recipe,omitempty"`        // path of the file, if there is one
	Base         string   `json:"base,omitempty"`          // reference
	BaseManifest string   `json:"base_manifest,omitempty"` // "sha256:..."
	Requirements []string `json:"requirements,omitempty"`
	Installed    []string `json:"installed,omitempty"` // "numpy==2.0.1"
}

// Compose makes an image of a composition and records it, in place of what its
// reference meant before. Equal compositions are equal images, whenever and
// wherever they are made. Until the image is whole nothing of it is in the store:
// whatever goes wrong leaves the store as it was.
//
// Errors: job.KindInvalid for what cannot be an image, job.KindNotFound for a base
// that is not here, job.KindUnavailable for a disk that fails; those of an entry's
// Open as they are.
func (s *Store) Compose(ctx context.Context, c Composition, o Options) (*Image, error) {
	ref, err := parseReference(c.Reference)
	if err != nil {
		return nil, err
	}
	if _, ok := ref.(name.Digest); ok {
		return nil, invalid("%q cannot be the name of an image that is made here: its digest is not known before", c.Reference).WithHint("write a name and a tag")
	}
	release, err := s.lock(ctx, syscall.LOCK_SH)
	if err != nil {
		return nil, err
	}
	defer release()
	m, config, err := s.under(&c)
	if err != nil {
		return nil, err
	}
	progress := o.progress()
	st := newStaging(ctx, s, c.Layers, progress)
	defer st.discard()
	for _, entries := range c.Layers {
		if err := st.add(entries, m, config); err != nil {
			return nil, s.fail(err)
		}
	}
	c.describe(config)
	src := candidate{shown: Familiar(ref), manifest: m, blob: stored, staged: st.layers, built: &c.Built}
	if err := st.seal(&src, config); err != nil {
		return nil, s.fail(err)
	}
	return s.settle(ctx, src, st, config, progress)
}

// under is what a composition starts from: its base's manifest and configuration,
// without the history, which says nothing of ours.
func (s *Store) under(c *Composition) (*v1.Manifest, *v1.ConfigFile, error) {
	m := &v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1}
	config := &v1.ConfigFile{OS: wantOS, Architecture: wantArch, RootFS: v1.RootFS{Type: "layers"}}
	if c.Base == "" {
		return m, config, nil
	}
	image, err := s.Show(c.Base)
	if err != nil {
		return nil, nil, err
	}
	c.Built.Base, c.Built.BaseManifest = image.Reference, image.Manifest
	digest, err := v1.NewHash(image.Manifest)
	if err != nil {
		return nil, nil, corrupt("the record of %s: %w", image.Reference, err)
	}
	content, err := s.readBlob(digest)
	if err != nil {
		return nil, nil, s.fail(err)
	}
	base, _, err := parse(image.Reference, content)
	if err != nil || base == nil {
		return nil, nil, corrupt("the manifest of %s is none: %v", image.Reference, err)
	}
	if content, err = s.readBlob(base.Config.Digest); err != nil {
		return nil, nil, s.fail(err)
	}
	if config, err = checkConfig(image.Reference, base, content); err != nil {
		return nil, nil, err
	}
	m.Layers, config.History = base.Layers, nil
	return m, config, nil
}

// describe writes into a configuration how the image is run.
func (c *Composition) describe(config *v1.ConfigFile) {
	for _, v := range c.Env {
		variable, _, _ := strings.Cut(v, "=")
		config.Config.Env = append(slices.DeleteFunc(config.Config.Env, func(had string) bool {
			return strings.HasPrefix(had, variable+"=")
		}), v)
	}
	if c.WorkingDir != "" {
		config.Config.WorkingDir = c.WorkingDir
	}
	if c.User != "" {
		config.Config.User = c.User
	}
}

// seal makes configuration and manifest, which the candidate is named by.
func (st *staging) seal(src *candidate, config *v1.ConfigFile) (err error) {
	if st.config, err = json.Marshal(config); err != nil {
		return err
	}
	src.manifest.Config = v1.Descriptor{MediaType: types.OCIConfigJSON, Digest: digestOf(st.config), Size: int64(len(st.config))}
	if st.manifest, err = json.Marshal(src.manifest); err != nil {
		return err
	}
	src.digest = digestOf(st.manifest)
	return nil
}

// settle makes the environment of what is staged, then puts the layers among the
// blobs, and records the image last. What was made before of the same parts is
// recorded under the name.
func (s *Store) settle(ctx context.Context, src candidate, st *staging, config *v1.ConfigFile, progress func(environment.Progress)) (*Image, error) {
	all, err := s.checkManifest(src.shown, src.manifest)
	if err != nil {
		return nil, err
	}
	image := s.known(src)
	if image == nil {
		env, err := s.build(ctx, src, config, progress)
		if err != nil {
			return nil, err
		}
		image = s.imageOf(src, config, env)
		image.Download = all
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := st.commit(); err != nil {
		return nil, s.fail(err)
	}
	return image, s.record(image)
}

// Again says how an image is made again.
func (i *Image) Again() string {
	switch {
	case i.Built == nil:
		return "make it again with `tako env pull " + i.Reference + "`"
	case i.Built.Recipe == "":
		return "build it again with `tako env build`"
	}
	return "make it again with `tako env build -t " + i.Reference + " " + i.Built.Recipe + "`"
}

// gone is an image whose environment is not there, or not sound.
func (i *Image) gone() *job.Error {
	return job.Errorf(job.KindNotFound, "the environment of %s is gone or damaged", i.Reference).WithHint("%s", i.Again())
}
