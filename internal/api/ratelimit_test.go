package api

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/takovm/tako/internal/auth"
	"github.com/takovm/tako/internal/job"
)

// limited is a rig that takes n requests a minute of each caller, and its clock.
func limited(t *testing.T, n int, change ...func(*Options)) (*rig, *time.Time) {
	now := epoch()
	return newRig(t, append(change, func(o *Options) {
		o.RateLimit, o.RateRequests, o.RateWindow, o.Now = true, n, time.Minute, func() time.Time { return now }
	})...), &now
}

func TestRateLimit(t *testing.T) {
	g, now := limited(t, 2)
	for _, step := range []struct {
		after  time.Duration
		status int
		retry  string
	}{
		{0, 200, ""},
		{30 * time.Second, 200, ""},
		{time.Second, 429, "29"},
		{100 * time.Millisecond, 429, "29"}, // rounded up
		{28*time.Second + 800*time.Millisecond, 429, "1"},
		{100 * time.Millisecond, 200, ""},
		{0, 200, ""},
		{0, 429, "60"},
	} {
		*now = now.Add(step.after)
		w := g.send("GET", "/pool/stats", "")
		if w.Code != step.status || w.Header().Get("Retry-After") != step.retry {
			t.Errorf("at %v: %d, Retry-After %q", now.Sub(epoch()), w.Code, w.Header().Get("Retry-After"))
		}
		if w.Code == 429 && w.Body.String() != detail("Rate limit exceeded. Try again later.") {
			t.Errorf("%s", w.Body)
		}
	}
}

// What is refused later counts, too.
func TestRateLimitCountsRefusals(t *testing.T) {
	for name, one := range map[string]func(g *rig){
		"unknown paths": func(g *rig) { g.expect(404, "GET", "/nothing", "") },
		"bad requests":  func(g *rig) { g.expect(422, "POST", "/execute", "{}") },
		"too large":     func(g *rig) { g.send("POST", "/execute", string(make([]byte, 3<<20))) },
	} {
		g, _ := limited(t, 1)
		one(g)
		if w := g.send("GET", "/pool/stats", ""); w.Code != 429 {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
	// Web pages of others cannot use up what the user's own programs have.
	g, _ := limited(t, 1)
	g.expect(403, "GET", "/pool/stats", "", "Origin: https://evil.example")
	g.expect(200, "GET", "/pool/stats", "")
}

func TestRateLimitIsOfACaller(t *testing.T) {
	r := &ring{}
	first, second := r.add("first", job.ScopeRead), r.add("second", job.ScopeRead)
	proxies, err := auth.ParseProxies([]string{"10.0.0.0/8"})
	if err != nil {
		t.Fatal(err)
	}
	keys := func(o *Options) { o.Auth, o.Proxies = auth.New(auth.Options{Keys: r, CacheFor: -1}), proxies }
	g, _ := limited(t, 1, keys)
	send := func(address string, headers ...string) int {
		req := request("GET", "/pool/stats", nil, headers...)
		req.RemoteAddr = address
		w := httptest.NewRecorder()
		g.ServeHTTP(w, req)
		return w.Code
	}
	for _, step := range []struct {
		name, address string
		headers       []string
		status        int
	}{
		{"nobody", "192.0.2.1:1", nil, 401},
		{"nobody again, another port", "192.0.2.1:2", []string{"X-API-Key: wrong"}, 429},
		{"a key from there", "192.0.2.1:1", []string{"X-API-Key: " + first}, 200},
		{"that key from elsewhere", "192.0.2.2:1", []string{"X-API-Key: " + first}, 429},
		{"another key", "192.0.2.1:1", []string{"X-API-Key: " + second}, 200},
		{"somebody who claims to be another", "192.0.2.1:1", []string{"X-Forwarded-For: 192.0.2.9"}, 429},
		{"behind a proxy", "10.0.0.1:1", []string{"X-Forwarded-For: 192.0.2.9"}, 401},
		{"another behind it", "10.0.0.1:1", []string{"X-Forwarded-For: 192.0.2.10"}, 401},
		{"one of them again", "10.0.0.1:1", []string{"X-Forwarded-For: 192.0.2.9"}, 429},
		{"IPv6", "[2001:db8::1]:1", nil, 401},
		{"a neighbour in its network", "[2001:db8::2]:1", nil, 429},
		{"a socket without addresses", "@", nil, 401},
		{"another one", "", nil, 429},
	} {
		if got := send(step.address, step.headers...); got != step.status {
			t.Errorf("%s: %d, want %d", step.name, got, step.status)
		}
	}
	off := newRig(t)
	for range 500 {
		off.expect(http.StatusOK, "GET", "/pool/stats", "")
	}
}
