package postgres

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
	"github.com/takovm/tako/internal/store/internal/sqlstore"
	"github.com/takovm/tako/internal/store/postgres/pgtest"
)

// proxy is between tako and PostgreSQL and cuts connections.
type proxy struct {
	t      *testing.T
	l      net.Listener
	server string
	wg     sync.WaitGroup

	mu      sync.Mutex
	at      string // what the client says when it is cut; empty is never
	arrives bool   // the server hears it, and the answer is lost
	conns   []net.Conn
	muted   int // so many of conns are lost in the network: nothing passes
}

func newProxy(t *testing.T, database string) (*proxy, string) {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, server: u.Host}
	if p.l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		_ = p.l.Close()
		p.mu.Lock()
		for _, c := range p.conns {
			_ = c.Close()
		}
		p.mu.Unlock()
		p.wg.Wait()
	})
	u.Host, u.RawQuery = p.l.Addr().String(), "sslmode=disable"
	return p, u.String()
}

func (p *proxy) accept() {
	for {
		client, err := p.l.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.server)
		if err != nil {
			p.t.Error(err)
			return
		}
		p.mu.Lock()
		p.conns = append(p.conns, client, server)
		p.mu.Unlock()
		last := make(chan struct{})
		p.wg.Go(func() { p.pass(client, server, last) })
		p.wg.Go(func() { p.answer(server, client, last) })
	}
}

// cut arms the proxy: the next connection on which at is said breaks.
func (p *proxy) cut(at string, arrives bool) {
	p.mu.Lock()
	p.at, p.arrives = at, arrives
	p.mu.Unlock()
}

// cuts disarms, if text has what the connection breaks at.
func (p *proxy) cuts(text []byte) (cuts, arrives bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.at == "" || !bytes.Contains(text, []byte(p.at)) {
		return false, false
	}
	p.at = ""
	return true, p.arrives
}

// mute has nothing pass anymore on the connections there are.
func (p *proxy) mute() {
	p.mu.Lock()
	p.muted = len(p.conns)
	p.mu.Unlock()
}

// mutes reports whether what c says is lost.
func (p *proxy) mutes(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Contains(p.conns[:p.muted], c)
}

// pass is what the client says; last is closed before what must have no answer.
func (p *proxy) pass(client, server net.Conn, last chan struct{}) {
	defer func() { _ = client.Close() }()
	buf := make([]byte, 1<<20)
	for {
		n, err := client.Read(buf)
		if err != nil {
			_ = server.Close()
			return
		}
		if p.mutes(client) {
			continue
		}
		cuts, arrives := p.cuts(buf[:n])
		if cuts {
			close(last)
		}
		if cuts && !arrives {
			_ = server.Close()
			return
		}
		if _, err := server.Write(buf[:n]); err != nil || cuts {
			return
		}
	}
}

// answer is what the server says. What it says after last is kept, and ends
// the connection.
func (p *proxy) answer(server, client net.Conn, last chan struct{}) {
	defer func() { _, _ = server.Close(), client.Close() }()
	buf := make([]byte, 1<<20)
	for {
		n, err := server.Read(buf)
		select {
		case <-last:
			return
		default:
		}
		if err != nil {
			return
		}
		if p.mutes(server) {
			continue
		}
		if _, err := client.Write(buf[:n]); err != nil {
			return
		}
	}
}

func TestBrokenConnections(t *testing.T) {
	tests := map[string]struct {
		at      string
		arrives bool
		kind    job.Kind // empty is no error
		stored  bool
	}{
		"before the transaction": {"begin isolation level", false, "", true},
		"within it":              {"INSERT INTO uploads", false, "", true},
		"amidst a statement":     {"INSERT INTO uploads", true, "", true},
		"before the commit":      {"commit\x00", false, job.KindUnavailable, false},
		"after the commit":       {"commit\x00", true, job.KindUnavailable, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p, url := newProxy(t, pgtest.NewDatabase(t))
			commits := 0
			s, _ := openBoth(t, url, Options{Fault: func(point string) error {
				if point == "upload.commit" {
					commits++
				}
				return nil
			}})
			p.cut(tt.at, tt.arrives)
			err := s.AddUpload(t.Context(), store.Upload{ID: "u"})
			if tt.kind == "" && err != nil || tt.kind != "" && job.KindOf(err) != tt.kind {
				t.Errorf("the error is %v", err)
			}
			if commits != 1 {
				t.Errorf("%d commits were tried", commits)
			}
			p.cut("FROM uploads", false) // a read may be asked again
			if _, err := s.Upload(t.Context(), "u"); tt.stored && err != nil || !tt.stored && !errors.Is(err, store.ErrNotFound) {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

// A server that hangs while its connections stand is not available, and is again
// when it answers.
func TestHangingServer(t *testing.T) {
	for name, call := range map[string]func(ctx context.Context, s store.Store) error{
		"read":  func(ctx context.Context, s store.Store) error { return s.Ping(ctx) },
		"write": func(ctx context.Context, s store.Store) error { return s.AddUpload(ctx, store.Upload{ID: "u"}) },
	} {
		t.Run(name, func(t *testing.T) {
			p, url := newProxy(t, pgtest.NewDatabase(t))
			s, _ := openBoth(t, url, Options{Patience: 500 * time.Millisecond})
			if err := s.Ping(t.Context()); err != nil {
				t.Fatal(err)
			}
			p.mute()
			ctx, cancel := context.WithTimeout(t.Context(), 2*silence)
			defer cancel()
			begun := time.Now()
			if err := call(ctx, s); job.KindOf(err) != job.KindUnavailable || time.Since(begun) > silence/2 {
				t.Errorf("%v after %v", err, time.Since(begun))
			}
			if err := call(ctx, s); err != nil { // on another connection
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

// A connection that is lost without a word is found out and made again.
func TestListenerInSilence(t *testing.T) {
	p, url := newProxy(t, pgtest.NewDatabase(t))
	config, err := parse(url)
	if err != nil {
		t.Fatal(err)
	}
	l := newListener(config.ConnConfig, quiet())
	l.every = 100 * time.Millisecond
	conn, err := l.connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	notices := make(chan sqlstore.Notice, 10)
	var wg sync.WaitGroup
	wg.Go(func() { l.run(ctx, conn, func(n sqlstore.Notice) { notices <- n }) })
	defer wg.Wait()
	defer cancel()
	tell := func() {
		other, err := pgx.Connect(t.Context(), url)
		if err == nil {
			_, err = other.Exec(t.Context(), "SELECT pg_notify('tako', '{\"wake\":true}')")
		}
		if err := errors.Join(err, other.Close(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	<-time.After(5 * l.every) // in which the server is asked
	tell()
	if n := <-notices; !n.Wake || n.Missed {
		t.Errorf("after a pause: %+v", n)
	}
	p.mute()
	if n := <-notices; n.Wake || !n.Missed {
		t.Errorf("after the connection was lost: %+v", n)
	}
	tell()
	if n := <-notices; !n.Wake || n.Missed {
		t.Errorf("on the next connection: %+v", n)
	}
}
