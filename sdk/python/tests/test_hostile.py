"""What a hostile server, model or environment may try. Every case ends in an
exception of this package, or in text for the model."""

from __future__ import annotations

import asyncio
import dataclasses
import gzip
import json
import unittest
import zlib
from typing import Any, Dict, List, Optional
from unittest import mock

import requests

from tako_vm import (
    ClientError,
    MalformedResponseError,
    TakoVM,
    UnsafePathError,
    ValidationError,
    WebhookError,
    _body,
    _wire,
    aio,
    sign_webhook,
    verify_webhook,
)
from tako_vm._folder import parts_of
from tako_vm._plans import files
from tako_vm._sse import Frames
from tako_vm.tools import Tools

from .stub import Answer, StubCase

DEEP = b"[" * 200_000 + b"]" * 200_000


@dataclasses.dataclass
class Node:
    value: float
    next: Optional["Node"] = None


def twice(node: Node) -> Node:
    return node


class Answers(StubCase):
    def test_too_much(self) -> None:
        bomb = gzip.compress(b" " * (_body.MAX_ANSWER + 1), 1)
        _, c = self.serve(Answer(200, bomb, {"Content-Encoding": "gzip"}))
        e = self.fails(MalformedResponseError, c.health)
        self.assertIn("longer than 128 MiB", str(e))
        self.assertEqual(e.correlation_id, "of-the-server")

    def test_encodings_that_nobody_asked_for(self) -> None:
        for encoding in ("br", "zstd", "gzip, gzip", "nonsense"):
            with self.subTest(encoding):
                a = Answer(200, gzip.compress(gzip.compress(b"{}")), {"Content-Encoding": encoding})
                stub, c = self.serve(a, a, a)
                self.assertIn("encoded as", str(self.fails(MalformedResponseError, c.health)))
                self.assertIn("encoded as", str(self.fails(MalformedResponseError, lambda: list(c.events("j")))))
                over = TakoVM(stub.url, session=requests.Session())
                self.assertIn("encoded as", str(self.fails(MalformedResponseError, over.health)))
                self.assertEqual({seen.headers["Accept-Encoding"] for seen in stub.seen}, {"gzip, deflate"})

    def test_what_was_asked_for(self) -> None:
        for encoding, body in (("gzip", gzip.compress(b'{"status": "healthy"}')), ("deflate", zlib.compress(b'{"status": "healthy"}'))):
            stub, c = self.serve(*[Answer(200, body, {"Content-Encoding": encoding})] * 2)
            self.assertEqual(c.health(), {"status": "healthy"})
            self.assertEqual(TakoVM(stub.url, session=requests.Session()).health(), {"status": "healthy"})

    def test_asyncio_is_the_same(self) -> None:
        async def asked(url: str) -> None:
            async with aio.TakoVM(url) as c:
                await c.health()

        a = Answer(200, b"{}", {"Content-Encoding": "br"})
        bomb = Answer(200, gzip.compress(b" " * (_body.MAX_ANSWER + 1), 1), {"Content-Encoding": "gzip"})
        stub, _ = self.serve(a, bomb)
        self.fails(MalformedResponseError, lambda: asyncio.run(asked(stub.url)))
        self.fails(MalformedResponseError, lambda: asyncio.run(asked(stub.url)))

    def test_errors_are_cut(self) -> None:
        _, c = self.serve(Answer(404, {"detail": "x" * (_body.MAX_ERROR * 2)}))
        self.assertLess(len(str(self.fails(ClientError, c.health))), 1000)

    def test_when_to_come_back(self) -> None:
        for text, want in (
            ("9" * 400, float(_wire.LONGEST)),
            ("9" * 5000, float(_wire.LONGEST)),
            ("-5", 0.0),
            ("NaN", None),
            ("inf", None),
            ("1e3", None),
            ("Mon, 01 Jan 9999 00:00:00 GMT", float(_wire.LONGEST)),
            ("Mon, 01 Jan 0001 00:00:00 GMT", 0.0),
            ("Mon, 01 Jan 2024 00:00:00 +999999999999999", None),
        ):
            with self.subTest(text[:30]):
                _, c = self.serve(*[Answer(429, {"detail": "slowly"}, {"Retry-After": text})] * 4)
                got = self.fails(ClientError, c.health).retry_after
                self.assertEqual(got, want)

    def test_wait_ends_when_it_was_to_end(self) -> None:
        for timeout in (5.0, None):
            _, c = self.serve(*[Answer(429, {"detail": "slowly"}, {"Retry-After": "100000"})] * 4)
            self.assertEqual(self.fails(ClientError, lambda: c.wait("j", timeout=timeout)).status_code, 429)
        self.assertEqual(self.pauses, [])

    def test_nested_deep(self) -> None:
        stream = b"event: status\ndata: " + DEEP + b"\n\n"
        _, c = self.serve(Answer(200, DEEP), Answer(404, DEEP), Answer(200, stream, {"Content-Type": "text/event-stream"}))
        self.fails(MalformedResponseError, c.health)
        self.fails(ClientError, c.health)
        self.fails(MalformedResponseError, lambda: list(c.events("j")))
        self.fails(WebhookError, lambda: verify_webhook("s", DEEP, sign_webhook("s", DEEP)))

    def test_many_lines_of_one_event(self) -> None:
        lines = b"data\n" * 10_000
        with self.assertRaises(ValueError):
            frames = Frames()
            for _ in range(40):  # 2 MB on the wire, 15 here
                list(frames.feed(lines))

    def test_results_that_do_not_fit(self) -> None:
        deep: Dict[str, Any] = {"value": 1}
        for _ in range(400):
            deep = {"value": 1, "next": deep}
        huge = b'{"success": true, "output": {"value": ' + b"9" * 400 + b"}}"
        _, c = self.serve(Answer(200, {"timeout": 1}), Answer(200, {"success": True, "output": deep}), Answer(200, huge))
        for _ in range(2):
            e = self.fails(ValidationError, lambda: c.send(twice, Node(1)))
            self.assertIn("does not fit Node", str(e))
            self.assertEqual(e.correlation_id, "of-the-server")

    def test_times_of_a_hostile_job_type(self) -> None:
        for seconds in (10**400, -(10**6)):
            body = json.dumps({"timeout": seconds}).encode()
            _, c = self.serve(Answer(200, body), Answer(200, {"success": True}))
            self.assertTrue(c.execute("x").success)


