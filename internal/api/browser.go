package api

import (
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// checkBrowser keeps web pages from driving a server that asks for no key.
//
// A page can make the browser send requests here, but not choose their headers:
// the browser says where the page is from (Origin), and a page that had its own
// name point to this machine (DNS rebinding) still sends that name as Host. The
// third protection is in readBody: a form cannot send application/json, and
// what can asks first, which nothing here answers.
func (a *API) checkBrowser(r *http.Request) error {
	if a.options.Auth != nil {
		return nil
	}
	if a.options.Loopback && !a.knownHost(r.Host) {
		return fail(http.StatusForbidden, "This server answers to localhost only: the Host of the request is another.")
	}
	for _, origin := range r.Header.Values("Origin") {
		if !sameOrigin(origin, r.Host) {
			return fail(http.StatusForbidden, "Requests from other web pages are refused.")
		}
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site == "cross-site" && r.Method != http.MethodGet && r.Method != http.MethodHead {
		return fail(http.StatusForbidden, "Requests from other web pages are refused.")
	}
	return nil
}

func (a *API) knownHost(hostport string) bool {
	host := hostOf(hostport)
	if isLoopback(host) {
		return true
	}
	for _, known := range a.options.Hosts {
		if strings.EqualFold(host, known) {
			return true
		}
	}
	return false
}

// hostOf takes the port off.
func hostOf(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return strings.TrimSuffix(strings.TrimPrefix(hostport, "["), "]")
}

// sameOrigin reports an origin that is the server itself.
func sameOrigin(origin, host string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return false // "null", too
	}
	return u.Host != "" && strings.EqualFold(u.Host, host)
}

// mediaType is the type of a body, lower-case and without parameters; empty for
// none or a broken one.
func mediaType(r *http.Request) string {
	t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil && t == "" {
		return ""
	}
	return t
}

// isJSON reports what FastAPI takes for JSON.
func isJSON(mediaType string) bool {
	sub, ok := strings.CutPrefix(mediaType, "application/")
	return ok && (sub == "json" || strings.HasSuffix(sub, "+json"))
}
