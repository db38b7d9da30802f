package gvisor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	_ "unsafe" // for go:linkname

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/seccomp/precompiledseccomp"
	"gvisor.dev/gvisor/pkg/sync"
	"gvisor.dev/gvisor/runsc/cli"
	"gvisor.dev/gvisor/runsc/cmd/sentry/sentrycmd"
	"gvisor.dev/gvisor/runsc/cmd/util"

	"github.com/takovm/tako/internal/engine/crash"
	"github.com/takovm/tako/internal/engine/gvisor/early"
)

// Annotations through which a launcher tells its child what gVisor has no
// flag for. The guest never sees the spec.
const (
	annotationJoin  = "dev.tako.cgroup.procs"  // ":"-separated files to write 0 to
	annotationTotal = "dev.tako.memory.total"  // bytes of memory that programs see
	annotationCPUs  = "dev.tako.cpus"          // processors that programs see
	annotationFiles = "dev.tako.tmpfs.entries" // files and directories of each tmpfs
)

// pageSize is the page size of gVisor on amd64.
const pageSize = 4096

// IsChild reports whether this process was executed by gVisor to be (a part
// of) a sandbox. A main that links the engine asks first of all.
func IsChild() bool {
	return len(os.Args) > 0 && os.Args[0] == early.SandboxArg0 || early.Umounts(os.Args)
}

// ChildMain runs the sandbox and does not return.
func ChildMain() {
	DeferCollection()
	registerPrecompiled()
	skipTracePoints()
	if err := prepareChild(); err != nil {
		reportFailure(err)
		os.Exit(125)
	}
	cli.Run(nil, map[util.SubCommand]string{
		new(sentrycmd.Boot):   "",
		new(sentrycmd.Umount): "",
	}, nil)
	os.Exit(0)
}

// DeferCollection keeps the garbage collector out of a process's first moments,
// which for a sandbox or a small command are all of it. The first collection,
// when the heap has grown to a size that they do not reach, turns it on for
// good: what lives on must not grow.
func DeferCollection() {
	const bootHeap = 32 << 20
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(bootHeap)
	sentinel := new([16]byte)
	runtime.SetFinalizer(sentinel, func(*[16]byte) {
		debug.SetGCPercent(100)
		debug.SetMemoryLimit(math.MaxInt64)
	})
}

//go:linkname precompiledPrograms gvisor.dev/gvisor/runsc/boot/filter.precompiledPrograms
var precompiledPrograms map[string]precompiledseccomp.Program

//go:linkname registerPrecompiledOnce gvisor.dev/gvisor/runsc/boot/filter.registerPrecompiledProgramsOnce
var registerPrecompiledOnce sync.Once

// registerPrecompiled fills gVisor's registry of compiled seccomp programs,
// which a plain build leaves empty. A program is looked up by the name of the
// exact options it was compiled for; one that is not found is compiled.
func registerPrecompiled() {
	registerPrecompiledOnce.Do(func() {})
	precompiledPrograms = make(map[string]precompiledseccomp.Program)
	for _, p := range sentryPrograms() {
		precompiledPrograms[p.Name] = p
	}
}

//go:linkname tracePointsOnce gvisor.dev/gvisor/pkg/sentry/seccheck.initOnce
var tracePointsOnce sync.Once

// skipTracePoints keeps gVisor from registering its 700 trace points, which takes
// 4 ms of every start. They are for a monitor outside, which no sandbox has;
// a point that nobody registered is one that nobody has turned on.
func skipTracePoints() { tracePointsOnce.Do(func() {}) }

// prepareChild does, in the first of the processes that become a sandbox,
// what gVisor leaves to its caller: joins the cgroup and corrects the
// arguments. Should gVisor execute the binary once more after it has entered
// its chroot, nothing is left to do.
func prepareChild() error {
	if !early.Boots(os.Args) {
		return nil
	}
	if err := early.Err(); err != nil {
		return err
	}
	boot := slices.Index(os.Args, "boot")
	if err := closeInherited(os.Args); err != nil {
		return err
	}
	annotations, err := readAnnotations(os.Args[boot:])
	if err != nil {
		return err
	}
	if err := joinCgroup(annotations[annotationJoin]); err != nil {
		return err
	}
	args, err := correctArgs(os.Args, boot, annotations)
	os.Args = args
	return err
}

// closeInherited closes what this process was not given. Its launcher talks to
// other sandboxes at the same time, over sockets that gVisor makes without
// close-on-exec; one that is open when a sandbox is forked would stay open in
// it. What is given has the numbers from 3 on, without a gap, and is named in
// the arguments.
func closeInherited(args []string) error {
	last := 2
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok || !strings.HasSuffix(name, "-fd") && !strings.HasSuffix(name, "-fds") {
			continue
		}
		for number := range strings.SplitSeq(value, ",") {
			number, _, _ = strings.Cut(number, ":") // host:guest
			fd, err := strconv.Atoi(number)
			if err != nil {
				return fmt.Errorf("reading %s: %w", arg, err)
			}
			last = max(last, fd)
		}
	}
	return closeAbove(last)
}

