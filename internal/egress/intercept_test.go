package egress

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/takovm/tako/internal/job"
)

// The value is in its header of what the server gets, and nowhere else; nothing
// of it comes back, however the server says it.
func TestSecret(t *testing.T) {
	basic := base64.StdEncoding.EncodeToString([]byte("me:" + placeholder))
	sent := base64.StdEncoding.EncodeToString([]byte("me:" + secretValue))
	for name, tt := range map[string]struct {
		binding job.SecretBinding
		header  []string
		want    string // that the server gets
		answer  http.HandlerFunc
		gets    string // what the guest gets
	}{
		"in the header": {bearer(), []string{"Authorization", "Bearer " + placeholder}, "Bearer " + secretValue, nil, ""},
		"in another":    {job.SecretBinding{Name: "API_KEY", Host: "a.example", Header: "x-api-key"}, []string{"X-Api-Key", placeholder, "Authorization", placeholder}, placeholder, nil, ""},
		"basic":         {bearer(), []string{"Authorization", "Basic " + basic}, "Basic " + sent, nil, ""},
		"none":          {bearer(), []string{"X-Other", placeholder}, "", nil, ""},
		"its own value": {bearer(), []string{"Authorization", "Bearer mine"}, "Bearer mine", nil, ""},
		"said again": {bearer(), []string{"Authorization", "Bearer " + placeholder}, "Bearer " + secretValue,
			func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Echo", r.Header.Get("Authorization"))
				w.Header().Set("Location", "/?k="+r.Header.Get("Authorization"))
				w.Header().Set("Trailer", "X-End")
				w.WriteHeader(http.StatusFound)
				fmt.Fprintf(w, "you sent %s", r.Header.Get("Authorization"))
				w.Header().Set("X-End", r.Header.Get("Authorization"))
			}, "you sent Bearer " + stars},
		"in pieces": {bearer(), []string{"Authorization", placeholder}, secretValue,
			func(w http.ResponseWriter, r *http.Request) {
				for _, c := range "<" + r.Header.Get("Authorization") + ">" {
					fmt.Fprintf(w, "%c", c)
					w.(http.Flusher).Flush()
				}
			}, "<" + stars + ">"},
		"with a length": {bearer(), []string{"Authorization", placeholder}, secretValue,
			func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Length", "18")
				fmt.Fprint(w, r.Header.Get("Authorization"))
			}, stars},
		"compressed": {bearer(), []string{"Authorization", placeholder, "Accept-Encoding", "gzip"}, secretValue,
			func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Accept-Encoding") != "identity" {
					t.Error("it may be compressed")
				}
				w.Header().Set("Content-Encoding", "gzip")
				z := gzip.NewWriter(w)
				fmt.Fprint(z, r.Header.Get("Authorization"))
				z.Close()
			}, stars},
		"before the answer": {bearer(), []string{"Authorization", placeholder}, secretValue,
			func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Link", r.Header.Get("Authorization"))
				w.WriteHeader(http.StatusEarlyHints)
				fmt.Fprint(w, "ok")
			}, "ok"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			s := w.serveTLS(t, "1.1.1.1:443", func(rw http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if string(body) != "the body has "+placeholder || r.URL.RawQuery != "k="+placeholder+";&x" || r.Host != "a.example" || r.Header.Get("Range") != "" {
					t.Errorf("%q, %q for %q", body, r.URL.RawQuery, r.Host)
				}
				if tt.answer != nil {
					tt.answer(rw, r)
				}
			})
			o := w.withSecret(t, tt.binding, s)
			g := newGuest(t, allow("a.example"), o)
			c := g.trusting(o)
			for range 3 {
				_, header, body := g.ask(c, request(t, "https://a.example/?k="+placeholder+";&x", append(tt.header, "Range", "bytes=0-3")...))
				if body != tt.gets {
					t.Errorf("the guest got %q", body)
				}
				if text := fmt.Sprint(header); strings.Contains(text, secretValue) || strings.Contains(text, sent) {
					t.Errorf("the guest got %q", header)
				}
				if got := s.last(t); got.Get("Authorization") != tt.want {
					t.Errorf("the server got %q", got)
				}
			}
			if name == "in another" && s.last(t).Get("X-Api-Key") != secretValue {
				t.Errorf("the server got %q", s.last(t))
			}
			if r := g.link.Report(); len(r.Denied) > 0 || r.BytesIn == 0 || r.BytesOut == 0 {
				t.Errorf("%+v", r)
			}
		})
	}
}

// Other hosts, other ports and plain HTTP get what the guest sent.
func TestSecretElsewhere(t *testing.T) {
	w := newWorld()
	heard := make(chan string, 1)
	echo := func(_ http.ResponseWriter, r *http.Request) { heard <- r.Header.Get("Authorization") }
	a := w.serveTLS(t, "1.1.1.1:443", echo)
	b := w.serveTLS(t, "1.1.1.2:443", echo)
	other := w.serveTLS(t, "1.1.1.1:8443", echo)
	w.httpServer(t, "1.1.1.1:80", echo)
	o := w.withSecret(t, bearer(), a)
	for _, n := range []job.Network{{Mode: job.NetworkPublic}, allow("a.example:1-65535", "b.example")} {
		g := newGuest(t, n, o)
		c := g.trusting(o, b.TLS.Certificates[0].Certificate[0], other.TLS.Certificates[0].Certificate[0])
		for url, want := range map[string]string{
			"https://a.example/": secretValue, "https://A.EXAMPLE/": secretValue, "https://b.example/": placeholder,
			"https://a.example:8443/": placeholder, "http://a.example/": placeholder,
		} {
			g.ask(c, request(t, url, "Authorization", placeholder))
			if got := <-heard; got != want {
				t.Errorf("%s got %q", url, got)
			}
		}
	}
	// On a port of its own.
	o = w.withSecret(t, job.SecretBinding{Name: "API_KEY", Host: "a.example:8443"}, other)
	g := newGuest(t, allow("a.example:8443"), o)
	g.ask(g.trusting(o), request(t, "https://a.example:8443/", "Authorization", placeholder))
	if got := <-heard; got != secretValue {
		t.Errorf("on port 8443: %q", got)
	}
}

