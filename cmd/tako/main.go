// The runtime would keep the cgroup's files of the host open in every sandbox,
// to adapt the number of processors; gVisor sets that number itself.

//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0

// Command tako runs untrusted code in isolated sandboxes.
package main

import (
	"fmt"
	"os"

	"github.com/takovm/tako"
	"github.com/takovm/tako/internal/cli"
	"github.com/takovm/tako/internal/engine/gvisor"
)

func main() {
	tako.Child() // this binary is executed again to be a sandbox: that comes first
	if cgo {
		fmt.Fprintln(os.Stderr, "tako: this binary was built with cgo and cannot start sandboxes; build it with CGO_ENABLED=0 go build ./cmd/tako")
		os.Exit(125)
	}
	gvisor.DeferCollection()
	os.Exit(cli.Main(os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}
