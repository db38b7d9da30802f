package runner

import (
	"github.com/takovm/tako/internal/guest"
	"github.com/takovm/tako/internal/sandbox"
)

// Where certificate authorities are put. The program cannot change them there.
const (
	trustAll = sandbox.CodeDir + "/.tako/ca-certificates.pem"
	trustOwn = sandbox.CodeDir + "/.tako/ca.pem"
)

// vars are the variables by which programs find them: OpenSSL and what is built
// on it, Python's requests, curl, git, AWS, Node and Deno.
func (t *Trust) vars() map[string]string {
	if t == nil {
		return nil
	}
	return map[string]string{
		"SSL_CERT_FILE": trustAll, "REQUESTS_CA_BUNDLE": trustAll, "CURL_CA_BUNDLE": trustAll, "GIT_SSL_CAINFO": trustAll,
		"AWS_CA_BUNDLE": trustAll, "NODE_EXTRA_CA_CERTS": trustOwn, "DENO_CERT": trustOwn,
	}
}

// size is how much room the files take.
func (t *Trust) size() int64 {
	if t == nil {
		return 0
	}
	return int64(len(t.All)+len(t.Own)) + 2*blockSize
}

// files are what is staged.
func (t *Trust) files() []guest.Content {
	if t == nil {
		return nil
	}
	return []guest.Content{readable(trustAll, t.All), readable(trustOwn, t.Own)}
}
