package postgres

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"

	"github.com/takovm/tako/internal/job"
)

// reason is an error in one line.
type reason struct{ error }

func (r reason) Error() string { return oneLine(r.error) }
func (r reason) Unwrap() error { return r.error }

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// translate gives errors of the database their kind. What fails because ctx
// ended is the context's error.
func (p place) translate(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if known, ok := errors.AsType[*job.Error](err); ok {
		return known
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, puddle.ErrClosedPool) {
		return job.Errorf(job.KindUnavailable, "%s is closed: %w", p, reason{err})
	}
	if failed, ok := errors.AsType[*pgconn.PgError](err); ok {
		return p.translateAnswer(failed, err)
	}
	if unreachable(err) {
		return p.unavailable(err)
	}
	return job.Errorf(job.KindInternal, "%s: %w", p, reason{err})
}

// translateAnswer is translate for what the server itself says. Codes are in
// PostgreSQL's appendix A; two letters are a class.
func (p place) translateAnswer(failed *pgconn.PgError, err error) error {
	switch failed.Code {
	case "53100": // disk_full
		return p.unavailable(err).WithHint("free space on the disk of the database")
	case "53300": // too_many_connections
		return p.unavailable(err).WithHint("raise max_connections, or lower pool_max_conns in the database's URL")
	case "40001", "40P01", // serialization_failure, deadlock_detected, too often in a row
		"25006",          // read_only_sql_transaction: a failover
		"25P03",          // idle_in_transaction_session_timeout: this process was stopped
		"55P03", "55006": // lock_not_available, object_in_use
		return p.unavailable(err)
	case "42501": // insufficient_privilege
		return job.Errorf(job.KindConfig, "%s: %w", p, reason{err}).WithHint("grant tako's user CREATE on the schema, or make it the database's owner")
	case "XX001", "XX002": // data_corrupted, index_corrupted
		return job.Errorf(job.KindConfig, "%s is damaged: %w", p, reason{err}).WithHint("restore a backup")
	}
	switch class(failed) {
	case "08", "28", "3D", "53", "57", "58": // connections, logins, databases, resources, operators, the system
		return p.unavailable(err)
	}
	if isConnect(err) {
		return p.unavailable(err)
	}
	return job.Errorf(job.KindInternal, "%s: %w", p, reason{err})
}

func (p place) unavailable(err error) *job.Error {
	return job.Errorf(job.KindUnavailable, "%s is not available: %w", p, reason{err})
}

// opening is translate for Open: a connection that the server refuses there is
// the operator's to mend, while later it may pass.
func (p place) opening(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return job.Errorf(job.KindUnavailable, "%s did not answer: %w", p, ctx.Err())
	}
	failed, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || !isConnect(err) {
		return p.translate(ctx, err)
	}
	switch class(failed) {
	case "22", "28", "3D", "42": // odd parameters, logins, no such database, no right to connect
		return job.Errorf(job.KindConfig, "%s cannot be used: %w", p, reason{err}).WithHint("check the database's URL")
	}
	return p.translate(ctx, err)
}

// class is the first two letters of a code.
func class(failed *pgconn.PgError) string { return failed.Code[:min(2, len(failed.Code))] }

func isConnect(err error) bool {
	_, ok := errors.AsType[*pgconn.ConnectError](err)
	return ok
}

// unreachable reports that the connection failed, not the statement.
func unreachable(err error) bool {
	if _, ok := errors.AsType[net.Error](err); ok || isConnect(err) {
		return true
	}
	return pgconn.Timeout(err) || errors.Is(err, pgconn.ErrConnClosed) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, context.DeadlineExceeded)
}

// passes reports an error of a statement that the next try may not have.
func passes(err error) bool {
	failed, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return false
	}
	switch failed.Code {
	case "40001", "40P01": // serialization_failure, deadlock_detected
		return true
	case "0A000": // a table was changed by a newer tako since the statement was prepared
		return failed.Routine == "RevalidateCachedQuery"
	}
	return false
}
