package api

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/takovm/tako/internal/job"
)

// oneConn is a listener of one connection in memory.
type oneConn struct {
	conn   net.Conn
	closed chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	if conn := l.conn; conn != nil {
		l.conn = nil
		return conn, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}
func (l *oneConn) Close() error   { close(l.closed); return nil }
func (l *oneConn) Addr() net.Addr { return &net.UnixAddr{} }

// connected serves a rig on a connection as the server does: without a bound for
// the time that an answer takes.
func connected(t *testing.T, g *rig) net.Conn {
	client, server := net.Pipe()
	s := &http.Server{Handler: g, ReadTimeout: 5 * time.Minute, IdleTimeout: 10 * time.Minute}
	done := make(chan error, 1)
	go func() { done <- s.Serve(&oneConn{server, make(chan struct{})}) }()
	t.Cleanup(func() { _, _, _ = client.Close(), s.Close(), <-done })
	return client
}

// The time that a client has for one answer does not end the next one on the
// same connection, however much later it is asked for.
func TestDeadlinesAreOfOneAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, func(o *Options) {
			o.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "a 1\n") })
		})
		g.service.put(ended("job"))
		g.service.logs["job"] = story()
		conn := connected(t, g)
		in := bufio.NewReader(conn)
		for _, tc := range []struct{ request, status string }{
			{"GET /pool/stats HTTP/1.1\r\n", "200"},
			{"GET /metrics HTTP/1.1\r\n", "200"},
			{"GET / HTTP/1.1\r\n", "307"},
			{"GET /executions/ HTTP/1.1\r\n", "307"},
			{"GET /jobs/job/events HTTP/1.1\r\n", "200"},
			{"POST /execute HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 12\r\nExpect: 100-continue\r\n", "200"},
			{"GET /nothing HTTP/1.1\r\n", "404"},
		} {
			if _, err := io.WriteString(conn, tc.request+"Host: localhost\r\n\r\n"); err != nil {
				t.Fatalf("%s: %v", tc.request, err)
			}
			if strings.Contains(tc.request, "100-continue") {
				goAhead(t, in, conn)
			}
			w, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatalf("%s: %v", tc.request, err)
			}
			if _, err := io.Copy(io.Discard, w.Body); err != nil || fmt.Sprint(w.StatusCode) != tc.status {
				t.Errorf("%s: %d, %v", tc.request, w.StatusCode, err)
			}
			<-time.After(2 * writeFor)
		}
	})
}

// goAhead waits to be asked for the body, and sends it.
func goAhead(t *testing.T, in *bufio.Reader, conn net.Conn) {
	t.Helper()
	for _, want := range []string{"HTTP/1.1 100 Continue\r\n", "\r\n"} {
		if line, err := in.ReadString('\n'); err != nil || line != want {
			t.Fatalf("%q, %v", line, err)
		}
	}
	if _, err := io.WriteString(conn, simple); err != nil {
		t.Fatal(err)
	}
}

// A client that does not read is not waited for.
func TestClientThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		g.service.put(ended("job"))
		g.service.live = func(ctx context.Context, yield func(job.Event, error) bool) {
			for n := int64(1); yield(event(n, job.EventStdout, map[string]string{"text": strings.Repeat("x", 10_000)}), nil); n++ {
			}
		}
		served := make(chan struct{})
		conn := connected(t, g)
		go func() {
			defer close(served)
			_, _ = io.WriteString(conn, "GET /jobs/job/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
			in := bufio.NewReader(conn)
			_, _ = in.ReadString('\n') // and no more
			<-time.After(10 * writeFor)
			n, _ := io.Copy(io.Discard, in)
			if n > 1<<20 {
				t.Errorf("%d bytes were waiting", n)
			}
		}()
		<-served
	})
}
