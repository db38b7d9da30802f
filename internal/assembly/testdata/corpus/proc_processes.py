import os

def read(path):
    try:
        with open(path) as f: return f.read()
    except OSError as e:
        return e.strerror

pids = sorted(int(p) for p in os.listdir('/proc') if p.isdigit())
print(pids == [1, os.getpid()])
for pid in pids:
    d = f'/proc/{pid}/'
    print(pid if pid == 1 else 'mine', read(d + 'comm'), read(d + 'cmdline'), os.stat(d).st_uid, oct(os.stat(d).st_mode))
    print(sorted(os.listdir(d)))
    for name in ('environ', 'auxv', 'maps', 'smaps', 'io', 'mem', 'limits', 'cgroup', 'mounts', 'oom_score_adj', 'uid_map'):
        print(name, read(d + name)[:2000] if pid == 1 or name not in ('auxv', 'maps', 'smaps', 'io', 'mem') else '')
    for name in ('exe', 'cwd', 'root', 'fd/0', 'fd/3', 'ns/pid', 'ns/mnt'):
        try: print(name, os.readlink(d + name))
        except OSError as e: print(name, e.strerror)
    for name in ('fd', 'task', 'ns'):
        try: print(name, name == 'task' or sorted(os.listdir(d + name)))
        except OSError as e: print(name, e.strerror)
    print([l for l in read(d + 'status').splitlines() if not l.startswith(('Vm', 'State', 'volu', 'nonvol', 'Pid', 'Tgid', 'Threads'))])
