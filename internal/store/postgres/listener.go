package postgres

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/takovm/tako/internal/store/internal/sqlstore"
)

// channel is where notices are told.
const channel = "tako"

// listener hears the notices of other servers.
type listener struct {
	config *pgx.ConnConfig
	origin string // in the notices of this server, which it need not hear
	log    *slog.Logger
	// every is how long nothing may come before the server is asked whether it
	// is still there: a connection that only listens notices nothing by itself.
	every time.Duration
}

func newListener(config *pgx.ConnConfig, log *slog.Logger) *listener {
	return &listener{config: config, origin: rand.Text(), log: log, every: silence}
}

// connect returns a connection that listens.
func (l *listener) connect(ctx context.Context) (*pgx.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, l.config.Copy())
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		return nil, errors.Join(err, hangUp(ctx, conn))
	}
	return conn, nil
}

// run calls hear until ctx ends, on conn and, when that breaks, on others.
func (l *listener) run(ctx context.Context, conn *pgx.Conn, hear func(sqlstore.Notice)) {
	for conn != nil {
		err := l.listen(ctx, conn, hear)
		_ = hangUp(ctx, conn) // it is of no more use either way
		if ctx.Err() != nil {
			return
		}
		l.log.Warn("the connection that hears of other servers' changes broke and is made again", "err", reason{err})
		if conn = l.reconnect(ctx); conn != nil {
			l.log.Info("changes of other servers are heard of again")
			hear(sqlstore.Notice{Missed: true})
		}
	}
}

// reconnect is nil when ctx ended.
func (l *listener) reconnect(ctx context.Context) *pgx.Conn {
	for retry := newBackoff(); pause(ctx, retry.next()); {
		conn, err := l.connect(ctx)
		if err == nil {
			return conn
		}
		l.log.Debug("the database is not there yet", "err", reason{err})
	}
	return nil
}

// listen calls hear until conn breaks.
func (l *listener) listen(ctx context.Context, conn *pgx.Conn, hear func(sqlstore.Notice)) error {
	for {
		n, err := l.wait(ctx, conn)
		if err != nil {
			return err
		}
		if n == nil {
			continue
		}
		var m message
		if err := json.Unmarshal([]byte(n.Payload), &m); err != nil {
			m.Missed = true // a newer tako's, of which this one knows no more
		}
		if m.From == l.origin {
			continue
		}
		m.Notice.Missed = m.Missed
		hear(m.Notice)
	}
}

// wait returns a notification, or nothing when none came for a while and the
// server is still there.
func (l *listener) wait(ctx context.Context, conn *pgx.Conn) (*pgconn.Notification, error) {
	limited, cancel := context.WithTimeout(ctx, l.every)
	defer cancel()
	n, err := conn.WaitForNotification(limited)
	if err == nil || ctx.Err() != nil || !pgconn.Timeout(err) || limited.Err() == nil {
		return n, err
	}
	answered, cancel := context.WithTimeout(ctx, l.every)
	defer cancel()
	return nil, conn.Ping(answered)
}
