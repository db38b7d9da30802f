"""The whole surface: names and signatures of Tako VM 0.3, and docs/PYTHON.md."""

from __future__ import annotations

import importlib
import inspect
import re
import unittest
from pathlib import Path
from typing import Any, Dict, List

import tako_vm
from tako_vm import TakoVM
from tako_vm.tools import Tools

NONE = "None"
JOB = "timeout=None, startup_timeout=None, job_type=None, requirements=None, idempotency_key=None, correlation_id=None"
SEND = "func, input_data, timeout=None, job_type=None, requirements=None, startup_timeout=None, idempotency_key=None, correlation_id=None"
CLIENT = "base_url='http://localhost:8000', timeout=30, headers=None, session=None, connect_timeout=10.0, correlation_id=None"

# What Tako VM 0.3 has, written from its contract. What is ours comes behind that
# and is by name only.
CALLS: Dict[str, str] = {
    "send": SEND,
    "send_raw": SEND,
    "configure": CLIENT,
    "submit": "func, input_data, *, " + JOB,
    "submit_code": "code, input_data=None, *, " + JOB,
    "get_status": "job_id",
    "get_result": "job_id, *, timeout=None, view=None",
    "cancel": "job_id",
    "rerun": "job_id, *, job_type=None, timeout=None",
    "fork": "job_id, code, *, job_type=None, timeout=None",
    "download_artifact": "job_id, name",
    "list_executions": "*, status=None, job_type=None, limit=50, offset=0, view=None",
    "get_execution": "execution_id, *, view=None",
    "pool_stats": "",
    "dlq_stats": "",
    "health": "",
    "list_job_types": "",
    "get_job_type": "name",
    "build_job_type": "name",
}
OTHERS: Dict[str, str] = {
    "TakoVM": CLIENT,
    "Sandbox": "image='code-executor:latest', timeout=30, memory_limit='512m', cpu_limit=1.0, network_enabled=False, "
    "allow_runtime_requirements=False, dependency_proxy_url=None, enable_runtime_dependency_cache=False, package_dirs=None, "
    "auto_build=True, startup_timeout=120, cache_scope='default'",
    "SandboxResult": "stdout, stderr, exit_code=0, success=True, output=None, error=None, duration_ms=None",
    "sandbox_run": "code, input_data=None, timeout=30, requirements=None, **kwargs",
    "SDKExecutionError": "message, stdout='', stderr='', exit_code=None, correlation_id=None",
}
NAMES = set(CALLS) | set(OTHERS) | {
    "__version__",
    "APIError", "Artifact", "ClientError", "DEFAULT_IMAGE", "ExecutionError", "ExecutionRecord", "ExecutionResult", "JobType",
    "JobTypeRegistry", "JobVersion", "MAX_REQUIREMENTS", "MalformedResponseError", "ResourceUsage", "ServerError", "TakoVMConfig",
    "TakoVMError", "TransportError", "UV_CACHE_VOLUME", "ValidationError", "get_config", "get_workspace_dir",
}
RESULT = ["success", "output", "execution_time", "stdout", "stderr", "error", "job_type", "exit_code", "correlation_id", "job_id",
          "runtime", "deserialization_error"]


def shown(function: Any) -> List[str]:
    """Parameters as the contract has them, without annotations."""
    out, star = [], False
    for p in inspect.signature(function).parameters.values():
        if p.name == "self":
            continue
        if p.kind is p.KEYWORD_ONLY and not star:
            star = True
            out.append("*")
        out.append(("**" if p.kind is p.VAR_KEYWORD else "") + p.name + ("" if p.default is p.empty else f"={p.default!r}"))
    return out


