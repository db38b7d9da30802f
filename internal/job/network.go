package job

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// NetworkMode is how much of a network a job gets.
type NetworkMode string

const (
	NetworkNone   NetworkMode = "none"   // loopback inside
	NetworkAllow  NetworkMode = "allow"  // what the patterns name
	NetworkPublic NetworkMode = "public" // the internet, no private address
)

// Network is a network policy.
type Network struct {
	Mode  NetworkMode `json:"mode"`
	Allow []string    `json:"allow,omitempty"` // with NetworkAllow: host patterns
}

// Open reports whether the policy lets anything through.
func (n Network) Open() bool { return n.Mode == NetworkPublic || n.Mode == NetworkAllow }

// NetworkUse is what an attempt did with its network.
type NetworkUse struct {
	Mode NetworkMode `json:"mode"`
	// BytesIn and BytesOut are what its connections carried, to the sandbox and
	// from it, without headers.
	BytesIn  int64 `json:"bytes_in"`
	BytesOut int64 `json:"bytes_out"`
	// Denied is what was refused, each thing once: about a hundred.
	Denied []Denied `json:"denied,omitempty"`
}

// Denied is something that a policy refused.
type Denied struct {
	Host   string `json:"host"`
	Port   int    `json:"port"` // 0 where there is none: a name was asked for
	Reason string `json:"reason"`
	Count  int64  `json:"count"`
}

// Target is what was to be reached, as it is written: host and port, or the name
// that was asked for.
func (d Denied) Target() string {
	if d.Port == 0 {
		return d.Host
	}
	return net.JoinHostPort(d.Host, strconv.Itoa(d.Port))
}

// PatternProblem says what is wrong with a pattern of a network policy, or
// nothing.
func PatternProblem(pattern string) string {
	const msg = "a pattern is a host name, *.name or a network such as 10.0.0.0/8, with an optional :port or :port-port"
	if _, err := netip.ParsePrefix(pattern); err == nil {
		return ""
	}
	host, ports := pattern, ""
	if i := strings.LastIndexByte(pattern, ':'); i >= 0 {
		host, ports = pattern[:i], pattern[i+1:]
		if !validPorts(ports) {
			return msg
		}
	}
	if _, err := netip.ParsePrefix(host); err == nil {
		return ""
	}
	if !validHost(strings.TrimPrefix(host, "*.")) {
		return msg
	}
	return ""
}

func validPorts(ports string) bool {
	first, last, isRange := strings.Cut(ports, "-")
	low, err := strconv.ParseUint(first, 10, 16)
	if err != nil || low == 0 {
		return false
	}
	if !isRange {
		return true
	}
	high, err := strconv.ParseUint(last, 10, 16)
	return err == nil && high >= low
}

func validHost(host string) bool {
	if host == "" || len(host) > 253 {
		return false
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") {
			return false
		}
		for _, c := range []byte(label) {
			if c != '-' && c != '_' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
				return false
			}
		}
	}
	return true
}