class Texts(StubCase):
    def test_what_is_not_utf8(self) -> None:
        stub, c = self.serve()
        for call in (
            lambda: c.get_status("\ud800"),
            lambda: c.save_artifact("j", "\ud800", "/nowhere"),
            lambda: c.list_executions(labels={"a": "\ud800"}),
            lambda: c.submit_code("\ud800"),
            lambda: c.submit_code("x", correlation_id="\ud800"),
            lambda: verify_webhook("s", "\ud800", "t=1,v1=" + "0" * 64),
        ):
            self.fails(ValidationError, call)
        self.assertEqual(stub.seen, [])

    def test_addresses(self) -> None:
        for url in ("http://[::1", "http://u:secret@host:bad", "file:///etc", "http://", "//x", "http://h:99999"):
            with self.subTest(url):
                self.assertNotIn("secret", str(self.fails(ValidationError, lambda: TakoVM(url))))

    def test_the_key_is_nowhere(self) -> None:
        _, c = self.serve(api_key="the-key")
        ready = c._wire.ready(_wire.get("/health"))
        self.assertIn((b"Authorization", b"Bearer the-key"), ready.headers)
        self.assertNotIn("the-key", repr(ready) + repr(c) + repr(c._wire) + str(c.base_url))

    def test_devices_of_windows(self) -> None:
        names = ("NUL", "con.txt", "a/COM1", "Lpt9 .log", "aux")
        for name in names:
            self.assertEqual("/".join(parts_of(name)), name)
        with mock.patch("tako_vm._folder.os.name", "nt"):
            for name in names:
                self.fails(UnsafePathError, lambda: parts_of(name))
            self.assertEqual(parts_of("console/com10"), ["console", "com10"])


