"""A job's output while it runs, over a connection that breaks.

events() follows a job to its end. When a connection is lost it makes another and
goes on behind the last event: nothing is missing, nothing comes twice. To show it,
the network of this example loses the first connection.

Start a server first: tako server.
"""

import os
from typing import Iterator

import httpx

from tako_vm import TakoVM

JOB = """
import time
for n in range(1, 6):
    print("step", n, flush=True)
    time.sleep(0.3)
"""


class Broken(httpx.SyncByteStream):
    """A stream that breaks off behind the first line of output."""

    def __init__(self, whole: httpx.SyncByteStream) -> None:
        self.whole = whole

    def __iter__(self) -> Iterator[bytes]:
        came = b""
        for chunk in self.whole:
            came += chunk
            line = came.find(b'\\n"')  # as JSON has its end
            end = came.find(b"\n\n", line)  # of that event
            if line >= 0 and end >= 0:
                yield came[: end + 2]
                print("-- the connection is lost --")
                raise httpx.ReadError("the connection is lost")

    def close(self) -> None:
        self.whole.close()


class Network(httpx.HTTPTransport):
    """One whose first stream of events breaks."""

    streams = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        if request.url.path.endswith("/events"):
            self.streams += 1
            if self.streams == 1:
                response.stream = Broken(response.stream)
        return response


network = Network()
url = os.environ.get("TAKO_URL") or "http://localhost:8000"
with TakoVM(url, session=httpx.Client(transport=network), api_key=os.environ.get("TAKO_API_KEY")) as tako:
    job = tako.submit_code(JOB)
    seen = []
    for event in tako.events(job):
        seen.append(event.id)
        if event.type == "stdout":
            print(event.text, end="")
    print("end:", event.status)
    print("connections:", network.streams)

    # Another program, or this one after a restart, goes on where this one was: it
    # needs the job's id and that of the last event that it has seen.
    for event in tako.events(job, after=seen[-2]):
        print("and once more:", event.type, event.status)
