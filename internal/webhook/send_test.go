package webhook

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/takovm/tako/internal/netguard"
	"github.com/takovm/tako/internal/store"
	"github.com/takovm/tako/internal/webhook/signature"
)

// loopback is a guard that lets tests call servers of their own.
func loopback(t *testing.T) *netguard.Guard {
	t.Helper()
	g, err := netguard.New(netguard.Options{
		Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
		Ports: netguard.AnyPort(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// try sends one message to url over the real transport.
func try(t *testing.T, url string, m Message, change func(*Options)) (int, error) {
	t.Helper()
	o := Options{Deliveries: newShelf(), Build: message, Guard: loopback(t), AllowHTTP: true}
	if change != nil {
		change(&o)
	}
	return New(o).send(t.Context(), store.Delivery{ID: "d1", URL: url}, m)
}

func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

func TestRequest(t *testing.T) {
	body := []byte(`{"execution_id": "x"}`)
	var got *http.Request
	var read []byte
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		read, _ = io.ReadAll(r.Body)
		w.WriteHeader(http.StatusCreated)
	})
	status, err := try(t, base+"/hook?a=b", Message{Event: "job.finished", Body: body, Secret: "secret"}, nil)
	if err != nil || status != 201 {
		t.Fatalf("%d, %v", status, err)
	}
	if got.Method != "POST" || got.URL.String() != "/hook?a=b" || !bytes.Equal(read, body) || got.ContentLength != int64(len(body)) {
		t.Errorf("%s %s: %q", got.Method, got.URL, read)
	}
	for name, want := range map[string]string{
		"Tako-Event": "job.finished", "Tako-Delivery": "d1", "Content-Type": "application/json", "User-Agent": "Tako-Webhook", "Accept-Encoding": "",
	} {
		if got.Header.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, got.Header.Get(name), want)
		}
	}
	if err := signature.Verify("secret", got.Header.Get("Tako-Signature"), read, 0, time.Now()); err != nil {
		t.Error(err)
	}
	if _, err := try(t, base, Message{Body: body}, nil); err != nil || got.Header.Values("Tako-Signature") != nil {
		t.Errorf("without a secret it is signed %q, %v", got.Header.Values("Tako-Signature"), err)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	asked := 0
	var base string
	base = serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked++
		http.Redirect(w, r, base+"/elsewhere", http.StatusTemporaryRedirect)
	})
	if status, err := try(t, base, Message{}, nil); status != 307 || err == nil || asked != 1 {
		t.Errorf("%d, %v, %d requests", status, err, asked)
	}
}

// An answer without end is read in part, and counts by its status.
func TestAnswerIsBounded(t *testing.T) {
	closed := make(chan struct{})
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		defer close(closed)
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 4096)); err != nil {
				return
			}
		}
	})
	if status, err := try(t, base, Message{}, nil); status != 200 || err != nil {
		t.Errorf("%d, %v", status, err)
	}
	<-closed // or the server would go on
}

func TestHeaderIsBounded(t *testing.T) {
	base := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X", strings.Repeat("x", 2*maxAnswer))
	})
	if status, err := try(t, base, Message{}, nil); err == nil {
		t.Errorf("%d", status)
	}
}

func TestNoAnswer(t *testing.T) {
	release := make(chan struct{})
	base := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-release:
		}
	})
	defer close(release)
	_, err := try(t, base, Message{}, func(o *Options) { o.Timeout = 50 * time.Millisecond })
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

func TestGuarded(t *testing.T) {
	asked := false
	base := serve(t, func(http.ResponseWriter, *http.Request) { asked = true })
	_, err := try(t, base, Message{}, func(o *Options) {
		o.Guard, _ = netguard.New(netguard.Options{Ports: netguard.AnyPort()})
	})
	var refused *netguard.RefusedError
	if !errors.As(err, &refused) || asked {
		t.Errorf("%v, asked: %v", err, asked)
	}
	if got := describe(err, time.Second); got != "the address of its host may not be called" {
		t.Errorf("the owner is told: %s", got)
	}
}

// A proxy of the environment would carry requests around the guard.
func TestNoProxy(t *testing.T) {
	if tr := transport(loopback(t)); tr.Proxy != nil {
		t.Error("the transport has a proxy")
	}
}

func TestCheckURL(t *testing.T) {
	for _, tc := range []struct {
		url         string
		https, both bool
	}{
		{"https://a.example/x?y#z", true, true},
		{"HTTPS://a.example", true, true},
		{"https://[2606:4700::1]:8443/", true, true},
		{"http://a.example", false, true},
		{"ftp://a.example", false, false},
		{"file:///etc/passwd", false, false},
		{"https://", false, false},
		{"https://:443/", false, false},
		{"https://user:pass@a.example", false, false},
		{"https://user@a.example", false, false},
		{"a.example", false, false},
		{"", false, false},
		{"https://a b", false, false},
		{"https://a\x00b", false, false},
		{"//a.example", false, false},
	} {
		if got := checkURL(tc.url, false) == nil; got != tc.https {
			t.Errorf("%q: %v", tc.url, got)
		}
		err := checkURL(tc.url, true)
		if (err == nil) != tc.both || err != nil && !errors.Is(err, errURL) {
			t.Errorf("%q, http allowed: %v", tc.url, err)
		}
	}
}

// A URL may hold a secret of the receiver's; it is in no error, and so in no
// log.
func TestErrorsDoNotTellTheURL(t *testing.T) {
	base := serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	if _, err := try(t, base+"/?token=hidden", Message{}, nil); err == nil || strings.Contains(err.Error(), "hidden") {
		t.Errorf("%v", err)
	}
}

func TestUnusableURLIsGivenUp(t *testing.T) {
	s := newShelf(store.Delivery{ID: "a", URL: "http://a.example", CreatedAt: time.Now()})
	d := New(Options{Deliveries: s, Build: message, Guard: loopback(t)})
	d.try(t.Context(), s.get("a"))
	if got := s.get("a"); got.Status != failed || got.Tries != 1 || got.LastError != "the URL cannot be called: it is not https" {
		t.Errorf("%+v", got)
	}
}

func TestDescribe(t *testing.T) {
	private := &netguard.RefusedError{Host: "inside.example", Addr: netip.MustParseAddr("10.1.2.3"), Reason: "private network"}
	for _, tc := range []struct {
		name string
		err  error
		want string
	}{
		{"an address is not told", &url.Error{Op: "Post", URL: "https://x", Err: private}, "the address of its host may not be called"},
		{"a port is", &netguard.RefusedError{Host: "a.example", Port: 25, Reason: "no"}, "port 25 of a.example may not be dialled: no"},
		{"a resolver is not told", &net.DNSError{Err: "no such host", Name: "a.example", Server: "10.0.0.53:53"}, "its host name cannot be resolved"},
		{"time", &url.Error{Op: "Post", URL: "https://x/", Err: context.DeadlineExceeded}, "there was no answer within 10s"},
		{"one line", errors.New("a\nb\x1b[0m\xff"), "a b [0m\ufffd"},
		{"not long", errors.New(strings.Repeat("é", 400)), strings.Repeat("é", 150) + "..."},
	} {
		if got := describe(tc.err, 10*time.Second); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}
