package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// Get reads a record.
func (s *Store) Get(ctx context.Context, id string) (job.Record, error) {
	var r row
	found := false
	err := s.db.Read(ctx, func(ctx context.Context, q Querier) error {
		return q.Each(ctx, fullQuery+"WHERE r.id = $1", []any{id}, func(scan Scan) error {
			found = true
			return r.scanFull(scan)
		})
	})
	if err != nil {
		return job.Record{}, wrap("reading a job", err)
	}
	if !found {
		return job.Record{}, store.ErrNotFound
	}
	return r.Record, nil
}

// Status reads where a record stands.
func (s *Store) Status(ctx context.Context, id string) (status job.Status, err error) {
	found := false
	err = s.db.Read(ctx, func(ctx context.Context, q Querier) error {
		found, err = one(ctx, q, "SELECT status FROM records WHERE id = $1", []any{id}, &status)
		return err
	})
	if err == nil && !found {
		err = store.ErrNotFound
	}
	return status, wrap("reading a job", err)
}

// prefixed is an order by the columns of a table.
func prefixed(table, order string) string {
	columns := strings.Split(order, ", ")
	for i, c := range columns {
		columns[i] = table + "." + c
	}
	return strings.Join(columns, ", ")
}

// conditions is the FROM and WHERE of a filter. With labels, the index of the
// first leads: its entries are in the order of records, so that a page is found
// without looking at all that carry the label.
func conditions(f store.Filter) (string, []any) {
	var terms []string
	var args []any
	add := func(term string, values ...any) {
		for _, v := range values {
			args = append(args, v)
			term = strings.Replace(term, "?", fmt.Sprintf("$%d", len(args)), 1)
		}
		terms = append(terms, term)
	}
	from := "records"
	for i, name := range slices.Sorted(maps.Keys(f.Labels)) {
		if i == 0 {
			from = "record_labels AS l CROSS JOIN records"
			add("l.name = ? AND l.value = ? AND records.seq = l.seq", name, f.Labels[name])
			continue
		}
		add("EXISTS (SELECT 1 FROM record_labels AS x WHERE x.name = ? AND x.value = ? AND x.created_at = l.created_at AND x.seq = l.seq)", name, f.Labels[name])
	}
	if f.Owner != nil {
		add("records.owner = ?", *f.Owner)
		if *f.Owner != "" { // the indexes hold no others
			add("records.owner <> ''")
		}
	}
	for _, c := range []struct{ column, value string }{{"status", f.Status}, {"job_type", f.JobType}} {
		if c.value != "" {
			add("records."+c.column+" = ?", c.value)
		}
	}
	// The indexes of these two hold what is in a batch or has a parent.
	for _, c := range []struct{ column, value string }{{"batch_id", f.BatchID}, {"parent_id", f.ParentID}} {
		if c.value != "" {
			add("records."+c.column+" = ? AND records."+c.column+" <> ''", c.value)
		}
	}
	if len(terms) == 0 {
		return from, nil
	}
	return from + " WHERE " + strings.Join(terms, " AND "), args
}

// Begin stores a sync record as running.
func (s *Store) Begin(ctx context.Context, r job.Record, node store.Node) (store.Claim, *job.Record, error) {
	if err := checkNew(&r); err != nil {
		return store.Claim{}, nil, err
	}
	now := s.instant()
	r.Sync, r.Status, r.StartedAt, r.QueuedAt = true, job.Running, now, time.Time{}
	if r.CreatedAt.IsZero() {
		r.CreatedAt = now
	}
	r.CreatedAt = stamp(r.CreatedAt)
	fresh := row{Record: r, node: node.Name, life: s.life, lease: nanos(s.shared(now.Add(node.Lease))), webhook: r.Request.WebhookURL}
	for {
		claim, existing, err := s.begin(ctx, fresh)
		if errors.Is(err, errAgain) {
			continue
		}
		return claim, existing, wrap("storing a job", err)
	}
}

func (s *Store) begin(ctx context.Context, fresh row) (claim store.Claim, existing *job.Record, err error) {
	defer s.claims.begin()()
	err = s.write(ctx, "begin", func(ctx context.Context, t *txn) error {
		existing = nil
		if fresh.IdempotencyKey != "" {
			known, found, err := knownRecord(ctx, t, fresh)
			if err != nil {
				return err
			}
			if found {
				existing = &known
				return nil
			}
		}
		r := fresh
		r.eventSeq = 1
		if err := t.insertNew(ctx, &r); err != nil {
			return err
		}
		r.eventSeq = 0 // which logStatus counts for itself
		if err := t.point("record"); err != nil {
			return err
		}
		t.changed(r.ID)
		return t.logStatus(ctx, &r)
	})
	if err != nil || existing != nil {
		return store.Claim{}, existing, err
	}
	return s.claims.add(fresh.Record, fresh.node).claim(), nil, nil
}
