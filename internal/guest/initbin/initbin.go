// Package initbin carries the guest init, a static program for linux/amd64,
// inside the binary that launches sandboxes. It is committed so that a plain
// go build of tako is enough; a test builds it again and compares.
package initbin

import _ "embed"

//go:generate go run ./initgen -o init_linux_amd64
//go:generate sh -c "sha256sum init_linux_amd64 | cut -c1-64 | tr -d '\\n' > init_linux_amd64.sha256"

//go:embed init_linux_amd64
var binary []byte

// Binary returns the init's ELF image. The caller must not change it.
func Binary() []byte { return binary }

//go:embed init_linux_amd64.sha256
var digest string

// Digest returns the binary's SHA-256 in lower-case hex, which is committed
// with it: computing it would cost every start of tako a millisecond.
func Digest() string { return digest }
