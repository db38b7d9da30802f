package gvisor

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// guestSeccomp is the profile of user code. The wall is gVisor's Sentry, which
// implements these calls itself; this profile takes away what user code has no
// use for and what widens the Sentry's surface. A denied call answers EPERM.
//
// It is not part of a sandbox's spec: compiled, it is a constant of the guest
// init (internal/guest/init/filter_amd64.go), which puts it on the program. A
// filter in the spec would be compiled for every sandbox and be on init, too,
// whose every thread would have it evaluated for all system calls at a restore.
func guestSeccomp() *specs.LinuxSeccomp {
	deny := func(names ...string) specs.LinuxSyscall {
		return specs.LinuxSyscall{Names: names, Action: specs.ActErrno}
	}
	return &specs.LinuxSeccomp{
		DefaultAction: specs.ActAllow,
		Architectures: []specs.Arch{specs.ArchX86_64},
		Syscalls: append([]specs.LinuxSyscall{
			// The mount family: the Sentry's private file systems.
			deny("mount", "umount2", "pivot_root", "chroot", "fsopen", "fsconfig", "fsmount", "fspick",
				"move_mount", "open_tree", "mount_setattr", "swapon", "swapoff", "quotactl", "quotactl_fd"),
			// Other processes' memory and descriptors.
			deny("ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "kcmp", "pidfd_getfd"),
			// Namespaces; clone and clone3 are below.
			deny("unshare", "setns"),
			// Keys, programs in the kernel, tracing.
			deny("keyctl", "add_key", "request_key", "bpf", "perf_event_open", "userfaultfd", "lookup_dcookie"),
			// Modules and other kernels.
			deny("init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot"),
			// Handles that go around path checks.
			deny("open_by_handle_at", "name_to_handle_at"),
			// The machine: ports, segments, personality, host name, kernel log.
			deny("ioperm", "iopl", "modify_ldt", "personality", "uselib", "vhangup", "acct", "syslog",
				"sethostname", "setdomainname"),
			// Asynchronous I/O through shared rings.
			deny("io_uring_setup", "io_uring_enter", "io_uring_register"),
		}, cloneRules()...),
	}
}

// cloneRules deny new namespaces to clone, whose flags a filter can see, and
// answer ENOSYS to clone3, whose flags it cannot: a traced call without a
// tracer is "not implemented", and libraries go back to clone.
func cloneRules() []specs.LinuxSyscall {
	rules := []specs.LinuxSyscall{{Names: []string{"clone3"}, Action: specs.ActTrace}}
	for _, flag := range []uint64{
		unix.CLONE_NEWUSER, unix.CLONE_NEWNS, unix.CLONE_NEWPID, unix.CLONE_NEWNET,
		unix.CLONE_NEWIPC, unix.CLONE_NEWUTS, unix.CLONE_NEWCGROUP,
	} {
		rules = append(rules, specs.LinuxSyscall{
			Names:  []string{"clone"},
			Action: specs.ActErrno,
			Args:   []specs.LinuxSeccompArg{{Index: 0, Value: flag, ValueTwo: flag, Op: specs.OpMaskedEqual}},
		})
	}
	return rules
}
