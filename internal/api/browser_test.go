package api

import (
	"net/http"
	"testing"

	"github.com/takovm/tako/internal/config"
)

const (
	otherHost = "This server answers to localhost only: the Host of the request is another."
	otherPage = "Requests from other web pages are refused."
)

func TestWebPages(t *testing.T) {
	for _, tc := range []struct {
		name    string
		method  string
		headers []string
		refused string // nothing where it may come in
	}{
		{"a script of the host", "POST", nil, ""},
		{"localhost, any port", "POST", []string{"Host: localhost:1234"}, ""},
		{"no port", "POST", []string{"Host: LOCALHOST"}, ""},
		{"with the dot of names", "POST", []string{"Host: localhost.:8000"}, ""},
		{"127.0.0.1", "POST", []string{"Host: 127.0.0.1:8000"}, ""},
		{"127.1.2.3", "POST", []string{"Host: 127.1.2.3"}, ""},
		{"::1", "POST", []string{"Host: [::1]:8000"}, ""},
		{"::1 without a port", "POST", []string{"Host: [::1]"}, ""},
		{"a name that is configured", "POST", []string{"Host: Tako.Internal:8000"}, ""},
		{"DNS rebinding", "POST", []string{"Host: evil.example:8000"}, otherHost},
		{"DNS rebinding, looking only", "GET", []string{"Host: evil.example:8000"}, otherHost},
		{"a name that begins well", "GET", []string{"Host: localhost.evil.example"}, otherHost},
		{"a name that ends well", "GET", []string{"Host: evil-localhost"}, otherHost},
		{"an address that begins well", "GET", []string{"Host: 127.0.0.1.evil.example"}, otherHost},
		{"an address of the network", "GET", []string{"Host: 192.168.1.5:8000"}, otherHost},
		{"no Host", "GET", []string{"Host:"}, otherHost},
		{"every address", "GET", []string{"Host: 0.0.0.0:8000"}, otherHost},
		{"an IPv4 address as IPv6", "GET", []string{"Host: [::ffff:127.0.0.1]:8000"}, ""},
		{"its own page", "POST", []string{"Origin: http://localhost:8000"}, ""},
		{"its own page, another port", "POST", []string{"Origin: http://localhost:3000"}, otherPage},
		{"another page", "POST", []string{"Origin: https://evil.example"}, otherPage},
		{"another page that looks", "GET", []string{"Origin: https://evil.example"}, otherPage},
		{"a page in a frame without origin", "POST", []string{"Origin: null"}, otherPage},
		{"a file", "POST", []string{"Origin: file://"}, otherPage},
		{"an extension", "POST", []string{"Origin: chrome-extension://localhost:8000"}, otherPage},
		{"nonsense", "POST", []string{"Origin: http://[::1"}, otherPage},
		{"two origins", "POST", []string{"Origin: http://localhost:8000", "Origin: https://evil.example"}, otherPage},
		{"a form of another page", "POST", []string{"Sec-Fetch-Site: cross-site"}, otherPage},
		{"a link of another page", "GET", []string{"Sec-Fetch-Site: cross-site"}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := newRig(t, func(o *Options) { o.Hosts = []string{"127.0.0.1", "tako.internal"} })
			target, body := "/execute", simple
			if tc.method == "GET" {
				target, body = "/executions", ""
			}
			w := g.send(tc.method, target, body, tc.headers...)
			if tc.refused == "" {
				if w.Code != http.StatusOK {
					t.Errorf("%d: %s", w.Code, w.Body)
				}
				return
			}
			if w.Code != http.StatusForbidden || w.Body.String() != detail(tc.refused) {
				t.Errorf("%d: %s", w.Code, w.Body)
			}
			g.unchanged()
		})
	}
}

// What needs no key is no less protected; a server that is not on loopback
// answers to any name; one that asks for keys needs no protection from pages.
func TestWhereWebPagesAreLookedAt(t *testing.T) {
	foreign := []string{"Host: evil.example", "Origin: https://evil.example"}
	loopback := newRig(t)
	for _, path := range []string{"/health", "/ready", "/docs", "/openapi.json", "/nothing", "/metrics"} {
		loopback.expect(http.StatusForbidden, "GET", path, "", foreign[0])
	}
	loopback.expect(http.StatusForbidden, "OPTIONS", "/execute", "", "Origin: https://evil.example", "Access-Control-Request-Method: POST")
	for _, name := range []string{"Access-Control-Allow-Origin", "Access-Control-Allow-Methods"} {
		if w := loopback.send("OPTIONS", "/execute", ""); w.Header().Get(name) != "" {
			t.Errorf("there is a %s", name)
		}
	}
	network := newRig(t, func(o *Options) { o.Loopback = false })
	network.expect(http.StatusOK, "GET", "/executions", "", foreign[0])
	network.expect(http.StatusOK, "GET", "/executions", "", "Host: evil.example", "Origin: http://evil.example")
	network.expect(http.StatusForbidden, "GET", "/executions", "", "Host: tako.example", foreign[1])
	network.expect(http.StatusUnsupportedMediaType, "POST", "/execute", simple, foreign[0], "Content-Type: text/plain")
	guarded(t, &ring{}).expect(http.StatusOK, "GET", "/executions", "", foreign[0], foreign[1], "X-API-Key: "+configuredKey)
}

// An empty body needs no type.
func TestTypesOfBodies(t *testing.T) {
	for _, tc := range []struct {
		name, target, body string
		status             int
		headers            []string
	}{
		{"an empty body", "/jobs/x/cancel", "", 404, nil},
		{"an empty body of a type", "/jobs/x/cancel", "", 404, []string{"Content-Type: text/plain"}},
		{"JSON", "/execute", simple, 200, []string{"Content-Type: application/json"}},
		{"JSON in UTF-8", "/execute", simple, 200, []string{"Content-Type: APPLICATION/json ; charset=utf-8"}},
		{"JSON with a broken parameter", "/execute", simple, 200, []string{"Content-Type: application/json; x"}},
		{"another JSON", "/execute", simple, 415, []string{"Content-Type: application/vnd.tako+json"}},
		{"a form", "/execute", "code=x", 415, []string{"Content-Type: application/x-www-form-urlencoded"}},
		{"a type with JSON in it", "/execute", simple, 415, []string{"Content-Type: text/plain; application/json"}},
		{"a body that nobody wants", "/jobs/x/cancel", "x", 415, []string{"Content-Type: text/plain"}},
	} {
		g := newRig(t)
		if w := g.send("POST", tc.target, tc.body, tc.headers...); w.Code != tc.status {
			t.Errorf("%s: %d %s", tc.name, w.Code, w.Body)
		}
	}
}

func TestOptionsFrom(t *testing.T) {
	for _, tc := range []struct {
		host     string
		loopback bool
	}{{"127.0.0.1", true}, {"localhost", true}, {"[::1]", true}, {"::1", true}, {"0.0.0.0", false}, {"tako.example", false}, {"", false}} {
		o, err := OptionsFrom(&config.Config{ServerHost: tc.host, AllowedHosts: []string{"a.example"}, APIRateLimitWindowSeconds: 60})
		if err != nil || o.Loopback != tc.loopback || len(o.Hosts) != 2 || o.RateWindow.Seconds() != 60 {
			t.Errorf("%s: %+v, %v", tc.host, o, err)
		}
	}
	if _, err := OptionsFrom(&config.Config{TrustedProxies: []string{"x"}}); err == nil {
		t.Error("a proxy that is none was taken")
	}
}
