// Package initbin carries the guest init, a static program for linux/amd64,
// inside the binary that launches sandboxes. It is committed so that a plain
// go build of tako is enough; a test builds it again and compares.
package initbin

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
)

//go:generate env CGO_ENABLED=0 GOOS=linux GOARCH=amd64 GOAMD64=v1 GOEXPERIMENT= GOFLAGS= GOTOOLCHAIN=go1.26.8 go build -trimpath -buildvcs=false "-ldflags=-s -w -buildid=" -o init_linux_amd64 ../init

//go:embed init_linux_amd64
var binary []byte

// Binary returns the init's ELF image. The caller must not change it.
func Binary() []byte { return binary }

// Digest returns the image's SHA-256 in lower-case hex: images and snapshots
// that contain the init are named by it.
func Digest() string {
	sum := sha256.Sum256(binary)
	return hex.EncodeToString(sum[:])
}
