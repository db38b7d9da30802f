package gvisor

import (
	"fmt"
	"net"
	"net/netip"
	"os"

	"gvisor.dev/gvisor/pkg/control/client"
	"gvisor.dev/gvisor/pkg/urpc"
	"gvisor.dev/gvisor/runsc/boot"

	"github.com/takovm/tako/internal/engine"
)

// linkName is what programs see.
const linkName = "eth0"

// createLinks is the method of gVisor's controller that adds interfaces.
const createLinks = "Network.CreateLinksAndRoutes"

// networkArgs are the interfaces of a sandbox with that link. Its socket is
// copied: gVisor closes what it is given.
func networkArgs(l *engine.Link) *boot.CreateLinksAndRoutesArgs {
	return &boot.CreateLinksAndRoutesArgs{
		FilePayload:   urpc.FilePayload{Files: []*os.File{l.Socket}},
		LoopbackLinks: []boot.LoopbackLink{boot.DefaultLoopbackLink},
		FDBasedLinks: []boot.FDBasedLink{{
			Name: linkName, MTU: l.MTU, NumChannels: 1, IsPacket: []bool{false}, PreConfigured: true,
			Addresses: []boot.IPWithPrefix{{Address: l.Address.Addr().AsSlice(), PrefixLen: l.Address.Bits()}},
			Routes:    []boot.Route{{Destination: network(l.Address)}},
		}},
		Defaultv4Gateway: boot.DefaultRoute{Name: linkName, Route: boot.Route{
			Destination: network(netip.PrefixFrom(netip.IPv4Unspecified(), 0)), Gateway: l.Gateway.AsSlice(),
		}},
	}
}

func network(p netip.Prefix) net.IPNet {
	return net.IPNet{IP: p.Masked().Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// link gives a sandbox that has started its interface: before that, gVisor
// takes none that is not the host's.
func (s *sandbox) link(l *engine.Link) error {
	conn, err := client.ConnectTo(s.sentry.GetControlSocketPath())
	if err != nil {
		return fmt.Errorf("connecting to the sandbox: %w", err)
	}
	defer conn.Close()
	args := networkArgs(l)
	args.LoopbackLinks = nil // it has one
	if err := conn.Call(createLinks, args, nil); err != nil {
		return fmt.Errorf("giving the sandbox its network: %w", err)
	}
	return nil
}
