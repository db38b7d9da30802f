package sqlstore

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// PutJobType stores a job type.
func (s *Store) PutJobType(ctx context.Context, t store.JobType, create bool) error {
	query := "INSERT INTO job_types (name, definition, changed_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO "
	if create {
		query += "NOTHING"
	} else {
		query += "UPDATE SET definition = excluded.definition, changed_at = excluded.changed_at"
	}
	err := s.write(ctx, "type", func(ctx context.Context, tx *txn) error {
		n, err := tx.Exec(ctx, query, t.Name, string(t.Definition), nanos(t.ChangedAt))
		if err == nil && n == 0 {
			err = store.ErrExists
		}
		return err
	})
	return wrap("storing a job type", err)
}

// DeleteJobType removes a job type; its versions stay.
func (s *Store) DeleteJobType(ctx context.Context, name string) error {
	return s.change(ctx, "type", "removing a job type", "DELETE FROM job_types WHERE name = $1", name)
}

// ListJobTypes lists all by name.
func (s *Store) ListJobTypes(ctx context.Context) (types []store.JobType, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, q Querier) error {
		types = nil
		return q.Each(ctx, "SELECT name, definition, changed_at FROM job_types ORDER BY name", nil, func(scan Scan) error {
			var t store.JobType
			var definition string
			err := scan(&t.Name, &definition, instant{&t.ChangedAt})
			t.Definition = json.RawMessage(definition)
			types = append(types, t)
			return err
		})
	})
	return types, wrap("listing job types", err)
}

const versionColumns = "name, digest, number, tag, definition, built_at, built_by, log"

func scanVersion(scan Scan) (v store.Version, err error) {
	var definition string
	err = scan(&v.Name, &v.Digest, &v.Number, &v.Tag, &definition, instant{&v.BuiltAt}, &v.BuiltBy, &v.Log)
	v.Definition = json.RawMessage(definition)
	return v, err
}

// AddVersion stores a build of a job type.
func (s *Store) AddVersion(ctx context.Context, v store.Version) (store.Version, error) {
	err := s.write(ctx, "version", func(ctx context.Context, t *txn) error {
		if v.Tag != "" {
			if _, err := t.Exec(ctx, "UPDATE type_versions SET tag = '' WHERE name = $1 AND tag = $2 AND digest <> $3", v.Name, v.Tag, v.Digest); err != nil {
				return err
			}
		}
		const tries = 20 // each is another server's that came first
		for range tries {
			n, err := putVersion(ctx, t, v)
			if err != nil || n > 0 {
				return err
			}
		}
		return job.Errorf(job.KindUnavailable, "job type %s is being built too often at once", v.Name).WithHint("try again")
	})
	if err != nil {
		return store.Version{}, wrap("storing a version of a job type", err)
	}
	return s.Version(ctx, v.Name, v.Digest)
}

// putVersion changes the version of that digest, or adds one under the next
// number; 0 where another server has taken digest or number meanwhile.
func putVersion(ctx context.Context, t *txn, v store.Version) (int64, error) {
	n, err := t.Exec(ctx, "UPDATE type_versions SET tag = CASE WHEN $3 = '' THEN tag ELSE $3 END, built_at = $4, built_by = $5, log = $6, definition = $7 WHERE name = $1 AND digest = $2",
		v.Name, v.Digest, v.Tag, nanos(v.BuiltAt), v.BuiltBy, v.Log, string(v.Definition))
	if err != nil || n > 0 {
		return n, err
	}
	next, err := int64(0), error(nil)
	if _, err = one(ctx, t, "SELECT coalesce(max(number), 0) + 1 FROM type_versions WHERE name = $1", []any{v.Name}, &next); err != nil {
		return 0, err
	}
	return t.Exec(ctx, "INSERT INTO type_versions ("+versionColumns+") VALUES ("+marks(1, 8)+") ON CONFLICT DO NOTHING",
		v.Name, v.Digest, next, v.Tag, string(v.Definition), nanos(v.BuiltAt), v.BuiltBy, v.Log)
}

// Versions lists the builds of a job type, newest first.
func (s *Store) Versions(ctx context.Context, name string) (list []store.Version, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, q Querier) error {
		list = nil
		return q.Each(ctx, "SELECT "+withoutLog()+" FROM type_versions WHERE name = $1 ORDER BY number DESC", []any{name}, func(scan Scan) error {
			v, err := scanVersion(scan)
			list = append(list, v)
			return err
		})
	})
	return list, wrap("listing versions of a job type", err)
}

// withoutLog are the columns of a version; its log is large, and rarely asked for.
func withoutLog() string { return strings.Replace(versionColumns, "log", "''", 1) }

// VersionLog answers what a build said.
func (s *Store) VersionLog(ctx context.Context, name, digest string) (log string, err error) {
	found := false
	err = s.db.Read(ctx, func(ctx context.Context, q Querier) (err error) {
		found, err = one(ctx, q, "SELECT log FROM type_versions WHERE name = $1 AND digest = $2", []any{name, digest}, &log)
		return err
	})
	if err == nil && !found {
		return "", store.ErrNotFound
	}
	return log, wrap("reading the log of a build", err)
}

// minPrefix is how much of a digest names it: less would be somebody's tag.
const minPrefix = 12

// Version finds one build of a job type.
func (s *Store) Version(ctx context.Context, name, ref string) (store.Version, error) {
	number := int64(-1)
	if text, ok := strings.CutPrefix(ref, "v"); ok {
		if n, err := strconv.ParseInt(text, 10, 32); err == nil && strconv.FormatInt(n, 10) == text {
			number = n
		}
	}
	var byDigest, byTag, byNumber []store.Version
	err := s.db.Read(ctx, func(ctx context.Context, q Querier) error {
		byDigest, byTag, byNumber = nil, nil, nil
		query := "SELECT " + withoutLog() + " FROM type_versions WHERE name = $1 AND (substr(digest, 1, length($2)) = $2 OR tag = $2 OR number = $3)"
		return q.Each(ctx, query, []any{name, ref, number}, func(scan Scan) error {
			v, err := scanVersion(scan)
			switch {
			case len(ref) >= minPrefix && strings.HasPrefix(v.Digest, ref):
				byDigest = append(byDigest, v)
			case ref != "" && v.Tag == ref:
				byTag = append(byTag, v)
			case int64(v.Number) == number:
				byNumber = append(byNumber, v)
			}
			return err
		})
	})
	if err != nil {
		return store.Version{}, wrap("reading a version of a job type", err)
	}
	for _, found := range [][]store.Version{byDigest, byTag, byNumber} {
		switch {
		case len(found) > 1:
			return store.Version{}, invalid("job type %s has several versions whose digest begins with %s", name, ref)
		case len(found) == 1:
			return found[0], nil
		}
	}
	return store.Version{}, store.ErrNotFound
}