class Model(StubCase):
    def test_any_arguments(self) -> None:
        _, c = self.serve()
        tools = Tools(c)
        deep = "[" * 100_000
        for name, given in (
            (["run_code"], {}),
            (None, None),
            ("run_code", b"{}"),
            ("run_code", deep),
            ("run_code", '{"code": ' + "9" * 5000 + "}"),
            ("run_code", {"code": "\ud800", "timeout": 1}),
            ("get_execution", {"execution_id": "\ud800"}),
            ("get_execution", {"execution_id": ".."}),
            ("read_artifact", {"execution_id": "a", "name": "\ud800"}),
            ("read_artifact", {"execution_id": "a", "name": "x", "offset": -1}),
            ("read_artifact", {"execution_id": "a", "name": "../x"}),
        ):
            with self.subTest(str(given)[:40]):
                self.assertTrue(tools.call(name, given).startswith("Error: "))  # type: ignore[arg-type]

    def test_any_time(self) -> None:
        for seconds in (10**400, 10**12, -(10**9)):
            refused = Answer(422, {"detail": [{"loc": 7, "msg": "too long"}]})
            stub, c = self.serve(refused)
            text = Tools(c).call("run_code", {"code": "x", "timeout": seconds})
            self.assertEqual(text, "Error: : too long")
            self.assertEqual(len(stub.seen), 1)

    def test_records_of_other_types(self) -> None:
        record = {"stdout": 1, "stderr": ["x"], "artifacts": [1, None, "x", {"name": "a"}], "output": 2}
        _, c = self.serve(Answer(200, record), Answer(200, {"artifacts": 3}))
        text = json.loads(Tools(c).call("get_execution", {"execution_id": "a"}))
        self.assertEqual((text["stdout"], text["artifacts"], text["output"]), ("", [{"name": "a"}], 2))
        self.assertIn('"artifacts": []', Tools(c).call("get_execution", {"execution_id": "a"}))

    def test_outputs_that_cannot_be_sent_on(self) -> None:
        half = Answer(200, b'{"output": {"\\ud800": "\\udfff"}, "artifacts": []}')
        said = Answer(404, b'{"detail": "\\ud800"}')
        deep = Answer(200, b'{"success": true, "output": ' + DEEP + b"}")
        _, c = self.serve(half, said, deep)
        for _ in range(2):
            Tools(c).call("get_execution", {"execution_id": "a"}).encode("utf-8")
        text = Tools(c).call("run_code", {"code": "x", "timeout": 1})
        self.assertRegex(text, "^Error: .* nested too deep$")

    def test_an_offset_costs_nothing(self) -> None:
        taken: List[int] = []

        class Counted(bytearray):
            def __iadd__(self, more: Any) -> "Counted":
                taken.append(len(more))
                return super().__iadd__(more)  # type: ignore[return-value]

        _, c = self.serve(Answer(200, b"x" * 1_000_000), Answer(200, b"0123456789"))
        with mock.patch.object(files, "bytearray", Counted, create=True):
            text = json.loads(Tools(c).call("read_artifact", {"execution_id": "a", "name": "n", "offset": 10**15}))
        self.assertEqual((text["bytes"], text["more"], sum(taken)), (0, False, 0))
        text = json.loads(Tools(c).call("read_artifact", {"execution_id": "a", "name": "n", "offset": 3, "limit": 4}))
        self.assertEqual((text["content"], text["size_bytes"], text["more"]), ("3456", 10, True))


if __name__ == "__main__":
    unittest.main()
