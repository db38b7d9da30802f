package job

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// SecretBinding says where the value of a secret may go: into one header of
// requests by HTTPS to one host. Programs have a placeholder in its place.
type SecretBinding struct {
	// Name is the secret's, and that of the variable that holds its placeholder.
	Name string `json:"name" doc:"the secret, and the variable with its placeholder"`
	// Host is a name, with ":port" unless that is 443.
	Host string `json:"host" doc:"where its value may go; with a port unless that is 443"`
	// Header is where the placeholder is replaced; empty is Authorization.
	Header string `json:"header,omitempty" doc:"in which the value takes the place of the placeholder; Authorization where it is not there"`
}

// Placeholder is what programs see of a secret. No placeholder is a part of
// another one: names have no dot.
func (b SecretBinding) Placeholder() string { return "tako-secret." + b.Name + ".placeholder" }

// Field is the header.
func (b SecretBinding) Field() string {
	if b.Header == "" {
		return "Authorization"
	}
	return b.Header
}

// Target is the host and the port.
func (b SecretBinding) Target() (host string, port uint16) {
	host, service, err := net.SplitHostPort(b.Host)
	if err != nil {
		return strings.ToLower(b.Host), 443
	}
	n, _ := strconv.ParseUint(service, 10, 16) // see Problem
	return strings.ToLower(host), uint16(n)
}

// Problem says what is wrong with a binding, or nothing, and which part of it.
func (b SecretBinding) Problem() (field, msg string) {
	host, service, hasPort := strings.Cut(b.Host, ":")
	n, err := strconv.ParseUint(service, 10, 16)
	_, notAddr := netip.ParseAddr(host)
	switch {
	case !ValidSecretName(b.Name):
		return "name", "must be a variable's name: up to 64 of A-Z, a-z, 0-9 and _, no digit first"
	case !validHost(host) || notAddr == nil || hasPort && (err != nil || n == 0):
		return "host", "must be one host name, such as api.example.com or api.example.com:8443"
	case hasPort && n == 80:
		return "host", "must not have port 80: secrets are sent by HTTPS only"
	case b.Header != "" && !validField(b.Header):
		return "header", "must be the name of a header of requests, such as Authorization or X-Api-Key"
	}
	return "", ""
}

// ValidSecretName reports whether name could be a secret's: a variable's.
func ValidSecretName(name string) bool {
	if name == "" || len(name) > 64 || '0' <= name[0] && name[0] <= '9' {
		return false
	}
	for _, c := range []byte(name) {
		if c != '_' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return true
}

// validField reports a field of requests that is nobody's but the program's.
func validField(name string) bool {
	if len(name) > 64 {
		return false
	}
	for _, c := range []byte(name) {
		if !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	switch strings.ToLower(name) {
	case "host", "connection", "content-length", "transfer-encoding", "te", "trailer", "upgrade", "accept-encoding", "expect", "keep-alive", "proxy-connection",
		"proxy-authorization", "proxy-authenticate", "range", "if-range", "sec-websocket-extensions", "http2-settings":
		return false
	}
	return true
}
