import os

print(sorted(n for n in os.listdir('/proc') if not n.isdigit()))
for top in ('/proc/sys', '/proc/self/net'):
    for d, dirs, files in os.walk(top):
        dirs.sort()
        for name in sorted(files):
            path = os.path.join(d, name)
            try: print(path, '' if 'random' in path or 'hostname' in path else repr(open(path).read()))
            except OSError as e: print(path, e.strerror)
for name in ('cgroups', 'cmdline', 'cpuinfo', 'devices', 'loadavg', 'modules', 'version', 'sentry-meminfo'):
    print(name, repr(open('/proc/' + name).read()))
print(sorted(open('/proc/filesystems')))
print([l for l in open('/proc/meminfo') if l.startswith(('MemTotal', 'Swap', 'Buffers', 'Mlocked', 'Dirty'))])
free = {l.split(':')[0]: int(l.split()[1]) for l in open('/proc/meminfo')}
print(free['MemFree'] > 0.9 * free['MemTotal'], free['MemAvailable'] > 0.9 * free['MemTotal'], free['AnonPages'] < 10_000)
