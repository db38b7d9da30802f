// Package tako runs code that nobody trusts from a Go program: each time in a
// fresh gVisor sandbox of this machine, without a server and without the tako
// command.
//
//	//go:debug containermaxprocs=0
//	//go:debug updatemaxprocs=0
//	package main
//
//	func main() {
//		tako.Child() // first of all: this program is executed again to be the sandbox
//
//		result, err := tako.Run(context.Background(), "print(6 * 7)", tako.Options{Timeout: 5 * time.Second})
//		if err != nil {
//			log.Fatal(err)
//		}
//		fmt.Print(result.Stdout)
//	}
//
// A sandbox is another process of the same binary. So main begins with [Child],
// and the program is built with CGO_ENABLED=0: a sandbox has no dynamic loader.
// A program that cannot be, a test for one, names the tako command as
// Options.Executable. Without the two go:debug lines the Go runtime keeps the
// host's cgroup files open in each sandbox, for code that has escaped to read.
//
// What is run is Python of this machine, as tako run has it, with the
// configuration of tako run: files, TAKO_VM_DATA_DIR, TAKO_VM_SECURITY_MODE and
// the rest. Linux on amd64 only. An ordinary user needs user namespaces and,
// without a delegated cgroup, security_mode permissive.
//
// Many jobs, a queue, history, live events: that is a server, whose client is
// github.com/takovm/tako/sdk/go.
package tako
