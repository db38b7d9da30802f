"""Tools for a model: what it is told, what it gets, what it can mend."""

from __future__ import annotations

import asyncio
import base64
import inspect
import json
import os
import typing
import unittest
from typing import Any, Dict, List

from tako_vm import ClientError, ServerError, TakoVM, TransportError, aio
from tako_vm._tools import DEFINITIONS, MAX_READ, MAX_TEXT
from tako_vm.aio.tools import Tools as AsyncTools
from tako_vm.tools import Tools

from .stub import Answer, StubCase
from .test_calls import NO, RAN

URL = os.environ.get("TAKO_TEST_URL", "")
RECORD = {"execution_id": "api-1", "status": "succeeded", "exit_code": 0, "stdout": "out", "stderr": "", "output": None, "error": None,
          "artifacts": [{"name": "a.png", "size_bytes": 3, "sha256": "0", "content_type": "image/png"}], "ended_by": {"actor": "user_code"}}


def as_a_framework(function: Any) -> Dict[str, Any]:
    """What agent frameworks make of a function: a name, a text and a schema, from
    its signature, annotations and docstring."""
    plain = {str: "string", int: "integer", List[str]: "array", List[Dict[str, str]]: "array"}
    hints = typing.get_type_hints(function)
    said, _, args = (inspect.getdoc(function) or "").partition("\n\nArgs:\n")
    described = dict(line.strip().split(": ", 1) for line in args.splitlines())
    properties, required = {}, []
    for name, p in inspect.signature(function).parameters.items():
        hint = hints[name]
        inner = [a for a in typing.get_args(hint) if a is not type(None)] if typing.get_origin(hint) is typing.Union else [hint]
        properties[name] = {"type": plain[inner[0]], "description": described[name]}
        if p.default is p.empty:
            required.append(name)
    assert hints["return"] is str
    return {"name": function.__name__, "description": said, "properties": properties, "required": required}


class Told(unittest.TestCase):
    def test_each_api_has_its_shape(self) -> None:
        tools = Tools(None)  # type: ignore[arg-type]
        for chat, flat, other in zip(tools.openai(), tools.openai_responses(), tools.anthropic()):
            self.assertEqual((chat["type"], flat["type"]), ("function", "function"))
            self.assertEqual(chat["function"]["parameters"], other["input_schema"])
            self.assertEqual(set(other), {"name", "description", "input_schema"})
            self.assertEqual(flat, {"type": "function", **chat["function"], "strict": False})
        self.assertEqual([d["name"] for d in tools.anthropic()], ["run_code", "get_execution", "read_artifact"])
        json.dumps(tools.openai())

    def test_what_is_answered_is_the_callers(self) -> None:
        tools = Tools(None)  # type: ignore[arg-type]
        tools.openai()[0]["function"]["parameters"]["properties"]["files"]["items"].clear()
        self.assertTrue(tools.openai()[0]["function"]["parameters"]["properties"]["files"]["items"])

    def test_functions_say_what_the_definitions_do(self) -> None:
        for kind in (Tools, AsyncTools):
            functions = kind(None).functions()  # type: ignore[arg-type]
            self.assertEqual([f.__name__ for f in functions], list(DEFINITIONS))
            for f in functions:
                d = DEFINITIONS[f.__name__]
                plain = {n: {"type": p["type"], "description": p["description"]} for n, p in d.properties.items()}
                want = {"name": d.name, "description": d.description, "properties": plain, "required": list(d.required)}
                self.assertEqual(as_a_framework(f), want)


