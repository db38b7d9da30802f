"""Library mode, with the command that TAKO_BINARY names."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from urllib.parse import unquote, urlsplit
from unittest import mock

import tako_vm
from tako_vm import JobType, JobTypeRegistry, Sandbox, ValidationError, _child, aio, sandbox_run

BINARY = os.environ.get("TAKO_BINARY", "")

# Starts a sandbox, says what its server is, and is killed.
KILLED = """
import os, signal, sys
from tako_vm import Sandbox, _child
sandbox = Sandbox()
assert sandbox.run("print(1)").success
child = next(iter(_child._children.values()))
print(child._process.pid, child.client.base_url, flush=True)
if sys.argv[1] == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
"""


@unittest.skipUnless(BINARY, "TAKO_BINARY is not set")
class Library(unittest.TestCase):
    @classmethod
    def tearDownClass(cls) -> None:
        _child.stop_all()

    def test_runs(self) -> None:
        with Sandbox(memory_limit="128m") as sandbox:
            code = "import json; v = json.load(open('/input/data.json')); json.dump(v['a'] + 1, open('/output/result.json', 'w')); print('out')"
            got = sandbox.run(code, {"a": 1})
            self.assertEqual((got.success, got.stdout, got.output, got.exit_code, got.error), (True, "out\n", 2, 0, None))
            self.assertGreaterEqual(got.duration_ms or -1, 0)
            got = sandbox.run("import sys; print('x', file=sys.stderr); sys.exit(3)")
            self.assertEqual((got.success, got.stderr, got.exit_code), (False, "x\n", 3))
            got = sandbox.run("while True: pass", timeout=1)
            self.assertEqual((got.exit_code, got.error), (124, "Execution timed out after 1s"))
            got = sandbox.run("x = bytearray(b'x') * (1 << 29)")
            self.assertEqual((got.exit_code, got.error), (137, "Container killed: out of memory (memory_limit=128m)"))
            got = sandbox.run("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
            self.assertEqual(got.exit_code, 137)
            self.assertIn("not by the memory limit", str(got.error))

    def test_what_it_may_not_have(self) -> None:
        got = sandbox_run("print(1)", requirements=["numpy"])
        self.assertEqual((got.success, got.exit_code), (False, -1))
        self.assertIn("Runtime dependency installation is disabled", str(got.error))
        got = sandbox_run("print(1)", requirements=["a"] * 51, allow_runtime_requirements=True)
        self.assertIn("Too many requirements (51 > 50)", str(got.error))
        got = sandbox_run("print(1)", memory_limit="huge")
        self.assertEqual((got.success, got.exit_code), (False, -1))

    def test_package_dirs(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "inner").mkdir()
            Path(folder, "inner", "__init__.py").write_text("VALUE = 42\n")
            got = sandbox_run("import inner; print(inner.VALUE)", package_dirs=[folder])
        self.assertEqual(got.stdout, "42\n", got)
        self.assertIn("is no directory", str(sandbox_run("print(1)", package_dirs=[folder]).error))

    def test_one_server(self) -> None:
        sandbox_run("print(1)")
        first = dict(_child._children)
        sandbox_run("print(1)", memory_limit="256m", timeout=3)
        self.assertEqual(dict(_child._children), first)
        child = next(iter(first.values()))
        socket = Path(unquote(urlsplit(child.client.base_url).path))
        self.assertEqual(stat.S_IMODE(socket.stat().st_mode), 0o600)  # nobody else can connect
        # It is started again where it was lost.
        with Sandbox() as sandbox:
            sandbox.run("print(1)")
            child._end()
            got = sandbox.run("print(2)")
            self.assertEqual(got.stdout, "2\n", got)

    def test_it_ends_with_the_process(self) -> None:
        for how in ("exit", "kill"):
            with self.subTest(how):
                done = subprocess.run([sys.executable, "-c", KILLED, how], stdout=subprocess.PIPE, text=True, timeout=60)
                self.assertEqual(done.returncode, 0 if how == "exit" else -signal.SIGKILL)
                pid, url = done.stdout.split()
                for _ in range(100):
                    if not Path("/proc", pid).exists():
                        break
                    time.sleep(0.1)  # the keeper ends the server, and then itself
                self.assertFalse(Path("/proc", pid).exists())
                with tako_vm.TakoVM(url) as client, self.assertRaises(tako_vm.TransportError):
                    client.ready()

    def test_aio(self) -> None:
        async def main() -> None:
            async with aio.Sandbox() as sandbox:
                got = await asyncio.gather(*(sandbox.run(f"print({n})") for n in range(3)))
                self.assertEqual([g.stdout for g in got], ["0\n", "1\n", "2\n"])
            self.assertEqual((await aio.sandbox_run("print(4)")).stdout, "4\n")

        asyncio.run(main())

    def test_config(self) -> None:
        config = tako_vm.get_config()
        self.assertIsInstance(config, tako_vm.TakoVMConfig)
        self.assertEqual((config.server_port, config["max_workers"]), (8000, 4))
        self.assertRaises(AttributeError, lambda: config.none)
        self.assertRaises(tako_vm.TakoVMError, tako_vm.get_config, "/none")


class WithoutBinary(unittest.TestCase):
    def test_no_command(self) -> None:
        with mock.patch.dict(os.environ, {"PATH": "/none", "TAKO_BINARY": ""}), tempfile.TemporaryDirectory() as cache:
            with mock.patch.dict(os.environ, {"XDG_CACHE_HOME": cache}), mock.patch.dict(_child._children, clear=True):
                with self.assertRaisesRegex(RuntimeError, "not on PATH"):
                    Sandbox().run("print(1)")

    def test_a_command_that_is_none(self) -> None:
        with tempfile.TemporaryDirectory() as cache, mock.patch.dict(os.environ, {"TAKO_BINARY": "/bin/false", "XDG_CACHE_HOME": cache}):
            with mock.patch.dict(_child._children, clear=True), self.assertRaisesRegex(RuntimeError, "does not start"):
                Sandbox().run("print(1)")

    def test_registry(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "job_types.json")
            registry = JobTypeRegistry(file)
            registry.register(JobType("a", requirements=["numpy"], memory_limit="1g"))
            registry.save()
            file.write_text(file.read_text().replace('"job_types": [', '"job_types": [{"name": "b!"}, {"other": 1}, 3,'))
            again = JobTypeRegistry(file)
            self.assertEqual([t.name for t in again], ["a", "default"])
            self.assertEqual(again.get("a"), registry.get("a"))
        for bad in ({"name": ""}, {"name": "a", "memory_limit": "1m"}, {"name": "a", "timeout": 0}, {"name": "a", "x": 1}):
            self.assertRaises(ValidationError, JobType.from_dict, bad)

    def test_workspace(self) -> None:
        with mock.patch.dict(os.environ, {"TAKO_VM_WORKSPACE": "/w"}):
            self.assertEqual(tako_vm.get_workspace_dir(), Path("/w"))
