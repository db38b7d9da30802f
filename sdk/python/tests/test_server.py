"""Against a real server, which TAKO_TEST_URL names."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import tempfile
import threading
import unittest
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import tako_vm
from tako_vm import InputFile, JobOptions, JobRequest, SDKExecutionError, TakoVM, aio

URL = os.environ.get("TAKO_TEST_URL", "")


@dataclass
class Numbers:
    a: int
    b: int


@dataclass
class Sum:
    sum: int


def add(n: Numbers) -> Sum:
    if n.a < 0:
        raise ValueError("a is negative")
    return Sum(n.a + n.b)


class Cutting:
    """A way to the server that cuts the first connection behind its first events."""

    def __init__(self) -> None:
        self.connections = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.pass_on, args=(near, self.connections == 1), daemon=True).start()

    def pass_on(self, near: socket.socket, cut: bool) -> None:
        address = urlsplit(URL)
        with near, socket.create_connection((address.hostname, address.port)) as far:
            far.sendall(near.recv(65536))
            while data := far.recv(65536):
                near.sendall(data)
                if cut and b"event: stdout" in data:
                    near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
                    return


@unittest.skipUnless(URL, "TAKO_TEST_URL is not set")
class Server(unittest.TestCase):
    def setUp(self) -> None:
        self.tako = TakoVM(URL)
        self.addCleanup(self.tako.close)
        tako_vm.configure(URL)
        self.addCleanup(tako_vm.functions.client().close)

    def test_typed(self) -> None:
        self.assertEqual(tako_vm.send(add, Numbers(2, 3)), Sum(5))
        got = tako_vm.send_raw(add, Numbers(2, 3), correlation_id="mine")
        self.assertEqual((got.output, got.correlation_id, got.runtime), (Sum(5), "mine", "runsc"))
        with self.assertRaises(SDKExecutionError) as caught:
            tako_vm.send(add, Numbers(-2, 3))
        self.assertIn("a is negative", str(caught.exception))
        self.assertEqual(caught.exception.exit_code, 1)

    def test_life_of_a_job(self) -> None:
        job = tako_vm.submit(add, Numbers(1, 1))
        record = tako_vm.get_result(job, timeout=30, view="full")
        self.assertEqual((record["status"], record["output"]), ("succeeded", {"sum": 2}))
        self.assertTrue(tako_vm.ExecutionRecord.from_dict(record).terminal)
        self.assertEqual(tako_vm.get_status(job)["status"], "succeeded")
        self.assertEqual(tako_vm.download_artifact(job, "result.json"), b'{"sum": 2}')
        again = tako_vm.rerun(job)
        self.assertEqual(self.tako.wait(again)["parent_execution_id"], job)
        forked = tako_vm.fork(job, "print(open('/input/data.json').read())", timeout=9)
        self.assertIn('"a"', self.tako.wait(forked)["stdout"])
        self.assertEqual(self.tako.lineage(forked)["ancestors"][0]["execution_id"], job)
        self.assertFalse(self.tako.diff(job, forked)["identical"])
        self.assertEqual(tako_vm.get_execution(job, view="full")["execution_id"], job)
        self.assertGreaterEqual(tako_vm.list_executions(limit=2)["count"], 2)
        self.tako.delete_job(forked)
        with self.assertRaises(tako_vm.ClientError) as caught:
            tako_vm.get_status(forked)
        self.assertEqual((caught.exception.status_code, caught.exception.detail), (404, "Job not found"))

    def test_cancel(self) -> None:
        job = tako_vm.submit_code("import time\nprint('up', flush=True)\ntime.sleep(60)")
        for event in self.tako.events(job):
            if event.type == "stdout":
                break
        self.assertEqual(tako_vm.cancel(job), {"status": "cancelled", "job_id": job})
        self.assertEqual(self.tako.wait(job)["status"], "cancelled")

    def test_operating(self) -> None:
        self.assertEqual(tako_vm.health()["status"], "healthy")
        self.assertIn("pending", tako_vm.pool_stats())
        self.assertIn("total", tako_vm.dlq_stats())
        self.assertIn("default", [t["name"] for t in tako_vm.list_job_types()])
        self.assertIsInstance(tako_vm.get_job_type("default")["timeout"], int)
        self.assertEqual(tako_vm.build_job_type("default")["status"], "built")
        self.assertEqual(self.tako.ready()["status"], "ready")
        self.assertIn("# HELP", self.tako.metrics())
        self.assertEqual(self.tako.list_dlq()["items"], [])

    def test_files_and_events(self) -> None:
        code = "import os; os.mkdir('/output/d'); open('/output/d/\u00e9.txt', 'w').write(open('/input/a/b.txt').read()); print('done')"
        with tempfile.TemporaryDirectory() as folder:
            local = Path(folder, "local")
            local.write_text("from here")
            for source in (
                InputFile("a/b.txt", local=local),
                InputFile("a/b.txt", text="from here"),
                InputFile("a/b.txt", upload=self.tako.upload(local)["upload_id"]),
            ):
                job = self.tako.submit_code(code, options=JobOptions(files=[source]))
                events = list(self.tako.events(job))
                self.assertEqual("".join(e.text for e in events if e.type == "stdout"), "done\n")
                self.assertEqual((events[-1].type, events[-1].status), ("end", "succeeded"))
            resumed = list(self.tako.events(job, after=events[-2].id))
            self.assertEqual(resumed, events[-1:])
            for at in (self.tako.save_artifact(job, "d/\u00e9.txt", Path(folder, "one")), *self.tako.save_artifacts(job, Path(folder, "all"))):
                self.assertEqual(at.read_text(), "from here")

    def test_a_stream_that_is_cut(self) -> None:
        job = self.tako.submit_code("import time\nfor n in range(4):\n    print(n, flush=True)\n    time.sleep(0.2)")
        way = Cutting()
        self.addCleanup(way.listener.close)
        with TakoVM(way.url) as tako:
            events = list(tako.events(job))
        self.assertEqual(way.connections, 2)
        self.assertEqual("".join(e.text for e in events if e.type == "stdout"), "0\n1\n2\n3\n")
        self.assertEqual(events, list(self.tako.events(job)))

    def test_batch(self) -> None:
        batch = self.tako.submit_batch([JobRequest(f"print({n})") for n in range(5)], labels={"of": "python"})
        done = self.tako.wait_batch(batch, timeout=60)
        self.assertEqual((done["status"], done["counts"]), ("finished", {"succeeded": 5}))
        self.assertEqual([r["stdout"] for r in self.tako.iter_batch_results(batch)], [f"{n}\n" for n in range(5)])

    def test_job_types_network_secrets(self) -> None:
        self.tako.set_secret("PY_KEY", "sk-live-0123456789")
        self.tako.create_job_type(
            "py-agent", timeout=20, network=tako_vm.NetworkPolicy.hosts("api.example.com"),
            secrets=[tako_vm.SecretBinding("PY_KEY", "api.example.com")],
        )
        try:
            got = self.tako.execute("import os; print(os.environ['PY_KEY'])", job_type="py-agent")
            self.assertEqual(got.stdout, "tako-secret.PY_KEY.placeholder\n")
            self.assertIn("PY_KEY", [s["name"] for s in self.tako.list_secrets()])
            self.assertEqual(self.tako.get_job_type("py-agent")["network"], {"mode": "allow", "allow": ["api.example.com"]})
            none = JobOptions(network=tako_vm.NetworkPolicy.none())
            self.assertTrue(self.tako.execute("print(1)", job_type="py-agent", options=none).success)
        finally:
            self.tako.delete_job_type("py-agent")
            self.tako.delete_secret("PY_KEY")

    def test_refused(self) -> None:
        with self.assertRaises(tako_vm.ClientError) as caught:
            self.tako.execute("x", timeout=10**6, correlation_id="mine")
        self.assertEqual((caught.exception.status_code, caught.exception.correlation_id), (422, "mine"))
        self.assertIn("timeout", caught.exception.detail)

    def test_aio(self) -> None:
        async def main() -> None:
            async with aio.TakoVM(URL) as tako:
                self.assertEqual(await tako.send(add, Numbers(2, 3)), Sum(5))
                job = await tako.submit(add, Numbers(1, 2))
                events = [e async for e in tako.events(job)]
                self.assertEqual(events[-1].type, "end")
                got = await tako.execute("print(open('/input/f').read())", options=JobOptions(files=[InputFile("f", local=__file__)]))
                self.assertIn("class Server", got.stdout)
                with tempfile.TemporaryDirectory() as folder:
                    self.assertEqual(await tako.save_artifacts(job, folder), [Path(folder, "result.json")])

        asyncio.run(main())

    def test_more_of_files(self) -> None:
        job = self.tako.submit_code("open('/output/a', 'w').write('1')")
        self.tako.wait(job)
        items = self.tako.list_artifacts(job)["items"]
        self.assertEqual([(a["name"], a["size_bytes"]) for a in items], [("a", 1)])

    def test_more_of_batches(self) -> None:
        batch = self.tako.submit_batch([{"code": "import time; time.sleep(60)"}] * 2)
        self.assertEqual(self.tako.get_batch(batch)["total"], 2)
        with self.assertRaises(tako_vm.WaitTimeoutError):
            self.tako.wait_batch(batch, timeout=0.1)
        self.tako.cancel_batch(batch)
        self.assertEqual(self.tako.wait_batch(batch, timeout=30)["status"], "cancelled")
        jobs = [r["execution_id"] for r in self.tako.batch_results(batch, limit=2)["items"]]
        self.assertEqual([self.tako.wait(job)["status"] for job in jobs], ["cancelled"] * 2)

    def test_more_of_job_types(self) -> None:
        self.tako.create_job_type("py-more", timeout=20)
        try:
            with self.assertRaises(tako_vm.ClientError) as caught:
                self.tako.create_job_type("py-more")
            self.assertEqual(caught.exception.status_code, 409)
            self.assertEqual(self.tako.replace_job_type("py-more", timeout=30)["timeout"], 30)
            built = self.tako.build_job_type("py-more", version_tag="one")
            self.assertEqual(self.tako.job_type_versions("py-more")[0]["version_tag"], "one")
            self.assertIsInstance(self.tako.build_log("py-more", built["build_id"]), str)
            with self.assertRaises(tako_vm.ClientError) as caught:
                self.tako.build_lock("py-more", built["build_id"])
            self.assertEqual(caught.exception.detail, "Build not found, or it has no packages")
        finally:
            self.tako.delete_job_type("py-more")

    def test_more_of_operating(self) -> None:
        key = self.tako.create_key("python", ["read"])
        self.assertIn(key["id"], [k["id"] for k in self.tako.list_keys()])
        self.tako.delete_key(key["id"])
        self.assertEqual(self.tako.list_deliveries()["items"], [])
        for call in (self.tako.delete_dlq, self.tako.replay_dlq):
            with self.assertRaises(tako_vm.ClientError) as caught:
                call(4711)
            self.assertEqual(caught.exception.detail, "DLQ entry not found")
        self.assertEqual(self.tako.base_url, URL)
        self.tako.close()