// closeAbove closes what was inherited with a number above last: all that is
// open without close-on-exec, for this process opens nothing without it.
func closeAbove(last int) error {
	const most, chunk = 1 << 16, 1 << 12
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("closing inherited descriptors: %w", err)
	}
	end := int(min(limit.Max, most))
	for first := last + 1; first < end; first += chunk {
		fds := make([]unix.PollFd, min(chunk, end-first))
		for i := range fds {
			fds[i].Fd = int32(first + i)
		}
		// One call says of all of them which are open.
		if _, err := unix.Poll(fds, 0); err != nil {
			return fmt.Errorf("closing inherited descriptors: %w", err)
		}
		for _, f := range fds {
			if f.Revents&unix.POLLNVAL != 0 {
				continue
			}
			if flags, err := unix.FcntlInt(uintptr(f.Fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC != 0 {
				continue
			}
			if err := unix.Close(int(f.Fd)); err != nil {
				return fmt.Errorf("closing inherited descriptors: %w", err)
			}
		}
	}
	return nil
}

// readAnnotations reads the OCI spec from the descriptor that boot was given,
// without moving its offset, and decodes what a launcher has told its child.
// All the rest of it gVisor decodes anyway.
func readAnnotations(args []string) (map[string]string, error) {
	fd, err := descriptor(args, "--spec-fd=")
	if err != nil {
		return nil, err
	}
	// Not through os.File, whose finalizer would close what gVisor still needs.
	data := make([]byte, 1<<20)
	n, err := syscall.Pread(fd, data, 0)
	if err != nil {
		return nil, fmt.Errorf("reading the spec: %w", err)
	}
	return findAnnotations(data[:n])
}

// findAnnotations finds the one key of that name: inside a string its quotes
// would be escaped.
func findAnnotations(spec []byte) (annotations map[string]string, err error) {
	_, rest, ok := bytes.Cut(spec, []byte(`"annotations":`))
	if !ok {
		return nil, errors.New("decoding the spec: it has no annotations")
	}
	if err := json.NewDecoder(bytes.NewReader(rest)).Decode(&annotations); err != nil {
		return nil, fmt.Errorf("decoding the spec: %w", err)
	}
	return annotations, nil
}

// joinCgroup moves this process into its cgroup before it does anything that
// counts. (On v2 gVisor starts it there.)
func joinCgroup(files string) error {
	for file := range strings.SplitSeq(files, ":") {
		if file == "" {
			continue
		}
		if err := os.WriteFile(file, []byte("0"), 0); err != nil {
			return fmt.Errorf("joining the sandbox's cgroup: %w", err)
		}
	}
	return nil
}

// correctArgs replaces the host's memory size and processor count with the
// sandbox's and has capabilities dropped in place. gVisor derives the number of entries a tmpfs may have from the
// host's memory, as Linux does: half as many as there are pages.
func correctArgs(args []string, boot int, annotations map[string]string) ([]string, error) {
	total, err := strconv.ParseInt(annotations[annotationTotal], 10, 64)
	if err != nil {
		return args, fmt.Errorf("reading the memory size: %w", err)
	}
	entries, err := strconv.ParseInt(annotations[annotationFiles], 10, 64)
	if err != nil {
		return args, fmt.Errorf("reading the number of files: %w", err)
	}
	values := map[string]string{
		"--total-memory":      strconv.FormatInt(total, 10),
		"--total-host-memory": strconv.FormatInt(entries*2*pageSize, 10),
		"--cpu-num":           annotations[annotationCPUs],
	}
	out := slices.Clone(args[:boot+1])
	for i := boot + 1; i < len(args); i++ {
		name, _, joined := strings.Cut(args[i], "=")
		if _, ours := values[name]; !ours {
			out = append(out, args[i])
			continue
		}
		if !joined {
			i++ // the value is the next argument
		}
	}
	id := out[len(out)-1] // the container's id stays last
	out = out[:len(out)-1]
	for _, name := range []string{"--total-memory", "--total-host-memory", "--cpu-num"} {
		out = append(out, name+"="+values[name])
	}
	// Drop every capability in this process: without the flag gVisor executes
	// the binary once more for it.
	return append(out, "--apply-caps=true", id), nil
}

// descriptor finds the number behind a flag that passes a file.
func descriptor(args []string, flag string) (int, error) {
	for _, arg := range args {
		if v, ok := strings.CutPrefix(arg, flag); ok {
			return strconv.Atoi(v)
		}
	}
	return 0, fmt.Errorf("no %s among the arguments", flag)
}

// reportFailure writes err where the launcher looks for it: gVisor's log.
func reportFailure(err error) {
	out := os.Stderr
	if fd, fdErr := descriptor(os.Args, "--log-fd="); fdErr == nil {
		out = os.NewFile(uintptr(fd), "log")
	}
	_ = json.NewEncoder(out).Encode(crash.Line{Msg: err.Error()})
}
