"""What a job does and says, over as many connections as it takes."""

from __future__ import annotations

import json
import time
from typing import Any, Optional

from .._sse import Frame, Frames
from .._wire import FAILURES, Close, Emit, Pause, Plan, Read, Wire, _temporary, get, malformed, path, query
from ..errors import MalformedResponseError, TakoVMError, TransportError
from ..results import Event

SILENCE = 60.0  # seconds after which a stream counts as cut: the server says something every 15
LIVED = 5.0  # seconds after which a connection counts as a success
TERMINAL = ("succeeded", "failed", "timeout", "oom", "cancelled")


class _Follower:
    def __init__(self, wire: Wire, id: str, after: Optional[str], follow: bool, patience: float) -> None:
        self.wire = wire
        self.id = id
        self.path = path("/jobs/", id, "/events")
        self.after = after or ""
        self.follow = follow
        self.patience = patience
        self.until = time.monotonic() + patience
        self.tries = 0
        self.opened = False  # a connection was had
        self.news = False  # the last connection had events
        self.ended = False  # the job had, before the last connection
        self.done = False  # there was the end event

    def renew(self) -> None:
        self.until, self.tries = time.monotonic() + self.patience, 0

    def run(self) -> Plan[None]:
        while True:
            error: Optional[TakoVMError] = None
            try:
                yield from self.connection()
                if self.done or (yield from self.over()):
                    return
            except TakoVMError as e:
                if not self.opened or not _temporary(e):
                    raise
                error = e
            if error is None and self.ended:
                continue  # for what was said since
            if error is None:
                error = TransportError("the server ends the stream of events again and again")
            wait = getattr(error, "retry_after", None) or min(0.1 * 2**self.tries, 5.0)
            self.tries = min(self.tries + 1, 10)
            if time.monotonic() + wait > self.until:
                raise error
            yield Pause(wait)

    def over(self) -> Plan[bool]:
        """Asked where a stream ended in order but without the end event: the
        server stops, or there is nothing after the event to begin with."""
        if not self.follow or self.ended and not self.news:
            return True
        status = yield from self.wire.object(get(path("/jobs/", self.id)))
        self.ended = status.get("status") in TERMINAL
        return False

    def connection(self) -> Plan[None]:
        """Reads one stream to its end."""
        headers = {"Accept": "text/event-stream"}
        if self.after:
            headers["Last-Event-ID"] = self.after
        call = get(self.path, query(follow=None if self.follow else "false"), read=SILENCE, headers=headers)
        self.news = False
        reply = yield from self.wire.open(call)
        since = time.monotonic()
        self.opened = True
        known = reply.headers.get("X-Correlation-ID")
        kind = (reply.headers.get("Content-Type") or "of no type").partition(";")[0].strip()
        if kind != "text/event-stream":
            raise malformed(reply, call, f"its events are {kind}")
        frames = Frames(self.after)
        while not self.done:
            try:
                chunk: bytes = yield Read(reply.stream)
            except FAILURES as e:
                if time.monotonic() - since > LIVED:
                    self.renew()
                raise self.wire.failed(e, known) from e
            if not chunk:
                break
            try:
                for frame in frames.feed(chunk):
                    yield from self.take(frame, known)
                    if self.done:
                        break
            except ValueError as e:
                raise malformed(reply, call, str(e)) from e
        if time.monotonic() - since > LIVED:
            self.renew()
        yield Close(reply.stream)

    def take(self, frame: Frame, known: Optional[str]) -> Plan[None]:
        try:
            data: Any = json.loads(frame.data)
        except (ValueError, RecursionError):
            data = None
        if not isinstance(data, dict):
            raise MalformedResponseError("of the job's events there is one that is not understood", correlation_id=known)
        attempt = data.get("attempt")
        event = Event(frame.id, frame.name, str(data.get("ts", "")), attempt if isinstance(attempt, int) else 0, data)
        self.after, self.news = frame.id, True
        self.renew()
        self.done = event.type == "end"
        yield Emit(event)


def events(wire: Wire, id: str, after: Optional[str], follow: bool, patience: float) -> Plan[None]:
    """A job's events: what is stored, then what happens, to its end."""
    return (yield from _Follower(wire, id, after, follow, patience).run())
