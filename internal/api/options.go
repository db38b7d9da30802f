package api

import (
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/takovm/tako/internal/api/schema"
	"github.com/takovm/tako/internal/auth"
	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/trace"
)

// Options are what the API is made for. OptionsFrom fills what the configuration
// says.
type Options struct {
	Version        string
	ProductionMode bool

	// Auth tells who calls; nil asks nobody.
	Auth *auth.Authenticator

	RateLimit       bool
	RateRequests    int
	RateWindow      time.Duration
	Proxies         auth.Proxies
	MaxPayloadBytes int64 // of a JSON body
	MaxUploadBytes  int64 // of a multipart body
	MaxInputBytes   int64
	MaxCodeBytes    int64
	MaxTimeout      int // seconds

	WebhookAllowHTTP bool
	// Loopback says that the server listens there only. Without Auth, the Host of
	// a request then has to be a name of loopback or one of Hosts.
	Loopback bool
	Hosts    []string

	// Observe is told of every request when it was answered: the route's
	// pattern, or none, and the status, 0 for a client that was cut off.
	Observe func(route, method string, status int, took time.Duration)
	// Tracer gets a span for every request; nil traces nothing.
	Tracer *trace.Tracer
	// Metrics answers GET /metrics; nil leaves it out.
	Metrics http.Handler
	// MCP answers /mcp for the principal; nil leaves it out.
	MCP func(w http.ResponseWriter, r *http.Request, p job.Principal)
	// Log takes what callers are not shown. Default is none.
	Log *slog.Logger
	// Now is the clock. Default is time.Now.
	Now func() time.Time
	// KeepAlive is the time between comments in a silent event stream. Default 15 s.
	KeepAlive time.Duration
}

// OptionsFrom reads the configuration, but for Auth, which needs a store.
func OptionsFrom(c *config.Config) (Options, error) {
	trusted, err := auth.ParseProxies(c.TrustedProxies)
	if err != nil {
		return Options{}, job.Errorf(job.KindConfig, "trusted_proxies: %w", err)
	}
	return Options{
		ProductionMode: c.ProductionMode,
		RateLimit:      c.APIRateLimitEnabled, RateRequests: c.APIRateLimitRequests, RateWindow: time.Duration(c.APIRateLimitWindowSeconds) * time.Second,
		Proxies: trusted, MaxPayloadBytes: c.APIMaxPayloadBytes, MaxUploadBytes: c.APIMaxUploadBytes,
		MaxInputBytes: c.MaxInputBytes, MaxCodeBytes: c.MaxCodeBytes, MaxTimeout: c.MaxTimeout, WebhookAllowHTTP: c.WebhookAllowHTTP,
		Loopback: isLoopback(c.ServerHost), Hosts: append([]string{c.ServerHost}, c.AllowedHosts...),
	}, nil
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.KeepAlive == 0 {
		o.KeepAlive = 15 * time.Second
	}
	if o.Metrics == nil {
		o.Metrics = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	}
	return o
}

// isLoopback knows the names of loopback: localhost, 127.*, ::1.
func isLoopback(host string) bool {
	host = strings.TrimSuffix(strings.TrimPrefix(strings.ToLower(host), "["), "]")
	if host == "localhost" || host == "localhost." {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

const farthest = 30 * 24 * time.Hour

func (o Options) runAt(v *schema.Value) string {
	if msg := timeProblem("run_at", v.Text()); msg != "" {
		return msg
	}
	if at, _ := time.Parse(time.RFC3339, v.Text()); at.After(o.Now().Add(farthest)) {
		return "run_at must be at most 30 days ahead"
	}
	return ""
}

func (o Options) webhookURL(v *schema.Value) string {
	u, err := url.Parse(v.Text())
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "" || u.User != nil:
		return "webhook_url must be a URL with a host and without a user"
	case u.Scheme != "https" && (u.Scheme != "http" || !o.WebhookAllowHTTP):
		return "webhook_url must be https"
	}
	return ""
}
