//go:build tako_faults

package assembly

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// fault, in the binary that make crash builds, kills this process when the
// point of failure of TAKO_FAULT ("finish.commit", or "finish.commit:3" for its
// third time) is reached, as a power cut would: nothing is closed, nothing told.
// With TAKO_FAULT=list it names the points on standard error.
func fault() func(point string) error {
	at, count, _ := strings.Cut(os.Getenv("TAKO_FAULT"), ":")
	if at == "" {
		return nil
	}
	n, err := strconv.ParseInt(count, 10, 64)
	if err != nil {
		n = 1
	}
	stderr := os.Stderr // the engine lends the variable to sandboxes
	var seen atomic.Int64
	return func(point string) error {
		if at == "list" {
			fmt.Fprintln(stderr, "tako: point of failure", point)
		}
		if point == at && seen.Add(1) == n {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // until it is dead
		}
		return nil
	}
}
