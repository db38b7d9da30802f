package jobtype

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/takovm/tako/internal/store"
)

// Environments are what the versions of all types were built in: the name of one
// version for each digest. Versions of a type that is gone are none.
func (r *Registry) Environments(ctx context.Context) (map[string]string, error) {
	found := map[string]string{}
	types, err := r.List(ctx)
	if err != nil || r.stored == nil {
		return found, err
	}
	for _, t := range types {
		versions, err := r.stored.Versions(ctx, t.Name)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		for _, v := range versions { // the newest first
			var b built
			if err := json.Unmarshal(v.Definition, &b); err != nil {
				return nil, fmt.Errorf("reading version %d of job type %s: %w", v.Number, t.Name, err)
			}
			if _, ok := found[b.Environment.Digest]; !ok {
				found[b.Environment.Digest] = fmt.Sprintf("%s@v%d", t.Name, v.Number)
			}
		}
	}
	return found, nil
}
