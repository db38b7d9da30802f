"""Streams that break off, end early, or are none."""

from __future__ import annotations

import json
from typing import Any

import httpx

from tako_vm import ClientError, Event, MalformedResponseError, TransportError
from tako_vm._sse import Frames

from .stub import Answer, StubCase


def event(id: int, type: str, **data: Any) -> bytes:
    body = json.dumps({"ts": "2026-01-01T00:00:00Z", "attempt": 0, **data})
    return f"id: {id}\nevent: {type}\ndata: {body}\n\n".encode()


def stream(*events: bytes, hang_up: bool = False) -> Answer:
    return Answer(200, b": hello\n\n" + b"".join(events), {"Content-Type": "text/event-stream"}, hang_up)


class Events(StubCase):
    def test_resumes_behind_the_last_event(self) -> None:
        stub, c = self.serve(
            stream(event(1, "status", status="running"), event(2, "stdout", text="a"), b"id: 3\nevent: stdo", hang_up=True),
            lambda seen: None,
            Answer(503, {"detail": "the server is stopping"}),
            stream(event(3, "stdout", b64="/w=="), event(4, "end", status="succeeded")),
        )
        got = list(c.events("j"))
        self.assertEqual([e.id for e in got], ["1", "2", "3", "4"])
        self.assertEqual((got[1].text, got[2].bytes, got[2].text, got[3].status), ("a", b"\xff", "\ufffd", "succeeded"))
        self.assertEqual([s.headers["Last-Event-ID"] for s in stub.seen], [None, "2", "2", "2"])
        self.assertEqual(stub.seen[0].headers["Accept"], "text/event-stream")

    def test_a_stream_that_ends_in_order_before_the_job(self) -> None:
        stub, c = self.serve(
            stream(event(1, "stdout", text="a")), Answer(200, {"status": "running"}), stream(event(2, "end", status="failed"))
        )
        self.assertEqual([e.type for e in c.events("j")], ["stdout", "end"])

    def test_nothing_behind_the_end(self) -> None:
        _, c = self.serve(stream(), Answer(200, {"status": "succeeded"}), stream())
        self.assertEqual(list(c.events("j", after="9")), [])

    def test_what_is_stored(self) -> None:
        stub, c = self.serve(stream(event(1, "stdout", text="a")))
        self.assertEqual(len(list(c.events("j", follow=False, after="0"))), 1)
        self.assertEqual((stub.seen[0].path, stub.seen[0].headers["Last-Event-ID"]), ("/jobs/j/events?follow=false", "0"))

    def test_patience_ends(self) -> None:
        _, c = self.serve(stream(event(1, "stdout", text="a"), hang_up=True), *[Answer(503, {"detail": "no"})] * 99)
        got = c.events("j", patience=0.0)
        self.assertEqual(next(got).text, "a")
        self.fails(TransportError, lambda: next(got))

    def test_what_is_no_stream(self) -> None:
        _, c = self.serve(Answer(404, {"detail": "Job not found", "correlation_id": "x"}))
        self.assertEqual(self.fails(ClientError, lambda: list(c.events("j"))).correlation_id, "x")
        for answer in (Answer(200, {}), stream(b"id: 1\nevent: stdout\ndata: {nonsense\n\n"), stream(b"data: [1]\n\n")):
            _, c = self.serve(answer)
            self.assertEqual(self.fails(MalformedResponseError, lambda: list(c.events("j"))).correlation_id, "of-the-server")
        _, c = self.serve()
        self.fails(MalformedResponseError, lambda: Event("1", "stdout", "", 0, {"b64": "%"}).bytes)

    def test_who_leaves_ends_the_connection(self) -> None:
        with httpx.Client() as session:
            _, c = self.serve(stream(event(1, "stdout", text="a"), hang_up=True), session=session)
            for _ in c.events("j"):
                break
            self.assertEqual(len(session._transport._pool.connections), 0)  # type: ignore[attr-defined]

    def test_frames_come_in_any_pieces(self) -> None:
        text = "id: 1\r\nevent: a\r\ndata: \u00e9\r\ndata:  y\r\n\r\n: note\n\ndata: 2\n\nevent: cut".encode()
        for size in (1, 2, 3, 7, 1000):
            frames = Frames("0")
            got = [f for n in range(0, len(text), size) for f in frames.feed(text[n : n + size])]
            self.assertEqual([(f.id, f.name, f.data) for f in got], [("1", "a", "\u00e9\n y"), ("1", "", "2")])

    def test_endless_frame(self) -> None:
        frames = Frames()
        with self.assertRaises(ValueError):
            for _ in range(20):
                list(frames.feed(b"x" * (1 << 20)))
