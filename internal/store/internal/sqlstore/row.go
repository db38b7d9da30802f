package sqlstore

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// row is a record as the table records has it: all but request and outcome.
type row struct {
	job.Record
	seq        int64
	entry      int64 // 0 without one
	node, life string
	lease      int64
	eventSeq   int64
	eventBytes int64 // of the log; -1 once it is full
	said       int64 // the largest Said of the claim's events
	webhook    string
	readyAt    time.Time // since when it may run: its place among those of its priority
}

// recordColumns are in the order of row.scan and row.values.
const recordColumns = `id, sync, owner, batch_id, batch_index, parent_id, relationship, correlation_id, client_ip,
 idempotency_key, fingerprint, code_hash, input_hash, status, job_type, job_ref, created_at, queued_at, started_at,
 ended_at, attempt, max_attempts, interruptions, attempts, cancel_requested, entry, node, life, lease, event_seq, event_bytes, said, webhook_url, ready_at`

// rowColumns is what row.scan reads.
const rowColumns = "seq, " + recordColumns

// scan reads rowColumns, and dest more.
func (r *row) scan(scan Scan, dest ...any) error {
	var attempts []byte
	columns := []any{&r.seq,
		&r.ID, truth{&r.Sync}, &r.Owner, &r.BatchID, &r.BatchIndex, &r.ParentID, &r.Relationship, &r.CorrelationID, &r.ClientIP,
		&r.IdempotencyKey, &r.Fingerprint, &r.CodeHash, &r.InputHash, &r.Status, &r.JobType, &r.JobRef,
		instant{&r.CreatedAt}, instant{&r.QueuedAt}, instant{&r.StartedAt}, instant{&r.EndedAt},
		&r.Attempt, &r.MaxAttempts, &r.Interruptions, &attempts, truth{&r.CancelRequested},
		&r.entry, &r.node, &r.life, &r.lease, &r.eventSeq, &r.eventBytes, &r.said, &r.webhook, instant{&r.readyAt}}
	if err := scan(append(columns, dest...)...); err != nil {
		return fmt.Errorf("reading a record: %w", err)
	}
	if len(attempts) == 0 {
		return nil
	}
	if err := json.Unmarshal(attempts, &r.Attempts); err != nil {
		return fmt.Errorf("reading the attempts of %s: %w", r.ID, err)
	}
	return nil
}

// lockRow reads a row by id and keeps it, with its entry, from
// everybody else: entry first.
func (t *txn) lockRow(ctx context.Context, id string) (r row, err error) {
	if lock := t.Locking(); lock != "" {
		var entry int64
		query := "SELECT id FROM river_job WHERE id = (SELECT entry FROM records WHERE id = $1)" + lock
		if _, err := one(ctx, t, query, []any{id}, &entry); err != nil {
			return row{}, err
		}
	}
	return t.lockRecord(ctx, id)
}

// lockRecord is lockRow for a record that has no entry.
func (t *txn) lockRecord(ctx context.Context, id string) (r row, err error) {
	found := false
	err = t.Each(ctx, "SELECT "+rowColumns+" FROM records WHERE id = $1"+t.Locking(), []any{id}, func(scan Scan) error {
		found = true
		return r.scan(scan)
	})
	if err == nil && !found {
		err = store.ErrNotFound
	}
	return r, err
}

// recordWidth is how many recordColumns there are.
const recordWidth = 34

// values are those of recordColumns.
func (r *row) values() ([]any, error) {
	attempts, err := attemptsText(r.Attempts)
	if err != nil {
		return nil, err
	}
	if r.readyAt = r.Request.RunAt; r.readyAt.Before(r.QueuedAt) {
		r.readyAt = r.QueuedAt
	}
	return []any{r.ID, bit(r.Sync), r.Owner, r.BatchID, r.BatchIndex, r.ParentID, string(r.Relationship), r.CorrelationID, r.ClientIP,
		r.IdempotencyKey, r.Fingerprint, r.CodeHash, r.InputHash, string(r.Status), r.JobType, r.JobRef,
		nanos(r.CreatedAt), nanos(r.QueuedAt), nanos(r.StartedAt), nanos(r.EndedAt),
		r.Attempt, r.MaxAttempts, r.Interruptions, attempts, bit(r.CancelRequested),
		r.entry, r.node, r.life, r.lease, r.eventSeq, r.eventBytes, r.said, r.webhook, nanos(r.readyAt)}, nil
}

