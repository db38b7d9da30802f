# Measures connections to the bench's server; prints JSON.
import json, socket, sys, time

host, port, connections, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])


def connect(what, n=0):
    s = socket.create_connection((host, port), 60)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    s.sendall(f"{what} {n}\n".encode())
    return s


def ms(begun):
    return (time.perf_counter() - begun) * 1000


first, echo = [], []
for _ in range(connections):
    begun = time.perf_counter()
    with connect("first") as s:
        assert s.recv(1) == b"x"
        first.append(ms(begun))
with connect("echo") as s:
    for _ in range(10 * connections):
        begun, got = time.perf_counter(), b""
        s.sendall(bytes(64))
        while len(got) < 64:
            got += s.recv(64)
        echo.append(ms(begun))
with connect("down", size) as s:
    begun, left, buffer = time.perf_counter(), size, bytearray(1 << 20)
    while left:
        n = s.recv_into(buffer)
        assert n
        left -= n
    down = size / 1e6 / (ms(begun) / 1000)
with connect("up", size) as s:
    begun, left, chunk = time.perf_counter(), size, bytes(1 << 20)
    while left:
        left -= s.send(chunk[:left])
    assert s.recv(1) == b"x"
    up = size / 1e6 / (ms(begun) / 1000)
print(json.dumps({"connect": first, "echo": echo, "down": down, "up": up}))
