package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sys/unix"

	"github.com/takovm/tako/internal/job"
)

const (
	// oldest is the first version of PostgreSQL that is tested against.
	oldest = 14
	// connections is how many a server uses, beside the one it listens on,
	// unless the URL has pool_max_conns.
	connections = 16
	// connectTimeout bounds connecting, unless the URL has connect_timeout.
	connectTimeout = 10 * time.Second
	// silence is how long a server may leave data unacknowledged, or not
	// answer at all, before its connection counts as broken.
	silence = 15 * time.Second
)

// parse reads the URL of a database. The URL holds a password, and so do the
// errors of those who read it: none of them is passed on.
func parse(raw string) (*pgxpool.Config, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, job.Errorf(job.KindConfig, "the database's URL is not a URL")
	}
	switch u.Scheme {
	case "postgres", "postgresql", "postgresql+psycopg":
	default:
		return nil, job.Errorf(job.KindConfig, "the database's URL does not start with postgresql://")
	}
	_, rest, _ := strings.Cut(raw, ":")
	config, err := pgxpool.ParseConfig("postgresql:" + rest)
	if err != nil {
		return nil, job.Errorf(job.KindConfig, "the database's URL is not understood: %s", masked(u, err))
	}
	if !u.Query().Has("pool_max_conns") {
		config.MaxConns = connections
	}
	config.PingTimeout = silence
	config.AfterConnect = prepareSession
	c := config.ConnConfig
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = connectTimeout
	}
	if c.RuntimeParams["application_name"] == "" {
		c.RuntimeParams["application_name"] = "tako"
	}
	dialer := &net.Dialer{Control: breakSilence, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: silence, Interval: 5 * time.Second, Count: 3}}
	c.DialFunc = dialer.DialContext
	c.ValidateConnect = validate(c.ValidateConnect)
	return config, nil
}

// masked is what is wrong with a URL, without the URL, which pgx quotes in
// backticks, and without its secrets.
func masked(u *url.URL, err error) string {
	text := oneLine(err)
	text = text[strings.LastIndex(text, "`")+1:]
	text = strings.TrimPrefix(text, ": ")
	secrets := []string{u.Query().Get("password"), u.Query().Get("sslpassword")}
	if password, ok := u.User.Password(); ok {
		secrets = append(secrets, password)
	}
	for _, s := range secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s, "***")
		}
	}
	return text
}

// prepareSession sets what must hold on every connection. A commit waits for
// the disk, whatever the server's default is, and for its standbys where that
// is the default. A lock that is not to be had is an error, not a silence; and
// a tako that was stopped within a transaction does not keep its locks. What
// sqlstore has given up is given up by the server a little later, unless the
// database's own setting has it otherwise.
func prepareSession(ctx context.Context, c *pgx.Conn) error {
	_, err := c.Exec(ctx, `SELECT set_config('synchronous_commit', CASE current_setting('synchronous_commit')
 WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, false),
 set_config('statement_timeout', CASE current_setting('statement_timeout') WHEN '0' THEN '20s' ELSE current_setting('statement_timeout') END, false),
 set_config('lock_timeout', '10s', false), set_config('idle_in_transaction_session_timeout', '60s', false)`)
	return err
}

// breakSilence ends TCP connections that nobody acknowledges: a host that lost
// its power sends no end, and Linux would try again for a quarter of an hour.
func breakSilence(network, _ string, c syscall.RawConn) error {
	if !strings.HasPrefix(network, "tcp") {
		return nil
	}
	var failed error
	err := c.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(silence.Milliseconds()))
	})
	return errors.Join(err, failed)
}

// validate refuses servers that tako cannot work on, one that a failover
// brings in included. Beyond that chosen decides, which is what the URL's
// target_session_attrs says, or that the server can be written to.
func validate(chosen pgconn.ValidateConnectFunc) pgconn.ValidateConnectFunc {
	if chosen == nil {
		chosen = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	return func(ctx context.Context, c *pgconn.PgConn) error {
		version := c.ParameterStatus("server_version")
		if n, err := major(version); err != nil || n < oldest {
			return job.Errorf(job.KindConfig, "the server is PostgreSQL %s: tako needs %d or newer", version, oldest)
		}
		if encoding := c.ParameterStatus("server_encoding"); encoding != "UTF8" {
			return job.Errorf(job.KindConfig, "the database's encoding is %s: tako needs UTF8", encoding).
				WithHint("make the database with ENCODING 'UTF8' TEMPLATE template0")
		}
		return chosen(ctx, c)
	}
}

// major is the first number of a version: 15 of "15.18 (Debian 15.18-0)" and
// of "15beta1".
func major(version string) (int, error) {
	end := strings.IndexFunc(version, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(version)
	}
	return strconv.Atoi(version[:end])
}

// place is what errors call the database.
type place struct{ database, host string }

func placeOf(config *pgxpool.Config) place {
	c := config.ConnConfig
	p := place{c.Database, c.Host}
	if p.database == "" {
		p.database = c.User
	}
	if !strings.HasPrefix(c.Host, "/") {
		p.host = net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port)))
	}
	return p
}

func (p place) String() string { return fmt.Sprintf("the database %s at %s", p.database, p.host) }
