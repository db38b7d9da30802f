"""Reads the posture of the sandbox it runs in, as user code, and prints it as
one JSON object. Every value is plain data; the test compares it with what is
expected, and one that cannot be read is the name of its error."""
import ctypes, errno, json, os, socket, struct, sys

def attempt(f):
    try:
        return f()
    except OSError as e:
        return errno.errorcode.get(e.errno, str(e))
    except Exception as e:
        return type(e).__name__

def read(path):
    return attempt(lambda: open(path).read())

def status(pid, *names):
    fields = dict(line.split(":\t", 1) for line in read(f"/proc/{pid}/status").splitlines())
    return {n: fields.get(n, "missing").strip() for n in names}

CAPS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp")

def mounts():
    lines = []
    for line in read("/proc/self/mounts").splitlines():
        source, target, kind, options, _, _ = line.split(" ")
        options = [o for o in options.split(",") if not o.startswith("ifd=")]
        lines.append(f"{source} {target} {kind} {','.join(options)}")
    return sorted(lines)

def devices():
    return sorted(os.path.join(d, f)[5:] for d, _, files in os.walk("/dev") for f in files)

libc = ctypes.CDLL(None, use_errno=True)

def call(number, *args):
    # A call that the profile lets through may do anything to this process.
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        ctypes.set_errno(0)
        result = libc.syscall(number, *args)
        os.write(w, errno.errorcode.get(ctypes.get_errno(), "0").encode() if result == -1 else b"allowed")
        os._exit(0)
    os.close(w)
    out = os.read(r, 64).decode()
    os.close(r)
    os.waitpid(pid, 0)
    return out or "died"

# Numbers of linux/amd64, from the kernel's syscall_64.tbl.
CALLS = {
    "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "fsopen": 430, "fsconfig": 431, "fsmount": 432,
    "fspick": 433, "move_mount": 429, "open_tree": 428, "mount_setattr": 442, "swapon": 167, "swapoff": 168,
    "quotactl": 179, "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "unshare": 272,
    "setns": 308, "keyctl": 250, "add_key": 248, "request_key": 249, "bpf": 321, "perf_event_open": 298,
    "userfaultfd": 323, "lookup_dcookie": 212, "init_module": 175, "finit_module": 313, "delete_module": 176,
    "kexec_load": 246, "kexec_file_load": 320, "reboot": 169, "open_by_handle_at": 304, "name_to_handle_at": 303,
    "ioperm": 173, "iopl": 172, "modify_ldt": 154, "personality": 135, "uselib": 134, "vhangup": 153, "acct": 163,
    "syslog": 103, "sethostname": 170, "setdomainname": 171, "io_uring_setup": 425, "io_uring_enter": 426,
    "io_uring_register": 427, "clone3": 435, "pidfd_getfd": 438,
}
CLONE = 56
SIGCHLD = 17
FLAGS = {
    "CLONE_NEWUSER": 0x10000000, "CLONE_NEWNS": 0x20000, "CLONE_NEWPID": 0x20000000, "CLONE_NEWNET": 0x40000000,
    "CLONE_NEWIPC": 0x8000000, "CLONE_NEWUTS": 0x4000000, "CLONE_NEWCGROUP": 0x2000000,
}

def connect(family, kind, address):
    s = socket.socket(family, kind)
    s.settimeout(2)
    try:
        s.connect(address)
        return "connected"
    finally:
        s.close()

def make(family, kind, proto=0):
    socket.socket(family, kind, proto).close()
    return "made"

def interfaces():
    return sorted(name for _, name in socket.if_nameindex())

def write(path):
    with open(path, "w") as f:
        f.write("x")
    os.unlink(path)
    return "written"

def execute(directory):
    path = directory + "/program"
    with open(path, "w") as f:
        f.write("#!/bin/sh\nexit 0\n")
    os.chmod(path, 0o755)
    try:
        return os.spawnv(os.P_WAIT, path, [path])
    finally:
        os.unlink(path)

def size(path):
    st = os.statvfs(path)
    return {"bytes": st.f_blocks * st.f_frsize, "files": st.f_files}

def meminfo():
    for line in read("/proc/meminfo").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024

import resource
print(json.dumps({
    "ids": [os.getresuid(), os.getresgid(), os.getgroups()],
    "self": status("self", *CAPS),
    "init": status(1, "Name", "Uid", *CAPS),
    "init_descriptors": attempt(lambda: os.listdir("/proc/1/fd")),
    "init_signal": attempt(lambda: os.kill(1, 9)),
    "init_memory": attempt(lambda: open("/proc/1/mem").read(1)),
    "init_environment": read("/proc/1/environ"),
    "descriptors": sorted(int(f) for f in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{f}")),
    "core_limit": resource.getrlimit(resource.RLIMIT_CORE),
    "hostname": socket.gethostname(),
    "mounts": mounts(),
    "devices": devices(),
    "sys": sorted(os.listdir("/sys")),
    "memory": meminfo(),
    "processors": os.cpu_count(),
    "cpuinfo": read("/proc/cpuinfo").strip(),
    "sentry_meminfo": read("/proc/sentry-meminfo").strip(),
    "sizes": {p: size(p) for p in ("/tmp", "/output", "/app", "/code", "/input", "/dev/shm")},
    "writes": {p: attempt(lambda: write(p + "/x")) for p in
               ("/", "/usr", "/etc", "/dev", "/sys", "/.tako", "/code", "/input", "/tmp", "/output", "/app", "/dev/shm",
                "/home/sandbox", "/proc/sys/kernel")},
    "execution": {p: attempt(lambda: execute(p)) for p in ("/tmp", "/app", "/output", "/dev/shm")},
    "masked": {p: attempt(lambda: len(open(p).read(16))) for p in
               ("/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sched_debug", "/proc/kallsyms", "/proc/acpi",
                "/proc/scsi", "/sys/firmware", "/proc/sysrq-trigger", "/.tako/init", "/dev/fuse", "/dev/net/tun",
                "/dev/mem", "/dev/kmsg")},
    "interfaces": attempt(interfaces),
    "network": {
        "tcp4": attempt(lambda: connect(socket.AF_INET, socket.SOCK_STREAM, ("192.0.2.1", 80))),
        "udp4": attempt(lambda: connect(socket.AF_INET, socket.SOCK_DGRAM, ("192.0.2.1", 53))),
        "tcp6": attempt(lambda: connect(socket.AF_INET6, socket.SOCK_STREAM, ("2001:db8::1", 80))),
        "metadata": attempt(lambda: connect(socket.AF_INET, socket.SOCK_STREAM, ("169.254.169.254", 80))),
        "dns": attempt(lambda: socket.getaddrinfo("example.com", 80)),
        "raw": attempt(lambda: make(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)),
        "packet": attempt(lambda: make(socket.AF_PACKET, socket.SOCK_RAW)),
        "vsock": attempt(lambda: make(40, socket.SOCK_STREAM)),
        "alg": attempt(lambda: make(38, socket.SOCK_SEQPACKET)),
    },
    "calls": {name: call(number, 0, 0, 0, 0, 0, 0) for name, number in CALLS.items()},
    "clone": {name: call(CLONE, flag | SIGCHLD, 0, 0, 0, 0) for name, flag in FLAGS.items()},
}))
