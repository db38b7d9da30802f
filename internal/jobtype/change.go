package jobtype

import (
	"context"
	"errors"

	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// Put stores a type that was made over the API; with create, store.ErrExists
// for any that is known. A type of the configuration file cannot be changed.
func (r *Registry) Put(ctx context.Context, t config.JobType, create bool) error {
	e, ok, err := r.find(ctx, t.Name)
	switch {
	case err != nil:
		return err
	case ok && create:
		return store.ErrExists
	case ok && e.origin == Configured:
		return fixedType(t.Name, e.origin)
	case r.stored == nil:
		return job.Errorf(job.KindUnavailable, "job types cannot be stored without a database")
	}
	definition, err := config.EncodeJobType(t)
	if err != nil {
		return err
	}
	if _, err := config.DecodeJobType(definition); err != nil {
		return job.Errorf(job.KindInvalid, "job type %s: %w", t.Name, err)
	}
	defer r.forget()
	return r.stored.PutJobType(ctx, store.JobType{Name: t.Name, Definition: definition, ChangedAt: r.now()}, create)
}

// Delete removes a type that was made over the API: one below it that has its
// name is there again. Others cannot be removed.
func (r *Registry) Delete(ctx context.Context, name string) error {
	e, ok, err := r.find(ctx, name)
	switch {
	case err != nil:
		return err
	case !ok:
		return store.ErrNotFound
	case e.origin != Database:
		return fixedType(name, e.origin)
	}
	defer r.forget()
	if err := r.stored.DeleteJobType(ctx, name); err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return nil
}

func fixedType(name string, o Origin) error {
	return job.Errorf(job.KindInvalid, "job type %s is %s; change it there, or take another name", name, o)
}
