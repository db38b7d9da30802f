package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"strings"
)

// What one statement stores is bounded: statements have at most 32,766
// parameters, and each is in memory once more while it is sent.
const (
	mostInStatement = 64      // rows
	mostToSend      = 1 << 20 // bytes of what was asked
)

// weight is about how many bytes a row is.
func (r *row) weight() int {
	n := len(r.Request.Code) + len(r.Request.Input) + 512
	if r.Request.Stdin != nil {
		n += len(*r.Request.Stdin)
	}
	for name, value := range r.Request.Env {
		n += len(name) + len(value)
	}
	for _, words := range [][]string{r.Request.Args, r.Request.Requirements} {
		for _, w := range words {
			n += len(w)
		}
	}
	return n
}

// fitting is how many of rows one statement takes. It is a power of two: of
// every statement there are few variants, which databases prepare once.
func fitting(rows []*row) int {
	n, sum := 0, 0
	for n < len(rows) && n < mostInStatement {
		if sum += rows[n].weight(); sum > mostToSend && n > 0 {
			break
		}
		n++
	}
	return 1 << (bits.Len(uint(n)) - 1)
}

// insertNew stores rows that were not there a moment ago, and sets their seq.
func (t *txn) insertNew(ctx context.Context, rows ...*row) error {
	for len(rows) > 0 {
		n := fitting(rows)
		if err := t.insertSome(ctx, rows[:n]); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

func (t *txn) insertSome(ctx context.Context, rows []*row) error {
	args, byID := make([]any, 0, len(rows)*recordWidth), make(map[string]*row, len(rows))
	for _, r := range rows {
		values, err := r.values()
		if err != nil {
			return err
		}
		args, byID[r.ID] = append(args, values...), r
	}
	query := "INSERT INTO records (" + recordColumns + ") VALUES " + tuples(len(rows), recordWidth) + " ON CONFLICT DO NOTHING RETURNING id, seq"
	err := t.Each(ctx, query, args, func(scan Scan) error {
		var id string
		var seq int64
		if err := scan(&id, &seq); err != nil {
			return err
		}
		byID[id].seq = seq
		delete(byID, id)
		return nil
	})
	if err != nil {
		return err
	}
	for _, r := range rows {
		if _, missing := byID[r.ID]; missing {
			return t.notInserted(ctx, r)
		}
	}
	return t.insertRequests(ctx, rows)
}

// notInserted says why a row was not.
func (t *txn) notInserted(ctx context.Context, r *row) error {
	if r.IdempotencyKey != "" {
		if _, found, err := knownRecord(ctx, t, *r); err != nil || found {
			return errors.Join(errAgain, err)
		}
	}
	return &rowError{r.ID, invalid("there is a job with the id %s already", r.ID)}
}

// insertRequests stores what never changes of records.
func (t *txn) insertRequests(ctx context.Context, rows []*row) error {
	args := make([]any, 0, 3*len(rows))
	for _, r := range rows {
		request := r.Request
		request.Input = nil // kept apart, as it came
		body, err := marshal(request)
		if err != nil {
			return fmt.Errorf("encoding the request of %s: %w", r.ID, err)
		}
		args = append(args, r.seq, body, blob(r.Request.Input))
	}
	if err := t.Do(ctx, "INSERT INTO requests (seq, body, input) VALUES "+tuples(len(rows), 3), args...); err != nil {
		return err
	}
	for _, r := range rows {
		if err := t.insertRelated(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// insertRelated stores a record's labels, and that it needs its files.
func (t *txn) insertRelated(ctx context.Context, r *row) error {
	for name, value := range r.Request.Labels {
		if err := t.Do(ctx, "INSERT INTO record_labels (name, value, created_at, seq) VALUES ($1, $2, $3, $4)", name, value, nanos(r.CreatedAt), r.seq); err != nil {
			return err
		}
	}
	for _, f := range r.Request.Files {
		if err := refer(ctx, t, f.SHA256, refRecord, r.ID); err != nil {
			return err
		}
	}
	return nil
}

// tuples is "($1, $2), ($3, $4), ..." of n rows.
func tuples(n, width int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("(" + marks(1+i*width, width) + ")")
	}
	return b.String()
}
