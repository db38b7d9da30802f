package oci

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"syscall"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/takovm/tako/internal/environment"
)

// Options are what a pull needs to know beside the reference.
type Options struct {
	// Username and Password are for the registry. Without a name they are looked
	// for in Keychain.
	Username, Password string
	// Keychain has credentials of registries. Default: Docker's config.json, or
	// Podman's auth.json, and the credential helpers that they name.
	Keychain authn.Keychain
	// Progress is told what happens; nil for nobody.
	Progress func(environment.Progress)
}

// Familiar is a reference as people write it, in full.
func Familiar(ref name.Reference) string {
	registry := ref.Context().RegistryStr()
	if registry == name.DefaultRegistry {
		registry = "docker.io"
	}
	separator := ":"
	if _, ok := ref.(name.Digest); ok {
		separator = "@"
	}
	return registry + "/" + ref.Context().RepositoryStr() + separator + ref.Identifier()
}

// parseReference reads what people write: "python:3.12" is
// docker.io/library/python:3.12, and a name without a tag has latest.
func parseReference(text string) (name.Reference, error) {
	ref, err := name.ParseReference(text)
	if err == nil && slices.ContainsFunc(strings.Split(ref.Context().Name(), "/"), func(part string) bool { return strings.Trim(part, ".") == "" }) {
		err = errors.New("a part of it consists of dots") // and would be a path elsewhere
	}
	if err != nil {
		return nil, invalid("%q names no image: %w", text, err).WithHint("write it as name, name:tag, name@sha256:digest or registry/name:tag")
	}
	return ref, nil
}

// CheckReference says what is wrong with the name of an image, if anything is.
func CheckReference(text string) error {
	_, err := parseReference(text)
	return err
}

// SameReference reports whether two names mean one image; false if either is none.
func SameReference(a, b string) bool {
	one, err := parseReference(a)
	other, otherErr := parseReference(b)
	return err == nil && otherErr == nil && Familiar(one) == Familiar(other)
}

// Pull fetches an image by tag or digest, makes its environment and records it
// under the reference. What is in the store already is not fetched again, and a
// download that broke off goes on where it was. Whatever goes wrong, what was
// recorded under the reference before stays as it was.
//
// Errors: job.KindInvalid for a name that is none and for an image that needs a
// login, is for another architecture, is corrupt or goes over a limit;
// job.KindNotFound for one that does not exist; job.KindUnavailable for a network
// or a disk that fails.
func (s *Store) Pull(ctx context.Context, reference string, o Options) (*Image, error) {
	ref, err := parseReference(reference)
	if err != nil {
		return nil, err
	}
	progress := o.progress()
	release, err := s.lock(ctx, syscall.LOCK_SH)
	if err != nil {
		return nil, err
	}
	defer release()
	r, err := s.connect(ctx, ref, o)
	if err != nil {
		return nil, err
	}
	digest, m, err := s.resolve(ctx, r, ref.Identifier())
	if err != nil {
		return nil, err
	}
	return s.complete(ctx, candidate{shown: Familiar(ref), digest: digest, manifest: m, blob: r.blob}, progress)
}

func (o Options) progress() func(environment.Progress) {
	if o.Progress == nil {
		return func(environment.Progress) {}
	}
	return o.Progress
}

// resolve finds the manifest for this machine, and stores it.
func (s *Store) resolve(ctx context.Context, r *registry, identifier string) (d v1.Hash, m *v1.Manifest, err error) {
	const nested = 2 // an index may lead to an index, but not on and on
	for range nested + 1 {
		content, err := r.patiently(ctx, identifier)
		if err != nil {
			return d, nil, err
		}
		m, instead, err := parse(r.shown, content)
		if err != nil {
			return d, nil, err
		}
		if m != nil {
			d, err := s.putBytes(content)
			return d, m, err
		}
		identifier = instead.Digest.String()
	}
	return d, nil, corrupt("the index of %s leads to an index, and that to another", r.shown)
}

// patiently asks for a manifest until it has one or cannot have it.
func (r *registry) patiently(ctx context.Context, identifier string) ([]byte, error) {
	for try := 1; ; try++ {
		content, err := r.manifest(ctx, identifier)
		if err == nil || try >= fruitless || !isTransient(err) || ctx.Err() != nil {
			return content, err
		}
		if err := r.pause(ctx, backoff(try)); err != nil {
			return nil, err
		}
	}
}

// candidate is an image that is on its way into the store.
type candidate struct {
	shown    string
	digest   v1.Hash // of the manifest, which is in the store
	manifest *v1.Manifest
	blob     func(v1.Hash) source
	// Of an image that is made here: layers that are no blobs yet, by digest, and
	// how it was made.
	staged map[v1.Hash]string
	built  *Built
}

// complete fetches what is missing, makes the environment and records the image.
func (s *Store) complete(ctx context.Context, src candidate, progress func(environment.Progress)) (*Image, error) {
	all, err := s.checkManifest(src.shown, src.manifest)
	if err != nil {
		return nil, err
	}
	if image := s.known(src); image != nil {
		return image, s.record(image)
	}
	if err := room(s.dir, s.missing(src.manifest)); err != nil {
		return nil, s.fail(err)
	}
	meter := newMeter(PhaseDownload, all, progress)
	if err := s.fetch(ctx, src.manifest.Config, src.blob(src.manifest.Config.Digest), meter.add); err != nil {
		return nil, err
	}
	content, err := s.readBlob(src.manifest.Config.Digest)
	if err != nil {
		return nil, s.fail(err)
	}
	config, err := checkConfig(src.shown, src.manifest, content)
	if err != nil {
		return nil, err
	}
	for _, layer := range src.manifest.Layers {
		if err := s.fetch(ctx, layer, src.blob(layer.Digest), meter.add); err != nil {
			return nil, err
		}
	}
	env, err := s.build(ctx, src, config, progress)
	if err != nil {
		return nil, err
	}
	image := s.imageOf(src, config, env)
	image.Download = all
	return image, s.record(image)
}

// imageOf is the record of an image.
func (s *Store) imageOf(src candidate, config *v1.ConfigFile, env environment.Environment) *Image {
	return &Image{
		Reference: src.shown, Manifest: src.digest.String(), Pulled: s.now().UTC(), Created: config.Created.Time, Rules: rules,
		Environment: env, Digest: env.Digest, Size: env.Size, Blobs: blobsOf(src), Built: src.built,
	}
}

// missing is how many bytes of an image are not in the store.
func (s *Store) missing(m *v1.Manifest) (n int64) {
	for _, d := range m.Layers {
		if s.has(d.Digest) < 0 {
			n += d.Size
		}
	}
	return n
}

// blobsOf are the digests of all that an image consists of.
func blobsOf(src candidate) []string {
	blobs := []string{src.digest.Hex, src.manifest.Config.Digest.Hex}
	for _, d := range src.manifest.Layers {
		blobs = append(blobs, d.Digest.Hex)
	}
	return blobs
}

func (s *Store) putBytes(content []byte) (v1.Hash, error) {
	d, _, err := s.put(bytes.NewReader(content), s.limits.Manifest)
	return d, s.fail(err)
}
