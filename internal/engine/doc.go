// Package engine is the contract of an isolation engine: the thing that runs
// code nobody trusts and lets it touch nothing.
//
// # Vocabulary
//
// An image is one read-only EROFS file; a sandbox mounts it as its root. A
// sandbox is one running instance: its own kernel, processes, mounts and
// network, and exactly one descriptor of the host, the control socket, beside
// that of its link, where it has one. The
// init is the first program inside; it owns the inner end of that socket as
// descriptor 3 and starts everything else. A snapshot is a stopped sandbox on
// disk, from which any number of sandboxes continue.
//
// # Lifecycle
//
// Launch returns when init runs; Restore when the snapshot's processes run
// again, with a new control socket in the place of the old. A sandbox is used
// once. It ends when init exits, when it is destroyed, when its memory limit
// is hit, when the engine fails, or when the process that launched it dies:
// a sandbox never outlives its launcher. Destroy must be called exactly
// because of what remains after the others: it releases the cgroup, the state
// and the descriptors, may be called at any time and any number of times, and
// returns when nothing of the sandbox is left on the host.
//
// Wait returns the same Exit to every caller, any number of times. Its Cause
// comes from facts: the kernel's counters and the wait status of the engine's
// process, so that a program inside cannot pretend another end. The exit code
// of user code is not the engine's business: init reports it over the control
// socket. An engine process that dies by itself is CauseEngine, whatever its
// exit code looks like.
//
// # Who may call what
//
// Every method may be called from any goroutine. Exec and Signal address a
// running sandbox and answer ErrGone once it ended; Stats answers the last
// numbers seen. Contexts bound the call, not the life of the sandbox.
//
// # Fail closed
//
// Probe says what the host can enforce. Launch refuses a spec whose limits it
// cannot enforce, unless the spec says Permissive; then Sandbox.Unenforced
// names what is missing, for the record.
package engine