// A connection that has changed to websocket carries both ways, masked.
func TestSecretWebsocket(t *testing.T) {
	w := newWorld()
	s := w.serveTLS(t, "1.1.1.1:443", func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Sec-WebSocket-Extensions") != "" {
			t.Error("it may compress")
		}
		conn, _, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n%s\n", r.Header.Get("Authorization"))
		_, _ = io.Copy(conn, conn)
	})
	o := w.withSecret(t, bearer(), s)
	g := newGuest(t, allow("a.example"), o)
	c := tls.Client(g.mustDial("a.example", 443), &tls.Config{ServerName: "a.example", RootCAs: pool(t, o.Authority.cert.Raw)})
	defer c.Close()
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Extensions: permessage-deflate\r\nAuthorization: %s\r\n\r\n", placeholder)
	r := bufio.NewReader(c)
	res, err := http.ReadResponse(r, nil)
	if err != nil || res.StatusCode != 101 {
		t.Fatalf("%+v, %v", res, err)
	}
	fmt.Fprintf(c, "hello\n")
	for _, want := range []string{stars + "\n", "hello\n"} {
		if line, err := r.ReadString('\n'); line != want || err != nil {
			t.Errorf("%q, %v", line, err)
		}
	}
}

// Events pass as they come, and a link that is closed ends what is under way.
func TestSecretStream(t *testing.T) {
	w := newWorld()
	seen := make(chan struct{})
	gone := make(chan struct{})
	s := w.serveTLS(t, "1.1.1.1:443", func(rw http.ResponseWriter, r *http.Request) {
		defer close(gone)
		for range 3 {
			fmt.Fprintf(rw, "data: %s\n", r.Header.Get("Authorization"))
			rw.(http.Flusher).Flush()
			select {
			case <-seen:
			case <-r.Context().Done():
				return
			}
		}
		<-r.Context().Done()
	})
	o := w.withSecret(t, bearer(), s)
	g := newGuest(t, allow("a.example"), o)
	res, err := g.trusting(o).Do(request(t, "https://a.example/", "Authorization", placeholder))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	r := bufio.NewReader(res.Body)
	for range 3 {
		if line, err := r.ReadString('\n'); line != "data: "+stars+"\n" || err != nil {
			t.Fatalf("%q, %v", line, err)
		}
		select {
		case seen <- struct{}{}:
		case <-gone:
			t.Fatal("the server was left alone")
		}
	}
	g.link.cancel() // as Close does; the guest is there to see it
	<-gone
	if _, err := io.ReadAll(r); err == nil {
		t.Error("the answer ended as if it were whole")
	}
}

func TestSecretBudget(t *testing.T) {
	w := newWorld()
	s := w.serveTLS(t, "1.1.1.1:443", func(rw http.ResponseWriter, _ *http.Request) {
		_, _ = rw.Write(bytes.Repeat([]byte("x"), 1<<20))
	})
	o := w.withSecret(t, bearer(), s)
	o.Budgets.BytesIn = 100_000
	g := newGuest(t, allow("a.example"), o)
	res, err := g.trusting(o).Do(request(t, "https://a.example/"))
	if err == nil {
		defer res.Body.Close()
		if n, err := io.Copy(io.Discard, res.Body); err == nil {
			t.Errorf("%d bytes", n)
		}
	}
	g.wantDenied("a.example", 443, reasonBytesIn)
}

func TestSecretPolicies(t *testing.T) {
	w := newWorld()
	o := w.withSecret(t, bearer())
	within := allow("a.example", "b.example")
	for name, tt := range map[string]struct {
		n      job.Network
		within *job.Network
		want   string
	}{
		"reached":           {allow("a.example"), nil, ""},
		"by all":            {job.Network{Mode: job.NetworkPublic}, nil, ""},
		"not reached":       {allow("b.example"), nil, "secret API_KEY is bound to a.example, which jobs cannot reach: not one of the names"},
		"on another port":   {allow("a.example:8443"), nil, "its port is not open"},
		"without a network": {job.Network{}, nil, "the network mode is none"},
		"narrower":          {allow("b.example"), &within, ""},
	} {
		o.Within = tt.within
		_, err := Compile(tt.n, o)
		if tt.want == "" && err != nil || tt.want != "" && (job.KindOf(err) != job.KindInvalid || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	o.Within = nil
	p, err := Compile(allow("a.example"), o)
	if err != nil {
		t.Fatal(err)
	}
	v, err := p.Explain(t.Context(), "https://a.example")
	if text := fmt.Sprint(v); err != nil || !v.Allowed || !strings.Contains(text, placeholder+" becomes its value in the header Authorization") || strings.Contains(text, secretValue) {
		t.Errorf("%s, %v", text, err)
	}
}
