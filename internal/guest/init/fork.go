package main

import (
	"syscall"
	"unsafe"

	"github.com/takovm/tako/internal/guest/wire"
)

// Package syscall can fork, too, but not set a limit on the child alone, and
// limits on init would bind init: a kernel that counts its threads against
// RLIMIT_NPROC refuses the very fork. So this is syscall.ForkExec over again,
// with the steps a sandbox needs, on the runtime's own hooks for it; gVisor
// uses the same ones and the runtime promises to keep them.

//go:linkname beforeFork syscall.runtime_BeforeFork
func beforeFork()

//go:linkname afterFork syscall.runtime_AfterFork
func afterFork()

//go:linkname afterForkInChild syscall.runtime_AfterForkInChild
func afterForkInChild()

func vfork() (pid, errno uintptr)

// userUmask is what programs start with.
const userUmask = 0o022

// birth is all that the child needs, in the kernel's form, since it may not
// allocate; stage and errno are what it leaves behind in the shared memory if
// it did not get as far as exec.
type birth struct {
	path, dir  *byte
	argv, envv []*byte
	uid, gid   uintptr
	fds        [3]int
	limits     [wire.MaxRlimits + 1]struct {
		resource uintptr
		value    syscall.Rlimit
	}
	nlimits int
	filter  filterProgram

	stage wire.Stage
	errno syscall.Errno
}

// fork starts the program and returns when it has been executed or has failed.
func fork(run *wire.Run, args, env []*byte, fds [3]int) (int, wire.Stage, syscall.Errno) {
	path, err := syscall.BytePtrFromString(run.Path)
	if err != nil {
		return 0, wire.StageExec, syscall.EINVAL
	}
	dir, err := syscall.BytePtrFromString(run.Dir)
	if err != nil {
		return 0, wire.StageDir, syscall.EINVAL
	}
	b := &birth{path: path, dir: dir, argv: append(args, nil), envv: append(env, nil), uid: uintptr(run.UID),
		gid: uintptr(run.GID), fds: fds, filter: filterProgram{length: uint16(len(userFilter)), code: &userFilter[0]}}
	b.limit(syscall.RLIMIT_CORE, 0, 0)
	for _, l := range run.Rlimits {
		b.limit(uintptr(l.Resource), l.Soft, l.Hard)
	}
	b.stage = wire.StageFork
	pid, errno := bear(b)
	afterFork()
	if errno != 0 {
		return 0, wire.StageFork, errno
	}
	if b.errno != 0 {
		syscall.Wait4(int(pid), nil, waitAll, nil)
		return 0, b.stage, b.errno
	}
	return int(pid), 0, 0
}

func (b *birth) limit(resource uintptr, soft, hard uint64) {
	b.limits[b.nlimits].resource = resource
	b.limits[b.nlimits].value = syscall.Rlimit{Cur: soft, Max: hard}
	b.nlimits++
}

// bear forks and, in the child, does not return. The parent sleeps meanwhile
// and must leave this frame at once when it wakes: the child has used it.
// Between the fork and the end nothing may allocate, grow the stack or call
// more than raw system calls. The bounding set is empty and no_new_privs set
// already on this thread, so that leaving uid 0 leaves no capability behind.
//
//go:noinline
//go:norace
//go:nocheckptr
func bear(b *birth) (pid uintptr, errno syscall.Errno) {
	var (
		e    syscall.Errno
		raw  uintptr
		i    int
		none uint64
		dfl  sigaction
	)
	beforeFork()
	pid, raw = vfork()
	if pid != 0 {
		return pid, syscall.Errno(raw)
	}
	afterForkInChild()

	// What is ignored would stay ignored in the program, be it by init or by
	// whoever started it; handlers do not. SIGKILL and SIGSTOP refuse.
	b.stage = wire.StageSession
	for i = 1; i <= lastSignal; i++ {
		syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(i), uintptr(unsafe.Pointer(&dfl)), 0, 8, 0, 0)
	}
	syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, 2, uintptr(unsafe.Pointer(&none)), 0, 8, 0, 0)
	if _, _, e = syscall.RawSyscall(syscall.SYS_SETSID, 0, 0, 0); e != 0 {
		goto failed
	}

	b.stage = wire.StageFiles
	for i = 0; i < len(b.fds); i++ {
		if _, _, e = syscall.RawSyscall(syscall.SYS_DUP3, uintptr(b.fds[i]), uintptr(i), 0); e != 0 {
			goto failed
		}
	}
	if _, _, e = syscall.RawSyscall(sysCloseRange, 3, ^uintptr(0)>>33, closeRangeCloexec); e != 0 {
		goto failed
	}

	b.stage = wire.StageRlimits
	for i = 0; i < b.nlimits; i++ {
		_, _, e = syscall.RawSyscall6(syscall.SYS_PRLIMIT64, 0, b.limits[i].resource,
			uintptr(unsafe.Pointer(&b.limits[i].value)), 0, 0, 0)
		if e != 0 {
			goto failed
		}
	}

	b.stage = wire.StageIdentity
	syscall.RawSyscall(syscall.SYS_UMASK, userUmask, 0, 0)
	if _, _, e = syscall.RawSyscall(syscall.SYS_SETGROUPS, 0, 0, 0); e != 0 {
		goto failed
	}
	if _, _, e = syscall.RawSyscall(syscall.SYS_SETRESGID, b.gid, b.gid, b.gid); e != 0 {
		goto failed
	}
	if _, _, e = syscall.RawSyscall(syscall.SYS_SETRESUID, b.uid, b.uid, b.uid); e != 0 {
		goto failed
	}

	// As the user: what it may not enter, it does not start in.
	b.stage = wire.StageDir
	if _, _, e = syscall.RawSyscall(syscall.SYS_CHDIR, uintptr(unsafe.Pointer(b.dir)), 0, 0); e != 0 {
		goto failed
	}

	// From here on it is user code, of which nothing is init's any more.
	b.stage = wire.StageFilter
	if _, _, e = syscall.RawSyscall(sysSeccomp, seccompSetModeFilter, 0, uintptr(unsafe.Pointer(&b.filter))); e != 0 {
		goto failed
	}

	b.stage = wire.StageExec
	_, _, e = syscall.RawSyscall(syscall.SYS_EXECVE, uintptr(unsafe.Pointer(b.path)),
		uintptr(unsafe.Pointer(&b.argv[0])), uintptr(unsafe.Pointer(&b.envv[0])))
failed:
	b.errno = e
	for {
		syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 127, 0, 0)
	}
}