class Called(StubCase):
    def test_code(self) -> None:
        stub, c = self.serve(Answer(200, {"timeout": 5}), Answer(200, {**RAN, "success": False}), Answer(200, RECORD))
        files = [{"path": "t", "content": "x"}, {"path": "b", "content_base64": "/w=="}]
        got = json.loads(Tools(c, job_type="agent").call("run_code", json.dumps({"code": "1/0", "files": files, "language": None})))
        self.assertEqual(got, {"execution_id": "api-1", "status": "succeeded", "exit_code": 0, "stdout": "out", "stderr": "",
                               "ended_by": {"actor": "user_code"},
                               "artifacts": [{"name": "a.png", "size_bytes": 3, "content_type": "image/png"}]})
        sent = stub.seen[1].json
        self.assertEqual(sent, {"code": "1/0", "input_data": {}, "job_type": "agent", "cancel_on_disconnect": True,
                                "files": [{"path": "t", "text": "x"}, {"path": "b", "content": "/w=="}]})
        self.assertEqual(stub.seen[2].path, "/executions/api-1?view=full")

    def test_long_texts_are_cut_and_said_to_be(self) -> None:
        long = "\u00e9" * MAX_TEXT
        _, c = self.serve(Answer(200, {**RECORD, "stdout": long, "stderr_truncated": True, "output": ["x" * MAX_TEXT]}))
        got = json.loads(Tools(c).call("get_execution", {"execution_id": "api-1"}))
        self.assertEqual(got["stdout"], "\u00e9" * (MAX_TEXT // 2))
        self.assertNotIn("output", got)
        self.assertEqual(got["cut"], [f"stdout: {MAX_TEXT} bytes are shown", "stderr: 0 bytes are shown",
                                      f"output: its {MAX_TEXT + 4} bytes are left out"])

    def test_artifacts(self) -> None:
        long = b"x" + "\u00e9".encode() * MAX_READ
        answers = [Answer(200, long, {"Content-Type": "text/plain"})] * 2 + [Answer(200, b"\xff" * 50_000), Answer(200, b"")]
        stub, c = self.serve(*answers)
        read = Tools(c).functions()[2]
        first = json.loads(read("api-1", "d/a.txt"))
        self.assertEqual(stub.seen[0].path, "/jobs/api-1/artifacts/d/a.txt")
        self.assertEqual((first["bytes"], first["size_bytes"], first["more"]), (MAX_READ - 1, len(long), True))
        self.assertEqual(first["content_type"], "text/plain")
        then = json.loads(read("api-1", "d/a.txt", offset=first["bytes"], limit=5))
        self.assertEqual((then["content"], then["bytes"], then["more"]), ("\u00e9\u00e9", 4, True))
        data = json.loads(read("api-1", "b"))
        self.assertEqual((base64.b64decode(data["content_base64"]), data["more"]), (b"\xff" * MAX_TEXT, True))
        empty = json.loads(read("api-1", "e", offset=7))
        self.assertEqual((empty["content"], empty["more"]), ("", False))

    def test_what_a_model_can_mend(self) -> None:
        stub, c = self.serve()
        file = {"path": "a"}
        for name, arguments, want in (
            ("run", {}, "there is no tool 'run'; there are run_code, get_execution, read_artifact"),
            ("run_code", "{", "the arguments of run_code are not JSON"),
            ("run_code", "[1]", "must be an object"),
            ("run_code", "", "run_code needs 'code': the program"),
            ("run_code", None, "run_code needs 'code'"),
            ("run_code", {"cod": "1", "code": "1"}, "run_code has no 'cod'; it has code, language"),
            ("run_code", {"code": 1}, "run_code: code must be of type string"),
            ("run_code", {"code": "1", "timeout": "5"}, "run_code: timeout must be of type integer"),
            ("run_code", {"code": "1", "timeout": True}, "run_code: timeout must be of type integer"),
            ("run_code", {"code": "1", "requirements": ["a", 1]}, "run_code: requirements[1] must be of type string"),
            ("run_code", {"code": "1", "files": [{}]}, "run_code: files[0] needs 'path'"),
            ("run_code", {"code": "1", "files": [{**file, "content_base64": "?"}]}, "of the file 'a' is not base64"),
            ("run_code", {"code": "1", "files": [{**file, "content": "", "content_base64": ""}]}, "needs exactly one of"),
            ("get_execution", {"execution_id": "."}, "is no id"),
            ("read_artifact", {"execution_id": "j", "name": "../x"}, "../x"),
            ("read_artifact", {"execution_id": "j", "name": "x", "offset": -1}, "must not be negative"),
        ):
            with self.subTest(name=name, arguments=arguments):
                got = Tools(c).call(name, arguments)  # type: ignore[arg-type]
                self.assertTrue(got.startswith("Error: "), got)
                self.assertIn(want, got)
        self.assertEqual(stub.seen, [])

    def test_what_the_server_refuses(self) -> None:
        problem = {"type": "x", "loc": ["body", "timeout"], "msg": "must be at most 300"}
        _, c = self.serve(Answer(422, {"detail": [problem]}), Answer(404, {"detail": "Execution not found"}))
        self.assertEqual(Tools(c).call("run_code", {"code": "1", "timeout": 9999}), "Error: timeout: must be at most 300")
        self.assertEqual(Tools(c).call("get_execution", {"execution_id": "x"}), "Error: Execution not found")

    def test_what_it_cannot_mend_is_raised(self) -> None:
        _, c = self.serve(Answer(500, NO), Answer(401, NO), Answer(200, b"x", hang_up=True))
        self.fails(ServerError, lambda: Tools(c).call("run_code", {"code": "1", "timeout": 1}))
        self.fails(ClientError, lambda: Tools(c).call("get_execution", {"execution_id": "x"}))
        self.fails(TransportError, lambda: Tools(c).call("read_artifact", {"execution_id": "x", "name": "y"}))

    def test_asyncio(self) -> None:
        stub, _ = self.serve(Answer(200, RECORD))

        async def main() -> None:
            async with aio.TakoVM(stub.url) as c:
                tools = AsyncTools(c)
                self.assertIn("needs 'code'", await tools.call("run_code", {}))
                self.assertEqual(json.loads(await tools.functions()[1](execution_id="api-1"))["stdout"], "out")

        asyncio.run(main())


@unittest.skipUnless(URL, "TAKO_TEST_URL is not set")
class Server(unittest.TestCase):
    def test_a_model_at_work(self) -> None:
        with TakoVM(URL) as c:
            tools = Tools(c)
            failed = json.loads(tools.call("run_code", {"code": "print(1/0)"}))
            self.assertEqual((failed["status"], failed["error"]["type"]), ("failed", "division_error"))
            self.assertIn("ZeroDivisionError", failed["stderr"])
            code = "open('/output/d.csv', 'w').write(open('/input/in').read() * 2); print(open('/input/in').read())"
            done = json.loads(tools.call("run_code", {"code": code, "files": [{"path": "in", "content": "a,b\n"}]}))
            self.assertEqual((done["status"], done["stdout"]), ("succeeded", "a,b\n\n"))
            self.assertEqual(done["artifacts"], [{"name": "d.csv", "size_bytes": 8, "content_type": "text/csv; charset=utf-8"}])
            read = json.loads(tools.call("read_artifact", {"execution_id": done["execution_id"], "name": "d.csv", "offset": 4}))
            self.assertEqual((read["content"], read["more"]), ("a,b\n", False))
            self.assertEqual(json.loads(tools.call("get_execution", {"execution_id": done["execution_id"]})), done)
            self.assertIn("is disabled", tools.call("run_code", {"code": "1", "requirements": ["six"]}))
            self.assertIn("Error: ", tools.call("run_code", {"code": "1", "timeout": 10**6}))
            self.assertIn("Error: ", tools.call("read_artifact", {"execution_id": done["execution_id"], "name": "none"}))


if __name__ == "__main__":
    unittest.main()
