package runner

import (
	"fmt"

	"github.com/takovm/tako/internal/job"
)

// blameNetwork says of a program that failed for want of a connection what refused
// it, where the policy did. That something was refused is a fact; that the
// program failed for it is its own word, the class of its last exception.
func (r *run) blameNetwork() {
	use := r.result.Network
	if use == nil || len(use.Denied) == 0 || r.result.Status != job.Failed || r.result.EndedBy.Actor != job.ActorUserCode ||
		!wantedConnection(r.stderr.end()) {
		return
	}
	last := use.Denied[len(use.Denied)-1]
	r.result.Error.Type = "network_error"
	r.result.Error.Message += fmt.Sprintf("; the network policy refused %s: %s", last.Target(), last.Reason)
}

// wantedConnection reports an exception of those that Python's clients raise
// where a connection cannot be had: the standard library's, and those of
// urllib3, requests, httpx and aiohttp.
func wantedConnection(stderr []byte) bool {
	switch classOf(lastException(stderr)) {
	case "gaierror", "OSError", "ConnectionError", "ConnectionRefusedError", "ConnectionResetError", "ConnectionAbortedError", "BrokenPipeError", "TimeoutError",
		"URLError", "HTTPError", "RemoteDisconnected", "SSLError", "SSLEOFError", "SSLZeroReturnError", "SSLCertVerificationError",
		"NewConnectionError", "NameResolutionError", "MaxRetryError", "ConnectTimeout", "ConnectTimeoutError", "ReadTimeout", "ProtocolError", "ProxyError",
		"ConnectError", "ReadError", "RemoteProtocolError", "HTTPStatusError",
		"ClientConnectorError", "ClientConnectorDNSError", "ClientConnectorSSLError", "ClientConnectorCertificateError", "ClientOSError", "ServerDisconnectedError":
		return true
	}
	return false
}
