package sqlstore

import (
	"context"
	"fmt"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// What of a page is in memory at once: one record may be 10 MiB and more, and a
// page has up to a thousand.
const (
	portionRecords = 100
	portionBytes   = 4 << 20
)

// List reads a page of records.
func (s *Store) List(ctx context.Context, f store.Filter) (records []job.Record, more bool, err error) {
	more, err = s.ListEach(ctx, f, func(r *job.Record) error {
		records = append(records, *r)
		return nil
	})
	if err != nil {
		return nil, false, err
	}
	return records, more, nil
}

// ListEach passes on a page of records. The page is chosen in the index before
// anything else is read. While each is at work no connection is held: whoever
// reads slowly keeps nobody waiting.
func (s *Store) ListEach(ctx context.Context, f store.Filter, each func(r *job.Record) error) (more bool, err error) {
	if f.Limit < 1 || f.Offset < 0 {
		return false, invalid("limit is %d and offset %d: they must be at least 1 and 0", f.Limit, f.Offset)
	}
	seqs, err := s.page(ctx, f)
	if err != nil {
		return false, wrap("listing jobs", err)
	}
	if len(seqs) > f.Limit {
		seqs, more = seqs[:f.Limit], true
	}
	for len(seqs) > 0 {
		var portion []job.Record
		if portion, seqs, err = s.portion(ctx, f, seqs); err != nil {
			return false, wrap("listing jobs", err)
		}
		for i := range portion {
			if err := each(&portion[i]); err != nil {
				return false, err
			}
		}
	}
	return more, nil
}

// page is the numbers of a page's records, and one more if there is.
func (s *Store) page(ctx context.Context, f store.Filter) (seqs []int64, err error) {
	from, args := conditions(f)
	order := "created_at DESC, seq DESC"
	switch {
	case f.Ascending && f.BatchID != "":
		order = "batch_index, seq"
	case f.Ascending:
		order = "created_at, seq"
	}
	by := "records"
	if len(f.Labels) > 0 && f.BatchID == "" {
		by = "l" // whose index has this order
	}
	query := fmt.Sprintf("SELECT records.seq FROM %s ORDER BY %s LIMIT %d OFFSET %d", from, prefixed(by, order), f.Limit+1, f.Offset)
	err = s.db.Read(ctx, func(ctx context.Context, q Querier) error {
		return q.Each(ctx, query, args, func(scan Scan) error {
			var seq int64
			err := scan(&seq)
			seqs = append(seqs, seq)
			return err
		})
	})
	return seqs, err
}

// portion reads as many of the records as are held at once, and answers what is
// left to read.
func (s *Store) portion(ctx context.Context, f store.Filter, seqs []int64) (records []job.Record, rest []int64, err error) {
	n := min(len(seqs), portionRecords)
	err = s.db.Read(ctx, func(ctx context.Context, q Querier) (err error) {
		// Looked at now and not with the page: records end and grow meanwhile.
		if n, err = fits(ctx, q, f, seqs[:n]); err != nil {
			return err
		}
		records, err = load(ctx, q, f, seqs[:n])
		return err
	})
	return records, seqs[n:], err
}

// fits counts how many of the records are read at once: at least one.
func fits(ctx context.Context, q Querier, f store.Filter, seqs []int64) (int, error) {
	if f.NoRequest && f.NoOutcome {
		return len(seqs), nil
	}
	columns, tables := parts(f, "coalesce(octet_length(q.body), 0) + coalesce(octet_length(q.input), 0)",
		"coalesce(octet_length(o.body), 0) + coalesce(octet_length(o.output), 0)", "0")
	sizes := make(map[int64]int64, len(seqs))
	err := q.Each(ctx, "SELECT r.seq, "+columns[0]+", "+columns[1]+tables+among(seqs), list(seqs), func(scan Scan) error {
		var seq, request, outcome int64
		err := scan(&seq, &request, &outcome)
		sizes[seq] = request + outcome
		return err
	})
	if err != nil {
		return 0, err
	}
	total := int64(0)
	for n, seq := range seqs {
		if total += sizes[seq]; total > portionBytes {
			return max(n, 1), nil
		}
	}
	return len(seqs), nil
}

// load reads records in the order of seqs. Those that are gone are left out.
func load(ctx context.Context, q Querier, f store.Filter, seqs []int64) ([]job.Record, error) {
	columns, tables := parts(f, "q.body, q.input", "o.body, o.output", "NULL, NULL")
	query := "SELECT " + qualifiedColumns + ", " + columns[0] + ", " + columns[1] + tables + among(seqs)
	found := make(map[int64]job.Record, len(seqs))
	err := q.Each(ctx, query, list(seqs), func(scan Scan) error {
		var r row
		err := r.scanFull(scan)
		found[r.seq] = r.Record
		return err
	})
	if err != nil {
		return nil, err
	}
	records := make([]job.Record, 0, len(seqs))
	for _, seq := range seqs {
		if r, ok := found[seq]; ok {
			records = append(records, r)
		}
	}
	return records, nil
}

// parts is what to select of requests and outcomes, none in place of those that
// the filter leaves out, and the tables to have it from.
func parts(f store.Filter, request, outcome, none string) (columns [2]string, tables string) {
	columns, tables = [2]string{none, none}, " FROM records r"
	if !f.NoRequest {
		columns[0], tables = request, tables+" JOIN requests q ON q.seq = r.seq"
	}
	if !f.NoOutcome {
		columns[1], tables = outcome, tables+" LEFT JOIN outcomes o ON o.seq = r.seq"
	}
	return columns, tables
}

// among is the end of a query for records. It has no order: databases would
// sort whole records for it.
func among(seqs []int64) string { return " WHERE r.seq IN (" + marks(1, len(seqs)) + ")" }
