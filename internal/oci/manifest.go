package oci

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// What runs here.
const (
	wantOS   = "linux"
	wantArch = "amd64"
)

// document is a manifest or an index: enough to tell which.
type document struct {
	MediaType     types.MediaType `json:"mediaType"`
	SchemaVersion int             `json:"schemaVersion"`
	Manifests     json.RawMessage `json:"manifests"`
	Layers        json.RawMessage `json:"layers"`
}

// parse reads a manifest; for an index it answers the manifest to ask for
// instead.
func parse(shown string, content []byte) (m *v1.Manifest, instead *v1.Descriptor, err error) {
	var d document
	if err := json.Unmarshal(content, &d); err != nil {
		return nil, nil, corrupt("the manifest of %s is not JSON: %w", shown, err)
	}
	switch {
	case d.Manifests != nil && d.Layers != nil:
		return nil, nil, corrupt("the manifest of %s is an index, too", shown)
	case d.Manifests != nil:
		index, err := v1.ParseIndexManifest(bytes.NewReader(content))
		if err != nil {
			return nil, nil, corrupt("the index of %s cannot be read: %w", shown, err)
		}
		instead, err = choose(shown, index.Manifests)
		if err == nil {
			err = checkDigest(instead.Digest)
		}
		if err != nil {
			return nil, nil, err
		}
		return nil, instead, nil
	case d.SchemaVersion == 1:
		return nil, nil, invalid("%s is an image of Docker's first format, which is no longer used", shown).
			WithHint("push it again with a tool of this decade")
	case d.Layers == nil:
		return nil, nil, corrupt("the manifest of %s has no layers", shown)
	}
	m, err = v1.ParseManifest(bytes.NewReader(content))
	if err != nil {
		return nil, nil, corrupt("the manifest of %s cannot be read: %w", shown, err)
	}
	return m, nil, nil
}

// choose takes the image for this architecture out of an index.
func choose(shown string, all []v1.Descriptor) (*v1.Descriptor, error) {
	var there []string
	for _, d := range all {
		p := d.Platform
		if p == nil {
			p = &v1.Platform{OS: "any", Architecture: "any"}
		}
		if p.OS == wantOS && p.Architecture == wantArch && (p.Variant == "" || p.Variant == "v1") {
			return &d, nil
		}
		if name := p.OS + "/" + p.Architecture; p.OS != "unknown" && !slices.Contains(there, name) && len(there) < 10 {
			there = append(there, name)
		}
	}
	if len(all) == 1 && all[0].Platform == nil {
		return &all[0], nil
	}
	return nil, wrongPlatform(shown, strings.Join(there, ", "))
}

func wrongPlatform(shown, there string) error {
	if there == "" {
		there = "nothing"
	}
	return invalid("%s is for %s: this machine runs images for %s/%s", shown, there, wantOS, wantArch).
		WithHint("choose a tag that has %s/%s", wantOS, wantArch)
}

// checkManifest refuses what is no image of ours before any of it is fetched.
func (s *Store) checkManifest(shown string, m *v1.Manifest) (total int64, err error) {
	if !m.Config.MediaType.IsConfig() {
		return 0, invalid("%s is not a container image: its configuration is %q", shown, m.Config.MediaType).
			WithHint("name an image; registries keep other things, too")
	}
	if len(m.Layers) > s.limits.Layers {
		return 0, tooMuch("%s has %d layers: it may have %d", shown, len(m.Layers), s.limits.Layers)
	}
	if m.Config.Size > s.limits.Manifest {
		return 0, tooMuch("the configuration of %s has %d bytes: it may have %d", shown, m.Config.Size, s.limits.Manifest)
	}
	for _, d := range append([]v1.Descriptor{m.Config}, m.Layers...) {
		if err := checkDigest(d.Digest); err != nil {
			return 0, err
		}
		if d.Size < 0 || d.Size > s.limits.Download-total {
			return 0, tooMuch("%s has more than %d bytes to download", shown, s.limits.Download)
		}
		total += d.Size
	}
	for _, d := range m.Layers {
		if !d.MediaType.IsLayer() || !d.MediaType.IsDistributable() {
			return 0, invalid("%s has a layer that cannot be used, of type %q", shown, d.MediaType).
				WithHint("layers are tar archives, plain or compressed, that the registry itself gives out")
		}
	}
	return total, nil
}

// checkConfig reads an image's configuration.
func checkConfig(shown string, m *v1.Manifest, content []byte) (*v1.ConfigFile, error) {
	config, err := v1.ParseConfigFile(bytes.NewReader(content))
	if err != nil {
		return nil, corrupt("the configuration of %s cannot be read: %w", shown, err)
	}
	if config.OS != wantOS || config.Architecture != wantArch {
		return nil, wrongPlatform(shown, config.OS+"/"+config.Architecture)
	}
	if len(config.RootFS.DiffIDs) != len(m.Layers) {
		return nil, corrupt("%s has %d layers and says what is in %d", shown, len(m.Layers), len(config.RootFS.DiffIDs))
	}
	for _, d := range config.RootFS.DiffIDs {
		if err := checkDigest(d); err != nil {
			return nil, err
		}
	}
	return config, nil
}
