"""Functions of dataclasses."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import unittest
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Dict, List, Literal, Optional, Tuple, Union
from unittest import mock

from tako_vm import ExecutionError, SDKExecutionError, ValidationError
from tako_vm._convert import Misfit, build
from tako_vm._typed import typed

from .stub import Answer, StubCase
from .test_calls import NO, RAN


@dataclass
class Point:
    x: int
    y: float = 0.0


@dataclass
class Shape:
    points: List[Point]
    name: Optional[str] = None
    tags: Dict[str, Union[int, str]] = field(default_factory=dict)
    size: Tuple[int, ...] = ()


@dataclass
class Total(Point):
    kind: Literal["sum", "none"] = "sum"


def total(shape: Shape) -> Total:
    import math

    return Total(sum(p.x for p in shape.points), math.fsum(p.y for p in shape.points))


def untyped(shape):  # type: ignore[no-untyped-def]
    return shape


def plain(n: int) -> Point:
    return Point(n)


def two(a: Point, b: Point) -> Point:
    return a


SHAPE = Shape([Point(1, 0.5), Point(2)], "s", {"a": 1, "b": "c"}, (1, 2))


class Typed(StubCase):
    def test_the_program_runs_alone(self) -> None:
        job = typed(total, SHAPE)
        with TemporaryDirectory() as folder:
            (Path(folder) / "data.json").write_text(json.dumps(job.input_data))
            code = job.code.replace("/input/", folder + "/").replace("/output/", folder + "/")
            subprocess.run([sys.executable, "-I", "-c", code], check=True, timeout=30)
            output = json.loads((Path(folder) / "result.json").read_text())
        self.assertEqual(output, {"x": 3, "y": 0.5, "kind": "sum"})
        self.assertEqual(job.result(output), Total(3, 0.5))

    def test_send(self) -> None:
        _, c = self.serve(Answer(200, {**RAN, "output": {"x": 3, "y": 1}}))
        got = c.send(total, SHAPE, 5)
        self.assertEqual((got, type(got.y)), (Total(3, 1.0), float))

    def test_send_of_what_fails(self) -> None:
        failed = {**RAN, "success": False, "error": "ValueError: no", "exit_code": 1}
        _, c = self.serve(Answer(200, failed))
        e = self.fails(SDKExecutionError, lambda: c.send(total, SHAPE, 5))
        self.assertEqual(
            (str(e), e.stdout, e.stderr, e.exit_code, e.correlation_id), ("ValueError: no", "out", "err", 1, "of-the-server")
        )
        self.assertIs(ExecutionError, SDKExecutionError)

    def test_a_result_that_does_not_fit(self) -> None:
        answer = Answer(200, {**RAN, "output": {"x": "three"}})
        _, c = self.serve(answer, answer)
        e = self.fails(ValidationError, lambda: c.send(total, SHAPE, 5))
        self.assertIn("result.x is str and no int", str(e))
        self.assertEqual(e.correlation_id, "of-the-server")
        got = c.send_raw(total, SHAPE, 5)
        self.assertEqual((got.success, got.output), (True, {"x": "three"}))
        self.assertIn("does not fit Total", str(got.deserialization_error))

    def test_send_raw(self) -> None:
        _, c = self.serve(Answer(200, {**RAN, "output": {"x": 3}}), Answer(422, NO), lambda seen: None)
        got = c.send_raw(total, SHAPE, 5)
        want = {**RAN, "output": Total(3), "job_id": "api-1", "correlation_id": "of-the-server", "deserialization_error": None}
        del want["execution_id"]
        self.assertEqual({f.name: getattr(got, f.name) for f in dataclasses.fields(got)}, want)
        got = c.send_raw(total, SHAPE, 5)
        self.assertEqual((got.success, got.correlation_id), (False, "of-the-body"))
        self.assertEqual(got.error, "Request failed: Client error 422 on POST /execute: no")
        self.assertRegex(str(c.send_raw(total, SHAPE, 5).error), "^Request failed: .*cannot be reached")

    def test_submit(self) -> None:
        stub, c = self.serve(Answer(200, {"job_id": "j"}))
        self.assertEqual(c.submit(total, SHAPE, idempotency_key="mine-4711"), "j")
        self.assertEqual(stub.seen[0].json["input_data"]["points"], [{"x": 1, "y": 0.5}, {"x": 2, "y": 0.0}])

    def test_what_is_no_typed_function(self) -> None:
        stub, c = self.serve()
        outer = 1

        def closure(p: Point) -> Point:
            return Point(outer)

        for func, given in (
            (untyped, SHAPE), (plain, 1), (two, Point(1)), (total, Point(1)), (total, {"points": []}), (closure, Point(1)),
            (lambda p: p, Point(1)), (print, Point(1)), (Total, Point(1)), (total, Shape([Point(float("nan"))])),
            (total, Shape([object()])),  # type: ignore[list-item]
        ):
            with self.subTest(func=func):
                self.fails(ValidationError, lambda: c.send(func, given))
                self.fails(ValidationError, lambda: c.submit(func, given))
        with mock.patch("inspect.getsource", side_effect=OSError("no source")):
            self.fails(ValidationError, lambda: c.send_raw(total, SHAPE))
        self.assertEqual(stub.seen, [])


class Convert(unittest.TestCase):
    def test_fits(self) -> None:
        cases: List[Tuple[Any, Any, Any]] = [
            (Shape, json.loads(json.dumps(dataclasses.asdict(SHAPE))), SHAPE),
            (Any, [1], [1]),
            (float, 1, 1.0),
            (Optional[int], None, None),
            (Union[float, int], 1, 1),
            (List[Optional[Point]], [{"x": 1}, None], [Point(1), None]),
            (Tuple[int, str], [1, "a"], (1, "a")),
            (Dict[str, Point], {"a": {"x": 1}}, {"a": Point(1)}),
            (set, [1, 1], {1}),
        ]
        for kind, value, want in cases:
            got = build(kind, value)
            self.assertEqual((got, type(got)), (want, type(want)))

    def test_does_not_fit(self) -> None:
        for kind, value in (
            (Point, {"x": True}), (Point, {"x": 1.5}), (Point, {}), (Point, {"x": 1, "z": 2}), (Point, [1]), (Point, None),
            (int, "1"), (str, 1), (List[int], ["a"]), (List[int], {}), (Tuple[int, int], [1]), (Optional[int], "a"),
            (Literal["a"], "b"), (Dict[str, int], {"a": None}), (float, True),
        ):
            with self.subTest(kind=kind), self.assertRaises(Misfit):
                build(kind, value)
