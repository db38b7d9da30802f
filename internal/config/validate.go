package config

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/takovm/tako/internal/job"
)

// Validate checks everything that can be checked without a side effect. Load
// has done it; it is for a Config that was changed since, by flags. The error
// is of KindConfig, its cause is Problems.
func (c *Config) Validate() error { return c.problems(nil) }

// problems adds what the rules find to what decoding found. Rules that look at
// several fields wait until each is right by itself.
func (c *Config) problems(found Problems) error {
	seen := map[string]bool{}
	for _, p := range found {
		seen[p.Field] = true
	}
	for _, p := range append(check(configRows(), "", c), c.checkJobTypes()...) {
		outer := p.Field[:max(0, strings.LastIndexByte(p.Field, '.'))]
		if !seen[p.Field] && (outer == "" || !seen[outer]) {
			found = append(found, p)
		}
	}
	if len(found) == 0 {
		found = c.checkTogether()
	}
	if len(found) == 0 {
		return nil
	}
	err := job.Errorf(job.KindConfig, "%w", found)
	if c.File != "" {
		return err.WithHint("the file is %s", c.File)
	}
	return err
}

// checkTogether holds the rules between fields.
func (c *Config) checkTogether() Problems {
	var found Problems
	atMost := func(low int, lowKey string, high int, highKey string) {
		if low > high {
			found = append(found, problem(lowKey, "must be at most %s, which is %d", highKey, high)...)
		}
	}
	l := c.ContainerLimits
	atMost(c.DefaultTimeout, "default_timeout", c.MaxTimeout, "max_timeout")
	atMost(c.DefaultStartupTimeout, "default_startup_timeout", c.MaxStartupTimeout, "max_startup_timeout")
	atMost(c.SessionIdleTimeoutSeconds, "session_idle_timeout_seconds", c.SessionMaxTTLSeconds, "session_max_ttl_seconds")
	atMost(l.NofileSoft, "container_limits.nofile_soft", l.NofileHard, "container_limits.nofile_hard")
	atMost(l.NprocSoft, "container_limits.nproc_soft", l.NprocHard, "container_limits.nproc_hard")
	for i, t := range c.JobTypes {
		atMost(t.Timeout, fmt.Sprintf("job_types[%d].timeout", i), c.MaxTimeout, "max_timeout")
	}
	if c.ServerSocket != "" && c.TLSCertFile != "" {
		found = append(found, problem("server_socket", "is not served with TLS; remove it, or tls_cert_file and tls_key_file")...)
	}
	if c.exposed() && !c.AllowUnauthenticated {
		found = append(found, problem("server_host", "is reachable from the network without authentication; "+
			"set api_auth_enabled: true, or allow_unauthenticated_network_access: true if something else keeps strangers out")...)
	}
	if c.ContainerRuntime == RuntimeRunc && c.SecurityMode == Strict {
		found = append(found, problem("container_runtime", "runc is not a sandbox that security_mode strict accepts, and tako has none; "+
			"remove the key or set it to runsc, and code runs in gVisor, which needs no installation")...)
	}
	return found
}

// exposed reports a server that others than this machine's users can call
// without a key.
func (c *Config) exposed() bool {
	return c.ServerSocket == "" && !IsLoopback(c.ServerHost) && !c.APIAuthEnabled
}

// IsLoopback reports whether host is only reachable from this machine:
// localhost, ::1, [::1] or an address in 127.0.0.0/8. A name such as
// 127.example.com is not.
func IsLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
	return err == nil && addr.Unmap().IsLoopback()
}

// Warnings lists, a line each, what the operator should know of a valid
// configuration: what is less safe than the default, what is accepted for the
// sake of old files, and which keys that were set have no effect yet.
func (c *Config) Warnings() []string {
	list := append([]string(nil), c.notes...)
	if c.ContainerRuntime == RuntimeRunc {
		list = append(list, "container_runtime runc: tako has no runc; code runs in gVisor, which isolates more")
	}
	if c.SecurityMode == Permissive {
		list = append(list, "security_mode permissive: a limit that this host cannot enforce is noted in the record, and the job runs")
	}
	if c.exposed() {
		list = append(list, "server_host: anyone who reaches this address can run code; there is no authentication")
	}
	for _, t := range c.JobTypes {
		if len(t.SharedCode) > 0 {
			list = append(list, fmt.Sprintf("job type %s: shared_code is not copied anywhere; make an image of a recipe that has it in files (tako env build), or a wheel in package_wheels_dir", t.Name))
		}
	}
	var idle []string
	for _, r := range configRows() {
		if r.notYet && c.Source(r.name) != "default" {
			idle = append(idle, r.name)
		}
	}
	if len(idle) > 0 {
		list = append(list, "set, and without effect in this version: "+strings.Join(idle, ", "))
	}
	return list
}
