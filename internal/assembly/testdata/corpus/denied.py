# Privileged and odd system calls, by number: what they answer.
import ctypes
import os

libc = ctypes.CDLL(None, use_errno=True)
def call(number, *args):
    ctypes.set_errno(0)
    r = libc.syscall(number, *args)
    return 'succeeds' if r >= 0 else os.strerror(ctypes.get_errno())
for name, number, *args in (
        ('ptrace traceme', 101, 0, 0, 0, 0), ('ptrace attach init', 101, 16, 1, 0, 0), ('ptrace seize init', 101, 0x4206, 1, 0, 0),
        ('mount', 165, b'none', b'/tmp', b'tmpfs', 0, 0), ('umount', 166, b'/tmp', 0), ('pivot_root', 155, b'/', b'/'), ('chroot', 161, b'/'),
        ('unshare user', 272, 0x10000000), ('unshare net', 272, 0x40000000), ('setns', 308, 0, 0), ('setuid', 105, 0), ('setgid', 106, 0),
        ('sethostname', 170, b'x', 1), ('settimeofday', 164, None, None), ('reboot', 169, 0xfee1dead, 672274793, 0, 0), ('kexec', 246, 0, 0, 0, 0),
        ('bpf', 321, 0, None, 0), ('perf', 298, None, 0, -1, -1, 0), ('io_uring', 425, 8, None), ('userfaultfd', 323, 0), ('keyctl', 250, 0, -3, 0),
        ('add_key', 248, b'user', b'x', b'y', 1, -3), ('init_module', 175, None, 0, b''), ('quotactl', 179, 0, None, 0, None), ('acct', 163, None),
        ('iopl', 172, 3), ('process_vm_readv', 310, 1, None, 0, None, 0, 0), ('pidfd_open init', 434, 1, 0), ('kcmp', 312, 1, 1, 0, 0, 0),
        ('fanotify', 300, 0, 0), ('name_to_handle', 303, 0, b'/', None, None, 0), ('mknod', 133, b'/tmp/d', 0o20666, 259), ('clone3', 435, None, 0),
        ('seccomp', 317, 0, 0, None), ('personality', 135, 0xffffffff), ('vhangup', 153), ('syslog', 103, 10, None, 0), ('swapon', 167, b'/tmp/x', 0),
        ('landlock', 444, None, 0, 1), ('memfd_secret', 447, 0), ('kill init', 62, 1, 0), ('setsid', 112), ('setpgid', 109, 0, 0),
        ('prlimit init', 302, 1, 7, None, None), ('sched_setaffinity init', 203, 1, 8, None), ('getpriority init', 140, 0, 1), ('tgkill init', 234, 1, 1, 0),
        ('rseq', 334, None, 0, 0, 0), ('membarrier', 324, 0, 0, 0), ('getcpu', 309, None, None, None), ('mlockall', 151, 1)):
    print(name, call(number, *args))
