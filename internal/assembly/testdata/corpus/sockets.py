import os
import socket
import struct
import threading

print(socket.if_nameindex(), socket.gethostname().startswith('tako-'), socket.has_ipv6, socket.getdefaulttimeout())
for family, address in ((socket.AF_INET, '127.0.0.1'), (socket.AF_INET6, '::1')):
    s = socket.create_server((address, 0), family=family)
    c = socket.create_connection(s.getsockname()[:2], timeout=5)
    a, peer = s.accept()
    c.sendall(b'x' * 100_000)
    got = 0
    while got < 100_000: got += len(a.recv(65536))
    print(got, peer[0], a.getpeername() == c.getsockname(), c.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF), c.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG))
    u = socket.socket(family, socket.SOCK_DGRAM); u.bind((address, 0)); u.settimeout(5)
    u.sendto(b'datagram', u.getsockname()); print(u.recvfrom(100)[0])
    for x in (s, c, a, u): x.close()
a, b = socket.socketpair()
socket.send_fds(a, [b'fd'], [1]); msg, fds, *_ = socket.recv_fds(b, 10, 1); print(msg, fds); os.write(fds[0], b'passed on\n')
print(struct.unpack('3i', a.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)) == (os.getpid(), os.getuid(), os.getgid()))
s = socket.socket(socket.AF_UNIX); s.bind('\0abstract'); s.listen(); c = socket.socket(socket.AF_UNIX); c.connect('\0abstract'); print(s.accept()[1])
for target in (('192.0.2.1', 80), ('127.0.0.1', 1), ('example.com', 80), ('localhost', 1), ('10.0.0.1', 53)):
    try: socket.create_connection(target, timeout=2)
    except OSError as e: print(target, type(e).__name__, e)
for family, kind in ((socket.AF_PACKET, socket.SOCK_RAW), (socket.AF_NETLINK, socket.SOCK_RAW), (socket.AF_INET, socket.SOCK_RAW), (socket.AF_VSOCK, socket.SOCK_STREAM), (38, 5)):
    try: print(family, socket.socket(family, kind))
    except OSError as e: print(family, kind, e)
print(socket.getaddrinfo('localhost', 80, type=socket.SOCK_STREAM))
for name in ('tcp', 'udp', 'unix', 'dev', 'route', 'if_inet6'): print(name, len(open('/proc/net/' + name).readlines()) > 0)
