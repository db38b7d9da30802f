"""The client for asyncio: the same as the sync one, and what differs."""

from __future__ import annotations

import asyncio
import inspect
import tempfile
import unittest
from pathlib import Path
from typing import Any, List
from unittest import mock

import tako_vm
from tako_vm import aio

from .stub import Answer, StubCase
from .test_calls import NO, RAN
from .test_events import event, stream
from .test_files import zipped
from .test_typed import SHAPE, Total, total


SESSION = "Union[httpx.Client, Session]"  # of the sync client


def public(thing: Any) -> List[str]:
    return sorted(n for n in dir(thing) if not n.startswith("_"))


class Mirror(unittest.TestCase):
    def test_the_same_calls(self) -> None:
        self.assertEqual(public(aio.TakoVM), public(tako_vm.TakoVM))
        for name in public(tako_vm.TakoVM) + ["__init__"]:
            ours, theirs = getattr(aio.TakoVM, name), getattr(tako_vm.TakoVM, name)
            if not callable(ours):
                continue
            with self.subTest(name):
                mine, other = inspect.signature(ours), inspect.signature(theirs)
                self.assertEqual(str(mine).replace("httpx.AsyncClient", SESSION).replace("AsyncIterator", "Iterator"), str(other))
                streams = "Iterator" in str(other)
                self.assertEqual(inspect.iscoroutinefunction(ours), not streams and name not in ("__init__", "from_env"))
                self.assertEqual(inspect.getdoc(ours), inspect.getdoc(theirs) if name != "__init__" else inspect.getdoc(ours))

    def test_the_same_functions(self) -> None:
        for name in aio.__all__:
            ours, theirs = getattr(aio, name), getattr(tako_vm, name)
            if inspect.isfunction(ours):
                self.assertEqual(list(inspect.signature(ours).parameters), list(inspect.signature(theirs).parameters))
        functions = {n for n in tako_vm.functions.__all__ if n != "client"}
        self.assertEqual(set(aio.__all__), functions | {"Sandbox", "TakoVM", "sandbox_run"})


class Calls(StubCase):
    def setUp(self) -> None:
        async def sleep(seconds: float) -> None:
            if seconds:  # httpx's own are of 0
                self.pauses.append(seconds)

        super().setUp()
        patch = mock.patch("tako_vm.aio.client.asyncio.sleep", sleep)
        patch.start()
        self.addCleanup(patch.stop)

    def run_with(self, answers: List[Any], work: Any) -> Any:
        stub, _ = self.serve(*answers)

        async def main() -> Any:
            async with aio.TakoVM(stub.url) as c:
                return await work(c)

        return asyncio.run(main())

    def test_answers_and_errors(self) -> None:
        async def work(c: aio.TakoVM) -> None:
            self.assertEqual(await c.pool_stats(), {"pending": 1})
            self.assertEqual(self.pauses, [0.5])
            with self.assertRaises(tako_vm.ClientError) as caught:
                await c.cancel("j")
            self.assertEqual(caught.exception.correlation_id, "of-the-body")
            self.assertEqual(await c.send(total, SHAPE, 5), Total(3))

        self.run_with([Answer(503, NO), Answer(200, {"pending": 1}), Answer(404, NO), Answer(200, {**RAN, "output": {"x": 3}})], work)

    def test_events_resume(self) -> None:
        async def work(c: aio.TakoVM) -> List[str]:
            return [e.id async for e in c.events("j")]

        answers = [stream(event(1, "stdout", text="a"), hang_up=True), stream(event(2, "end", status="succeeded"))]
        self.assertEqual(self.run_with(answers, work), ["1", "2"])

    def test_files_stay_inside(self) -> None:
        async def work(c: aio.TakoVM) -> List[Path]:
            with self.assertRaises(tako_vm.UnsafePathError):
                await c.save_artifacts("j", folder)
            with self.assertRaises(tako_vm.TransportError):
                await c.save_artifact("j", "x", folder)
            await c.save_artifact("j", "x", folder)
            return [p for p in Path(folder).rglob("*")]

        with tempfile.TemporaryDirectory() as folder:
            answers = [Answer(200, zipped(("../x", b"1"))), Answer(200, b"abc", hang_up=True), Answer(200, b"abc")]
            self.assertEqual(self.run_with(answers, work), [Path(folder, "x")])

    def test_functions(self) -> None:
        stub, _ = self.serve(Answer(200, {"pending": 2}))

        async def main() -> Any:
            aio.configure(stub.url)
            return await aio.pool_stats()

        with mock.patch("tako_vm.aio.functions._client", None):
            self.assertEqual(asyncio.run(main()), {"pending": 2})
