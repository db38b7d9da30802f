"""Library mode: packages, images, limits, and what is left when things are killed."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import unittest
import zipfile
from pathlib import Path
from typing import Dict, List
from unittest import mock

from tako_vm import Sandbox, _child, sandbox_run

BINARY = os.environ.get("TAKO_BINARY", "")

# Runs something for a while; says what the keeper is, what the server, and where.
BUSY = """
import subprocess, sys, threading, time
from tako_vm import Sandbox, _child
sandbox = Sandbox(timeout=60)
assert sandbox.run("print(1)").success
child = next(iter(_child._children.values()))
keeper = child._process.pid
with open(f"/proc/{keeper}/task/{keeper}/children") as f:
    server = f.read().strip()
threading.Thread(target=sandbox.run, args=("import time; time.sleep(3)",), daemon=True).start()
while child.client.pool_stats()["running"] == 0:
    time.sleep(0.05)
print(keeper, server, child._slot, flush=True)
sys.stdin.read()
"""


def wheel(folder: Path, name: str, version: str, files: Dict[str, str], requires: str = "") -> None:
    """A wheel of pure Python."""
    info = f"{name}-{version}.dist-info"
    needs = f"Requires-Dist: {requires}\n" if requires else ""
    files = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as z:
        for at, text in files.items():
            z.writestr(at, text)
        z.writestr(f"{info}/RECORD", "".join(f"{at},,\n" for at in [*files, f"{info}/RECORD"]))


def archive(at: Path, name: str) -> None:
    """An image of one file, as "docker save" has it."""
    layer = tarred({"etc/motd": b"hello\n"})
    digest = hashlib.sha256(layer).hexdigest()
    config = {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": ["sha256:" + digest]}, "config": {}}
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    at.write_bytes(
        tarred({"manifest.json": json.dumps(manifest).encode(), "config.json": json.dumps(config).encode(), "layer.tar": layer})
    )


def tarred(files: Dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as t:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            t.addfile(entry, io.BytesIO(content))
    return out.getvalue()


@unittest.skipUnless(BINARY, "TAKO_BINARY is not set")
class Case(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.addCleanup(_child.stop_all)


class Packages(Case):
    def test_out_of_a_directory(self) -> None:
        wheel(self.folder, "demo_a", "1.0", {"demo_a.py": "import demo_b\nVALUE = 'a of ' + demo_b.VALUE\n"}, "demo_b>=2")
        wheel(self.folder, "demo_b", "1.0", {"demo_b.py": "VALUE = 'one'\n"})
        wheel(self.folder, "demo_b", "2.1", {"demo_b.py": "VALUE = 'two'\n"})
        elsewhere = {"TAKO_VM_ALLOW_RUNTIME_REQUIREMENTS": "false", "TAKO_VM_BLOB_URL": "none://", "TAKO_VM_DEPENDENCY_PROXY_URL": "none"}
        patch = mock.patch.dict(os.environ, elsewhere)  # of another server; the proxy is this one's, but for what is said here
        patch.start()
        self.addCleanup(patch.stop)
        proxy = "http://127.0.0.1:9"
        with Sandbox(
            allow_runtime_requirements=True, package_wheels_dir=self.folder, package_offline=True, dependency_proxy_url=proxy
        ) as sandbox:
            got = sandbox.run("import demo_a; print(demo_a.VALUE)", requirements=["demo_a"])
            self.assertEqual((got.stdout, got.error), ("a of two\n", None))
            got = sandbox.run("import demo_b; print(demo_b.VALUE)", requirements=["demo_b<2"])
            self.assertEqual((got.stdout, got.error), ("one\n", None))
            got = sandbox.run("import demo_b")  # each run has its own
            self.assertIn("No module named 'demo_b'", str(got.error))
            got = sandbox.run("print(1)", requirements=["demo_c"])
            self.assertEqual((got.success, got.exit_code), (False, -1))
            self.assertRegex(str(got.error), "No matching distribution found for demo.c")

    def test_no_directory(self) -> None:
        got = sandbox_run("print(1)", package_wheels_dir=self.folder / "none")
        self.assertEqual((got.success, got.exit_code), (False, -1))
        self.assertIn("of package_wheels_dir is no directory", str(got.error))


class Images(Case):
    def setUp(self) -> None:
        super().setUp()
        patch = mock.patch.dict(os.environ, {"TAKO_VM_DATA_DIR": str(self.folder / "data")})
        patch.start()
        self.addCleanup(patch.stop)

    def env(self, *arguments: str) -> None:
        subprocess.run([BINARY, "env", *arguments], check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)

    def test_built(self) -> None:
        (self.folder / "greet.py").write_text("WORD = 'hello from the image'\n")
        recipe = "name: localhost/greeter:1\nfiles: [{source: greet.py, path: /opt/greet.py}]\nenv: {PYTHONPATH: /opt}\n"
        (self.folder / "greeter.yaml").write_text(recipe)
        self.env("build", "-q", str(self.folder / "greeter.yaml"))
        code = "import greet, json; json.dump(greet.WORD, open('/output/result.json', 'w')); print(open('/input/data.json').read())"
        with Sandbox(image="localhost/greeter:1", memory_limit="128m") as sandbox:
            got = sandbox.run(code, {"a": 1})
            self.assertEqual((got.output, got.error), ("hello from the image", None))
            self.assertEqual(json.loads(got.stdout), {"a": 1})
            got = sandbox.run("x = bytearray(b'x') * (1 << 29)")
            self.assertEqual((got.exit_code, got.error), (137, "Container killed: out of memory (memory_limit=128m)"))
            got = sandbox.run("print('before', flush=True)\nwhile True: pass", timeout=1)
            self.assertEqual((got.stdout, got.exit_code, got.error), ("before\n", 124, "Execution timed out after 1s"))

    def test_loaded_and_without_python(self) -> None:
        archive(self.folder / "image.tar", "localhost/bare:1")
        self.env("load", "-q", str(self.folder / "image.tar"))
        got = sandbox_run("print(1)", image="localhost/bare:1")
        self.assertEqual((got.success, got.exit_code), (False, -1))
        self.assertIn("python", str(got.error))

    def test_not_here(self) -> None:
        with self.assertRaisesRegex(RuntimeError, "is not here; get it with `tako env pull localhost:1/none:1`"):
            sandbox_run("print(1)", image="localhost:1/none:1", auto_build=False)
        with self.assertRaisesRegex(RuntimeError, "the registry localhost:1 cannot be reached"):
            sandbox_run("print(1)", image="localhost:1/none:1")


class Killed(Case):
    def busy(self) -> List[str]:
        self.process = subprocess.Popen([sys.executable, "-c", BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdin and self.process.stdout
        for each in (self.process.stdin, self.process.stdout):
            self.addCleanup(each.close)
        self.addCleanup(self.process.wait)
        self.addCleanup(self.process.kill)
        return self.process.stdout.readline().split()

    def gone(self, pid: str) -> bool:
        for _ in range(300):
            if not Path("/proc", pid).exists():
                return True
            time.sleep(0.1)
        return False

    def test_the_keeper(self) -> None:
        keeper, server, slot = self.busy()
        # With a second thread the server would mostly, not always, be told twice.
        self.assertEqual(len(os.listdir(f"/proc/{keeper}/task")), 1)
        os.kill(int(keeper), signal.SIGKILL)
        self.assertTrue(self.gone(server))
        self.assertEqual(os.listdir(Path(slot, "run")), ["lock"])

    def test_all_of_the_process(self) -> None:
        keeper, server, slot = self.busy()
        self.process.kill()
        self.assertTrue(self.gone(keeper))
        self.assertFalse(Path("/proc", server).exists())
        self.assertEqual(os.listdir(Path(slot, "run")), ["lock"])


if __name__ == "__main__":
    unittest.main()
