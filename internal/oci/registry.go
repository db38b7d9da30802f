package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/takovm/tako/internal/job"
)

// registry is a repository of images, logged in to.
type registry struct {
	repo   name.Repository
	shown  string // the image's reference, for errors
	client *http.Client
	limits Limits
	pause  func(ctx context.Context, d time.Duration) error
}

// connect greets a registry and gets what it asks for in exchange for the
// credentials.
func (s *Store) connect(ctx context.Context, ref name.Reference, o Options) (*registry, error) {
	repo := ref.Context()
	r := &registry{repo: repo, shown: Familiar(ref), limits: s.limits, pause: s.pause}
	auth, err := o.authenticator(ctx, repo)
	if err != nil {
		return nil, job.Errorf(job.KindConfig, "the credentials for %s: %w", repo.RegistryStr(), err).
			WithHint("mend Docker's config.json, or give a name and a password")
	}
	host := repo.RegistryStr()
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	base := guarded{inner: s.transport, local: loopback(strings.Trim(host, "[]"))}
	rt, err := transport.NewWithContext(ctx, repo.Registry, auth, base, []string{repo.Scope(transport.PullScope)})
	if err != nil {
		return nil, r.explain(ctx, err)
	}
	r.client = &http.Client{Transport: rt}
	return r, nil
}

// authenticator is who we are: what the options say, else what Docker's or
// Podman's configuration has for the registry.
func (o Options) authenticator(ctx context.Context, repo name.Repository) (authn.Authenticator, error) {
	if o.Username != "" {
		return authn.FromConfig(authn.AuthConfig{Username: o.Username, Password: o.Password}), nil
	}
	keychain := o.Keychain
	if keychain == nil {
		keychain = authn.DefaultKeychain
	}
	return authn.Resolve(ctx, keychain, repo)
}

// get asks for a part of the repository.
func (r *registry) get(ctx context.Context, what string, header http.Header) (*http.Response, error) {
	outer := ctx
	ctx, cancel := context.WithCancel(ctx)
	// The transport knows which of http and https it is.
	url := fmt.Sprintf("https://%s/v2/%s/%s", r.repo.RegistryStr(), r.repo.RepositoryStr(), what)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		cancel()
		return nil, err
	}
	req.Header = header
	resp, err := r.client.Do(req)
	if err != nil {
		cancel()
		return nil, r.explain(outer, err)
	}
	resp.Body = newLively(resp.Body, cancel)
	if err := transport.CheckError(resp, http.StatusOK, http.StatusPartialContent); err != nil {
		resp.Body.Close()
		return nil, r.explain(outer, err)
	}
	return resp, nil
}

// manifest fetches a manifest or an index by tag or digest. It answers what it
// turned out to be; the digest is verified where one is asked for.
func (r *registry) manifest(ctx context.Context, identifier string) ([]byte, error) {
	accept := []types.MediaType{types.OCIManifestSchema1, types.OCIImageIndex, types.DockerManifestSchema2, types.DockerManifestList}
	header := http.Header{}
	for _, t := range accept {
		header.Add("Accept", string(t))
	}
	resp, err := r.get(ctx, "manifests/"+identifier, header)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(io.LimitReader(resp.Body, r.limits.Manifest+1))
	if err != nil {
		return nil, interrupted(err)
	}
	if int64(len(content)) > r.limits.Manifest {
		return nil, tooMuch("the manifest of %s has more than %d bytes", r.shown, r.limits.Manifest)
	}
	if want, err := v1.NewHash(identifier); err == nil && digestOf(content) != want {
		return nil, corrupt("the manifest of %s is not %s: it has SHA-256 %s", r.shown, want, digestOf(content).Hex)
	}
	return content, nil
}

// blob is a source of one blob.
func (r *registry) blob(d v1.Hash) source {
	return func(ctx context.Context, offset int64) (io.ReadCloser, int64, error) {
		header := http.Header{}
		if offset > 0 {
			header.Set("Range", fmt.Sprintf("bytes=%d-", offset))
		}
		resp, err := r.get(ctx, "blobs/"+d.String(), header)
		if err != nil {
			return nil, 0, err
		}
		var start int64
		if resp.StatusCode == http.StatusPartialContent {
			if _, err := fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-", &start); err != nil {
				resp.Body.Close()
				return nil, 0, corrupt("the registry answers a part of %s without saying which", d)
			}
		}
		return resp.Body, start, nil
	}
}

// explain makes the one line for what a registry or the network refused.
func (r *registry) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	host := r.repo.RegistryStr()
	if errors.Is(err, errPlain) {
		return job.Errorf(job.KindInvalid, "%s cannot be pulled: %w", r.shown, err).
			WithHint("give the registry a certificate: passwords and images go over TLS, except to this machine itself")
	}
	var answer *transport.Error
	if !errors.As(err, &answer) {
		return transient{job.Errorf(job.KindUnavailable, "the registry %s cannot be reached: %w", host, err).
			WithHint("look at the name and the network; what was pulled before runs without it")}
	}
	said := says(answer)
	switch code := answer.StatusCode; {
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return job.Errorf(job.KindInvalid, "the registry %s does not give out %s: %s", host, r.shown, said).
			WithHint("look at the name; if it needs a login, give --username and --password-stdin, or log in so that Docker's config.json has it")
	case code == http.StatusNotFound:
		return job.Errorf(job.KindNotFound, "there is no image %s: %s", r.shown, said).
			WithHint("look at the name and the tag")
	case code == http.StatusTooManyRequests:
		return transient{job.Errorf(job.KindUnavailable, "the registry %s has had too many requests: %s", host, said).
			WithHint("wait, or log in: many registries give more to those they know")}
	case code == http.StatusRequestedRangeNotSatisfiable:
		return job.Errorf(job.KindUnavailable, "the registry %s has less of %s than the image says", host, r.shown).
			WithHint("it is corrupt there; have it pushed again")
	case code >= 500:
		return transient{job.Errorf(job.KindUnavailable, "the registry %s has a fault: %s", host, said).WithHint("try again later")}
	default:
		return job.Errorf(job.KindUnavailable, "the registry %s answers %d for %s: %s", host, code, r.shown, said).
			WithHint("look at the name")
	}
}

// says is what a registry gives as its reason, shortened: it may be anything.
func says(answer *transport.Error) string {
	text := fmt.Sprintf("%d %s", answer.StatusCode, http.StatusText(answer.StatusCode))
	for _, d := range answer.Errors {
		if d.Message != "" {
			text += ", " + d.Message
			break
		}
	}
	const most = 200
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}
