package api

import (
	"bufio"
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

// uploading is a multipart body with one file, and the headers before it.
func uploading(content string) (headers, body string) {
	body = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n" + content + "\r\n--b--\r\n"
	return fmt.Sprintf("POST /uploads HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: %d\r\n\r\n", len(body)), body
}

// trickle sends pieces with a pause before each, until all are sent or it is
// told to stop.
func trickle(stop chan struct{}, conn net.Conn, text string, piece int, pause time.Duration) {
	for len(text) > 0 {
		select {
		case <-time.After(pause):
		case <-stop:
			return
		}
		n := min(piece, len(text))
		if _, err := io.WriteString(conn, text[:n]); err != nil {
			return
		}
		text = text[n:]
	}
}

// Who sends at a pace may take long; who stalls, or sends a byte now and then, is
// told so.
func TestPaceOfBodies(t *testing.T) {
	headers, body := uploading(strings.Repeat("x", 6<<20))
	js := "POST /execute HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
	for _, tc := range []struct {
		name, headers, body string
		piece               int
		pause, within       time.Duration
		status              int
	}{
		{"an upload that takes ten minutes", headers, body, 100 << 10, 10 * time.Second, 11 * time.Minute, 200},
		{"an upload in drops", headers, body, 1, 50 * time.Second, 2 * time.Minute, 408},
		{"an upload below the least rate", headers, body, 2 << 10, time.Second, 2 * time.Minute, 408},
		{"an upload that stalls", headers, body, 3 << 20, 5 * time.Minute, 2 * time.Minute, 408},
		{"JSON that stalls", js, " ", 1, time.Second, 6 * time.Minute, 408},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t, func(o *Options) { o.MaxUploadBytes = 10 << 20 })
				conn := connected(t, g)
				began, stop := time.Now(), make(chan struct{})
				defer close(stop)
				go func() {
					_, _ = io.WriteString(conn, tc.headers)
					trickle(stop, conn, tc.body, tc.piece, tc.pause)
				}()
				w, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); w.StatusCode != tc.status || took > tc.within {
					t.Errorf("%d after %v", w.StatusCode, took)
				}
			})
		})
	}
}

// Who does not read a long answer is not waited for; who reads at a pace gets all
// of it.
func TestPaceOfAnswers(t *testing.T) {
	const size = 6 << 20
	for _, target := range []string{"/jobs/job/artifacts/a", "/jobs/job/artifacts.zip", "/job-types/default/builds/build-1/log"} {
		for name, pause := range map[string]time.Duration{"read": time.Second, "not read": 10 * time.Minute} {
			t.Run(name+" "+target, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					g := newRig(t)
					content := noise(size)
					r := ended("job")
					r.Outcome.Artifacts = []job.Artifact{{Name: "a", SizeBytes: size, SHA256: g.service.putBlob(content)}}
					g.service.put(r)
					g.service.buildLog = content
					conn := connected(t, g)
					go func() { _, _ = io.WriteString(conn, "GET "+target+" HTTP/1.1\r\nHost: localhost\r\n\r\n") }()
					w, err := http.ReadResponse(bufio.NewReader(conn), nil)
					if err != nil {
						t.Fatal(err)
					}
					n, err := sip(w.Body, pause)
					if whole := err == nil && n >= size; whole != (name == "read") {
						t.Errorf("%d bytes were read, %v", n, err)
					}
				})
			})
		}
	}
}

// sip reads all, 16 KiB at a time, with a pause before each.
func sip(r io.Reader, pause time.Duration) (n int64, err error) {
	for {
		<-time.After(pause)
		m, err := io.CopyN(io.Discard, r, 16<<10)
		n += m
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

// noise is text that does not get shorter in a zip.
func noise(n int) string {
	b, x := make([]byte, n), uint64(1)
	for i := range b {
		x = x*6364136223846793005 + 1442695040888963407
		b[i] = byte(x >> 56)
	}
	return string(b)
}