class Surface(unittest.TestCase):
    def check(self, name: str, function: Any, want: str) -> None:
        wanted = [w for w in want.split(", ") if w]
        got = shown(function)
        more = got[len(wanted) :]
        self.assertEqual(got[: len(wanted)], wanted, name)
        if more and "*" not in wanted:
            self.assertEqual(more.pop(0), "*", name)
        self.assertTrue(all("=" in m for m in more), (name, more))

    def test_signatures(self) -> None:
        for name, want in CALLS.items():
            self.check(name, getattr(tako_vm, name), want)
            if name != "configure":
                self.check(name, getattr(TakoVM, name), want)
                self.assertEqual(shown(getattr(TakoVM, name)), shown(getattr(tako_vm, name)), name)
        for name, want in OTHERS.items():
            self.check(name, getattr(tako_vm, name), want)
        self.assertEqual(shown(tako_vm.Sandbox.run), ["code", "input_data=None", "timeout=None", "requirements=None"])

    def test_names(self) -> None:
        self.assertLessEqual(NAMES, set(tako_vm.__all__))
        for name in tako_vm.__all__:
            self.assertTrue(hasattr(tako_vm, name), name)
        self.assertRegex(tako_vm.__version__, r"^\d+\.\d+\.\d+$")
        self.assertEqual(list(inspect.signature(tako_vm.ExecutionResult).parameters), RESULT)

    def test_small_names(self) -> None:
        self.assertEqual((tako_vm.DEFAULT_IMAGE, tako_vm.MAX_REQUIREMENTS), ("code-executor:latest", 50))
        self.assertEqual(tako_vm.UV_CACHE_VOLUME, "tako-uv-cache")
        built = tako_vm.JobVersion.from_dict({"digest": "d", "version_tag": "t", "of a newer server": 1})
        self.assertEqual(built, tako_vm.JobVersion("d", version_tag="t"))
        file = {"name": "a", "size_bytes": 1, "sha256": "0", "content_type": None}
        record = tako_vm.ExecutionRecord.from_dict(
            {"execution_id": "j", "status": "queued", "artifacts": [file], "resource_usage": {"max_rss_mb": 1.5}, "new": 1}
        )
        self.assertEqual(record.artifacts, [tako_vm.Artifact("a", 1, "0")])
        self.assertEqual(record.resource_usage, tako_vm.ResourceUsage(1.5))
        self.assertFalse(record.terminal)
        self.assertEqual(list(inspect.signature(tako_vm.SandboxResult).parameters)[:2], ["stdout", "stderr"])

    def test_exceptions(self) -> None:
        for name in ("TransportError", "APIError", "SDKExecutionError", "MalformedResponseError", "ValidationError"):
            self.assertTrue(issubclass(getattr(tako_vm, name), tako_vm.TakoVMError))
        for kind in (tako_vm.ServerError, tako_vm.ClientError):
            self.assertTrue(issubclass(kind, tako_vm.APIError))
        self.assertIs(tako_vm.ExecutionError, tako_vm.SDKExecutionError)

    def test_all_of_it_is_installed(self) -> None:
        root = Path(tako_vm.__file__).parent
        there = {"tako_vm"} | {".".join(("tako_vm", *p.parent.relative_to(root).parts)) for p in root.rglob("__init__.py")}
        project = (root.parent / "pyproject.toml").read_text("utf-8")
        listed = re.search(r"^packages = \[(.*)\]$", project, re.MULTILINE)
        self.assertEqual(set(re.findall(r'"([^"]+)"', listed.group(1) if listed else "")), there)

    def test_everything_is_annotated(self) -> None:
        functions = [getattr(tako_vm, n) for n in tako_vm.__all__ if inspect.isfunction(getattr(tako_vm, n))]
        for kind in [TakoVM, tako_vm.Sandbox]:
            functions += [f for n, f in inspect.getmembers(kind, inspect.isfunction) if not n.startswith("_")]
        for f in functions:
            signature = inspect.signature(f)
            self.assertIsNot(signature.return_annotation, signature.empty, f)
            for p in signature.parameters.values():
                self.assertTrue(p.name == "self" or p.annotation is not p.empty, (f, p))
            self.assertTrue(f.__doc__, f)


class Document(unittest.TestCase):
    def rows(self) -> Dict[str, str]:
        text = (Path(__file__).parents[3] / "docs" / "PYTHON.md").read_text("utf-8")
        return dict(re.findall(r"^\| `(\w+)(?:\(.*\))?` \|.*\| `(test_\w+\.\w+\.\w+)` \|$", text, re.MULTILINE))

    def tools(self) -> Dict[str, str]:
        text = (Path(__file__).parents[3] / "docs" / "PYTHON.md").read_text("utf-8")
        return dict(re.findall(r"^\| `Tools\.(\w+)\(.*\)` \|.*\| `(test_\w+\.\w+\.\w+)` \|$", text, re.MULTILINE))

    def test_table_has_everything(self) -> None:
        rows = self.rows()
        self.assertEqual(set(self.tools()), {n for n in dir(Tools) if not n.startswith("_")})
        rows.pop("Tools")  # of a module of its own
        methods = {n for n in dir(TakoVM) if not n.startswith("_")}
        self.assertEqual(set(rows), set(tako_vm.__all__) | methods)

    def test_table_names_tests_that_there_are(self) -> None:
        for name, test in {**self.rows(), **self.tools()}.items():
            module, case, method = test.split(".")
            found = getattr(getattr(importlib.import_module("tests." + module), case), method, None)
            self.assertTrue(callable(found), (name, test))
            if not re.search(rf"\b{name}\b", inspect.getsource(found)):
                self.fail(f"{test} does not show {name}")

    def test_table_has_the_signatures(self) -> None:
        text = (Path(__file__).parents[3] / "docs" / "PYTHON.md").read_text("utf-8")
        for name, want in {**CALLS, **{n: OTHERS[n] for n in ("TakoVM", "Sandbox", "sandbox_run")}}.items():
            row = re.search(rf"^\| `{name}\((.*)\)` \|", text, re.MULTILINE)
            self.assertIsNotNone(row, name)
            assert row is not None
            self.assertEqual(row[1].split(", ")[: len(want.split(", "))], want.split(", "), name)
