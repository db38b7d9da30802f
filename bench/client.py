# Measures what the Python client adds to a call: GET /health of the server in the
# first argument, one call after the other by each, so that all see the same
# machine. Prints JSON, in milliseconds.
import http.client, json, socket, sys, time
from urllib.parse import urlsplit

import httpx
from tako_vm import TakoVM

url, calls = sys.argv[1], int(sys.argv[2])
at = urlsplit(url)
raw = http.client.HTTPConnection(at.hostname, at.port)
raw.connect()
raw.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as httpx does
library, client = httpx.Client(), TakoVM(url)


# Each hands over what the caller wants: the answer, decoded and of a good status.
def by_http_client():
    raw.request("GET", "/health")
    answer = raw.getresponse()
    assert answer.status == 200
    return json.loads(answer.read())


def by_httpx():
    answer = library.get(url + "/health")
    answer.raise_for_status()
    return answer.json()


ways = {"http_client": by_http_client, "httpx": by_httpx, "client": client.health}
took = {name: [] for name in ways}
for n in range(calls + 20):  # the first connect, and are not counted
    for name, call in ways.items():
        begun = time.perf_counter()
        body = call()
        ms = (time.perf_counter() - begun) * 1000
        assert body["status"] == "healthy", body
        if n >= 20:
            took[name].append(ms)
print(json.dumps({"version": httpx.__version__, **took}))
