package service

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"time"

	"github.com/takovm/tako/internal/api"
	"github.com/takovm/tako/internal/artifact"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// inputs finds the input files of one call. The jobs of a batch often share
// theirs, which are touched once then.
type inputs struct {
	*Service
	caller  job.Principal
	touched map[string]bool // digests
}

func (s *Service) inputs(p job.Principal) *inputs {
	return &inputs{Service: s, caller: p, touched: map[string]bool{}}
}

// file stores an input file, or touches one that is there, and answers how a
// request names it.
func (s *inputs) file(ctx context.Context, f api.FileSource) (job.InputFile, error) {
	switch {
	case f.Artifact != nil:
		return s.fromArtifact(ctx, f)
	case f.Upload != "":
		return s.fromUpload(ctx, f)
	case f.Open != nil:
		content, err := f.Open()
		if err != nil {
			return job.InputFile{}, job.Errorf(job.KindInvalid, "file %s: %w", f.Path, err)
		}
		defer content.Close()
		return s.put(ctx, f.Path, content)
	}
	return s.put(ctx, f.Path, bytes.NewReader(f.Content))
}

func (s *Service) put(ctx context.Context, path string, content io.Reader) (job.InputFile, error) {
	d, size, err := s.Blobs.Put(ctx, content, s.MaxUpload)
	if err != nil {
		return job.InputFile{}, err
	}
	return job.InputFile{Path: path, SizeBytes: size, SHA256: string(d)}, nil
}

// touch keeps a file's content for the job that is to be stored: it may wait for
// long, and what named the content so far may be gone by then.
func (s *inputs) touch(ctx context.Context, f job.InputFile) error {
	if s.touched[f.SHA256] {
		return nil
	}
	err := s.Blobs.Touch(ctx, artifact.Digest(f.SHA256))
	s.touched[f.SHA256] = err == nil
	return err
}

// found answers a file whose content was there when from was recorded.
func (s *inputs) found(ctx context.Context, f job.InputFile, from string) (job.InputFile, error) {
	err := s.touch(ctx, f)
	if errors.Is(err, artifact.ErrNotFound) {
		err = job.Errorf(job.KindInvalid, "file %s: the content of %s is gone", f.Path, from)
	}
	if err != nil {
		return job.InputFile{}, err
	}
	return f, nil
}

func (s *inputs) fromArtifact(ctx context.Context, f api.FileSource) (job.InputFile, error) {
	r, err := s.Jobs.Get(ctx, s.caller, f.Artifact.JobID)
	if err == nil {
		for _, a := range r.Outcome.Artifacts {
			if a.Name == f.Artifact.Name {
				file := job.InputFile{Path: f.Path, SizeBytes: a.SizeBytes, SHA256: a.SHA256}
				return s.found(ctx, file, "artifact "+f.Artifact.JobID+"/"+f.Artifact.Name)
			}
		}
		err = store.ErrNotFound
	}
	if errors.Is(err, store.ErrNotFound) {
		err = job.Errorf(job.KindInvalid, "file %s: there is no artifact %s/%s", f.Path, f.Artifact.JobID, f.Artifact.Name)
	}
	return job.InputFile{}, err
}

func (s *inputs) fromUpload(ctx context.Context, f api.FileSource) (job.InputFile, error) {
	u, err := s.Store.Upload(ctx, f.Upload)
	if err == nil && !s.caller.Sees(u.Owner) {
		err = store.ErrNotFound
	}
	if errors.Is(err, store.ErrNotFound) {
		err = job.Errorf(job.KindInvalid, "file %s: there is no upload %s", f.Path, f.Upload)
	}
	if err != nil {
		return job.InputFile{}, err
	}
	return s.found(ctx, job.InputFile{Path: f.Path, SizeBytes: u.SizeBytes, SHA256: u.SHA256}, "upload "+u.ID)
}

// SaveUpload stores a file ahead of the job that wants it.
func (s *Service) SaveUpload(ctx context.Context, p job.Principal, content io.Reader) (store.Upload, error) {
	d, size, err := s.Blobs.Put(ctx, content, s.MaxUpload)
	if err != nil {
		return store.Upload{}, err
	}
	u := store.Upload{ID: newID(), Owner: p.Owner, SizeBytes: size, SHA256: string(d), CreatedAt: time.Now().UTC()}
	return u, s.Store.AddUpload(ctx, u)
}

// OpenBlob opens content that the caller may see.
func (s *Service) OpenBlob(ctx context.Context, sha256 string) (io.ReadSeekCloser, error) {
	b, err := s.Blobs.Open(ctx, artifact.Digest(sha256))
	if errors.Is(err, artifact.ErrNotFound) {
		return nil, store.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

// page is how many events are read at once.
const page = 256

// Events answers a job's log, and goes on with what happens.
func (s *Service) Events(ctx context.Context, p job.Principal, id string, after int64, follow bool) iter.Seq2[job.Event, error] {
	return func(yield func(job.Event, error) bool) {
		changed, leave := s.Jobs.Listen(id)
		defer leave()
		for start := after; ; {
			ended := false
			if after == start {
				// Nothing came yet. The reader may have the end already, as an
				// EventSource that connects again, and then nothing will.
				r, err := s.Jobs.Get(ctx, p, id)
				if err != nil {
					yield(job.Event{}, err)
					return
				}
				ended = r.Status.Terminal()
			}
			more, err := s.events(ctx, id, &after, yield)
			if err != nil {
				yield(job.Event{}, err)
				return
			}
			if !more || ended || !follow {
				return
			}
			if err := changed(ctx); err != nil {
				return // the reader is gone
			}
		}
	}
}

// events yields what is stored after a sequence number. More is false when the
// reader has had enough, or everything.
func (s *Service) events(ctx context.Context, id string, after *int64, yield func(job.Event, error) bool) (more bool, err error) {
	for {
		events, err := s.Store.Events(ctx, id, *after, page)
		if err != nil {
			return false, err
		}
		for _, e := range events {
			*after = e.Seq
			if !yield(e, nil) || e.Type == job.EventEnd {
				return false, nil
			}
		}
		if len(events) < page {
			return true, nil
		}
	}
}
