package egress

import (
	"net/netip"
	"sync"
)

// names gives each name of one sandbox a synthetic address. The same name has
// the same address for as long as the sandbox lives, since programs keep
// addresses longer than any TTL says.
type names struct {
	mu   sync.Mutex
	list []string
	at   map[string]int
}

// addr answers the address of host, a new one if most allows another.
func (n *names) addr(host string, most int) (netip.Addr, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if i, ok := n.at[host]; ok {
		return nameAddr(i), true
	}
	if len(n.list) >= min(most, maxNames) {
		return netip.Addr{}, false
	}
	if n.at == nil {
		n.at = map[string]int{}
	}
	n.at[host] = len(n.list)
	n.list = append(n.list, host)
	return nameAddr(len(n.list) - 1), true
}

// host answers the name that has an address, or nothing.
func (n *names) host(ip netip.Addr) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if i := nameIndex(ip); i >= 0 && i < len(n.list) {
		return n.list[i]
	}
	return ""
}
