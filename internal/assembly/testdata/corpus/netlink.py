# Interfaces and addresses as the kernel tells them.
import array
import fcntl
import socket
import struct

def dump(kind):
    s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    s.bind((0, 0))
    s.send(struct.pack('=IHHII', 20, kind, 0x301, 1, 0) + bytes(4))
    data = s.recv(65536)
    while data:
        length, what, flags, seq, _ = struct.unpack_from('=IHHII', data)
        print(kind, what, flags, seq, data[16:length].hex())
        data = data[(length + 3) & ~3:]
for kind in (18, 22, 26):  # RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE
    try: dump(kind)
    except OSError as e: print(kind, e)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for name, number in (('flags', 0x8913), ('address', 0x8915), ('mask', 0x891b), ('mtu', 0x8921), ('hardware', 0x8927), ('index', 0x8933), ('txqlen', 0x8942)):
    try: print(name, fcntl.ioctl(s, number, struct.pack('16s24x', b'lo'))[16:32].hex())
    except OSError as e: print(name, e)
buffer = array.array('B', bytes(400))
length = struct.unpack('iP', fcntl.ioctl(s, 0x8912, struct.pack('iP', 400, buffer.buffer_info()[0])))[0]
print(buffer[:length].tobytes().hex())
for level, options in ((socket.SOL_SOCKET, range(1, 60)), (socket.IPPROTO_TCP, range(1, 30)), (socket.IPPROTO_IP, range(1, 30))):
    t = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    found = {}
    for o in options:
        try: found[o] = t.getsockopt(level, o, 16).hex()
        except OSError as e: found[o] = e.errno
    print(level, found)