// qualifiedColumns is rowColumns of records r.
const qualifiedColumns = `r.seq, r.id, r.sync, r.owner, r.batch_id, r.batch_index, r.parent_id, r.relationship, r.correlation_id, r.client_ip,
 r.idempotency_key, r.fingerprint, r.code_hash, r.input_hash, r.status, r.job_type, r.job_ref, r.created_at, r.queued_at, r.started_at,
 r.ended_at, r.attempt, r.max_attempts, r.interruptions, r.attempts, r.cancel_requested, r.entry, r.node, r.life, r.lease, r.event_seq,
 r.event_bytes, r.said, r.webhook_url, r.ready_at`

// fullQuery reads records with request and outcome; what selects them follows.
const fullQuery = "SELECT " + qualifiedColumns + `, q.body, q.input, o.body, o.output
 FROM records r JOIN requests q ON q.seq = r.seq LEFT JOIN outcomes o ON o.seq = r.seq `

// scanFull reads a row of fullQuery.
func (r *row) scanFull(scan Scan) error {
	var body, input, outcome, output []byte
	if err := r.scan(scan, &body, &input, &outcome, &output); err != nil {
		return err
	}
	if len(body) > 0 { // else it was not asked for
		if err := r.decodeRequest(body, input); err != nil {
			return err
		}
	}
	if len(outcome) == 0 {
		return nil
	}
	if err := json.Unmarshal(outcome, &r.Outcome); err != nil {
		return fmt.Errorf("reading the outcome of %s: %w", r.ID, err)
	}
	r.Outcome.Output = raw(output)
	return nil
}

func (r *row) decodeRequest(body, input []byte) error {
	if err := json.Unmarshal(body, &r.Request); err != nil {
		return fmt.Errorf("reading the request of %s: %w", r.ID, err)
	}
	r.Request.Input = raw(input)
	return nil
}

// insertOutcome stores what the last attempt produced.
func insertOutcome(ctx context.Context, tx Tx, r row, out job.Outcome) error {
	body := out
	body.Output = nil // kept apart, as it came
	text, err := marshal(body)
	if err != nil {
		return fmt.Errorf("encoding the outcome of %s: %w", r.ID, err)
	}
	if err := tx.Do(ctx, "INSERT INTO outcomes (seq, body, output) VALUES ($1, $2, $3)", r.seq, text, blob(out.Output)); err != nil {
		return err
	}
	for _, a := range out.Artifacts {
		if err := refer(ctx, tx, a.SHA256, refRecord, r.ID); err != nil {
			return err
		}
	}
	return nil
}

func attemptsText(attempts []job.AttemptRecord) (string, error) {
	if len(attempts) == 0 {
		return "", nil
	}
	text, err := marshal(attempts)
	if err != nil {
		return "", fmt.Errorf("encoding attempts: %w", err)
	}
	return text, nil
}

// marshal is json.Marshal that leaves <, > and & as they are.
func marshal(v any) (string, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "", err
	}
	return strings.TrimSuffix(buf.String(), "\n"), nil
}

// blob is raw for a statement; nil is NULL.
func blob(m json.RawMessage) any {
	if m == nil {
		return nil
	}
	return []byte(m)
}

// raw keeps a nil column nil.
func raw(b []byte) json.RawMessage {
	if b == nil {
		return nil
	}
	return bytes.Clone(b)
}

// marks is "$from, $from+1, ..." of n arguments.
func marks(from, n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("$" + strconv.Itoa(from+i))
	}
	return b.String()
}

// list turns values into arguments.
func list[T any](values []T) []any {
	args := make([]any, len(values))
	for i, v := range values {
		args[i] = v
	}
	return args
}
