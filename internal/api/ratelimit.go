//go:build tako_next

package api

import (
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
)

// maxBuckets bounds the memory of the limiter: beyond, callers that were not
// seen before share one bucket.
const maxBuckets = 100_000

// limiter counts requests in fixed windows, each beginning with the first
// request of a caller.
type limiter struct {
	most   int
	window time.Duration

	mu      sync.Mutex
	buckets map[string]*bucket
	swept   time.Time
}

type bucket struct {
	start time.Time
	count int
}

func newLimiter(most int, window time.Duration) *limiter {
	return &limiter{most: most, window: window, buckets: map[string]*bucket{}}
}

// take counts a request of caller. wait is how long to wait if it is too many.
func (l *limiter) take(caller string, now time.Time) (wait time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep(now)
	b := l.buckets[caller]
	if b == nil && len(l.buckets) >= maxBuckets {
		caller = ""
		b = l.buckets[caller]
	}
	if b == nil || now.Sub(b.start) >= l.window || now.Before(b.start) {
		b = &bucket{start: now}
		l.buckets[caller] = b
	}
	b.count++
	return l.window - now.Sub(b.start), b.count <= l.most
}

// sweep forgets callers that were silent for two windows.
func (l *limiter) sweep(now time.Time) {
	if now.Sub(l.swept) < l.window {
		return
	}
	l.swept = now
	for caller, b := range l.buckets {
		if now.Sub(b.start) >= 2*l.window {
			delete(l.buckets, caller)
		}
	}
}

// checkRate counts a request for its key, or for its address where it has none.
func (a *API) checkRate(c *call) error {
	if !a.options.RateLimit {
		return nil
	}
	caller := "address:" + network(c.clientIP)
	if a.options.Auth && c.known {
		caller = c.principal.Name
	}
	wait, ok := a.limiter.take(caller, a.options.Now())
	if ok {
		return nil
	}
	seconds := max(1, int(math.Ceil(wait.Seconds())))
	return &statusError{status: http.StatusTooManyRequests, detail: "Rate limit exceeded. Try again later.",
		header: http.Header{"Retry-After": {strconv.Itoa(seconds)}}}
}

// network is whose address it is: an IPv6 host has a /64 to itself.
func network(ip string) string {
	addr, err := netip.ParseAddr(ip)
	if err != nil || addr.Is4() {
		return ip
	}
	return netip.PrefixFrom(addr, 64).Masked().String()
}

// proxies are who is believed about the address of a caller.
type proxies []netip.Prefix

func newProxies(list []string) proxies {
	var out proxies
	for _, text := range list {
		if p, err := netip.ParsePrefix(text); err == nil {
			out = append(out, p.Masked())
		} else if addr, err := netip.ParseAddr(text); err == nil {
			out = append(out, netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen()))
		}
	}
	return out
}

func (p proxies) trust(addr netip.Addr) bool {
	for _, prefix := range p {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// clientIP is the address that the request came from. Behind trusted proxies it
// is the last one in X-Forwarded-For that is not one of them: what stands before
// it was written by the caller. Empty where it is unknown.
func (p proxies) clientIP(r *http.Request) string {
	addr, err := parseAddr(r.RemoteAddr)
	if err != nil {
		return ""
	}
	if !p.trust(addr) {
		return addr.String()
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop, err := parseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		addr = hop
		if !p.trust(hop) {
			break
		}
	}
	return addr.String()
}

// parseAddr reads an address with or without a port, and drops its zone.
func parseAddr(text string) (netip.Addr, error) {
	if ap, err := netip.ParseAddrPort(text); err == nil {
		return ap.Addr().Unmap().WithZone(""), nil
	}
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	return addr.Unmap().WithZone(""), err
}
