package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"

	"modernc.org/sqlite"
)

// mostPrepared is how many statements a connection keeps.
const mostPrepared = 128

// preparing opens connections that keep what they prepared: the parser took a
// quarter of what a submission cost. database/sql keeps statements only for
// who holds a *sql.Stmt, which the queue's library does not.
type preparing struct{ driver.Connector }

func newPreparing(dsn string) (driver.Connector, error) {
	c, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	return preparing{c}, nil
}

func (p preparing) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := p.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	whole, ok := c.(connection)
	if !ok {
		return nil, errors.Join(fmt.Errorf("a connection of SQLite is a %T", c), c.Close())
	}
	return &preparedConn{whole, map[string]statement{}}, nil
}

// connection is all that a connection of the driver can do.
type connection interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// statement is all that a prepared one can do.
type statement interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// preparedConn is a connection with its statements. Like any of database/sql's
// it is used by one goroutine at a time.
type preparedConn struct {
	connection
	idle map[string]statement // by text; one that is in use is not among them
}

// Unwrap is for the driver.
func (c *preparedConn) Unwrap() driver.Conn { return c.connection }

func (c *preparedConn) Close() error {
	var errs []error
	for _, s := range c.idle {
		errs = append(errs, s.Close())
	}
	clear(c.idle)
	return errors.Join(append(errs, c.connection.Close())...)
}

func (c *preparedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if !lasting(query) {
		return c.connection.ExecContext(ctx, query, args)
	}
	s, err := c.take(ctx, query)
	if err != nil {
		return nil, err
	}
	result, err := s.ExecContext(ctx, args)
	return result, errors.Join(err, c.give(query, s, err == nil))
}

func (c *preparedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if !lasting(query) {
		return c.connection.QueryContext(ctx, query, args)
	}
	s, err := c.take(ctx, query)
	if err != nil {
		return nil, err
	}
	rows, err := s.QueryContext(ctx, args)
	if err != nil {
		return nil, errors.Join(err, c.give(query, s, false))
	}
	return &preparedRows{rows, c, query, s}, nil
}

// lasting reports whether a statement is one that comes again: scripts, which
// make tables, do not.
func lasting(query string) bool { return !strings.Contains(query, ";") }

// take gets a statement for one use.
func (c *preparedConn) take(ctx context.Context, query string) (statement, error) {
	if s, ok := c.idle[query]; ok {
		delete(c.idle, query)
		return s, nil
	}
	s, err := c.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	whole, ok := s.(statement)
	if !ok {
		return nil, errors.Join(fmt.Errorf("a statement of SQLite is a %T", s), s.Close())
	}
	return whole, nil
}

// give ends a use. What failed is not used again, nor what was prepared twice
// because it was used within its own use.
func (c *preparedConn) give(query string, s statement, well bool) error {
	if _, twice := c.idle[query]; twice || !well {
		return s.Close()
	}
	var err error
	if len(c.idle) >= mostPrepared {
		for other, old := range c.idle { // any: they all fit, but for what clients vary
			delete(c.idle, other)
			err = old.Close()
			break
		}
	}
	c.idle[query] = s
	return err
}

// preparedRows give their statement back at the end.
type preparedRows struct {
	driver.Rows
	conn  *preparedConn
	query string
	s     statement
}

func (r *preparedRows) Close() error {
	if r.s == nil {
		return nil
	}
	err := r.Rows.Close()
	err = errors.Join(err, r.conn.give(r.query, r.s, err == nil))
	r.s = nil
	return err
}
