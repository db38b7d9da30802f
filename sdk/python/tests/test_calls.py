"""What is sent, what is raised, what is tried again."""

from __future__ import annotations

import socket
import unittest
from typing import Any
from unittest import mock

import httpx

import tako_vm
from tako_vm import ClientError, MalformedResponseError, ServerError, TakoVM, TransportError, ValidationError

from .stub import Answer, StubCase

NO = {"detail": "no", "correlation_id": "of-the-body"}
RAN = {"success": True, "output": 3, "execution_time": 0.5, "stdout": "out", "stderr": "err", "exit_code": 0, "error": None,
       "job_type": "default", "execution_id": "api-1", "runtime": "runsc"}


class Errors(StubCase):
    def test_status_becomes_exception(self) -> None:
        for status, kind, word in ((401, ClientError, "Client"), (422, ClientError, "Client"), (500, ServerError, "Server")):
            with self.subTest(status):
                _, c = self.serve(Answer(status, NO))
                e = self.fails(kind, lambda: c.cancel("j"))
                self.assertEqual(str(e), f"{word} error {status} on POST /jobs/j/cancel: no")
                self.assertEqual((e.status_code, e.detail, e.correlation_id), (status, "no", "of-the-body"))

    def test_retryable(self) -> None:
        for status, want in ((500, False), (501, False), (502, True), (503, True), (504, True)):
            _, c = self.serve(Answer(status, NO))
            self.assertIs(self.fails(ServerError, lambda: c.cancel("j")).retryable, want)

    def test_detail_that_is_structured(self) -> None:
        problem = {"type": "missing", "loc": ["body", "code"], "msg": "Field required"}
        _, c = self.serve(Answer(422, {"detail": [problem]}))
        e = self.fails(ClientError, lambda: c.submit_code("x"))
        self.assertEqual(e.problems, [problem])
        self.assertIn('"Field required"', e.detail)
        self.assertEqual(e.correlation_id, "of-the-server")

    def test_detail_that_is_no_json(self) -> None:
        _, c = self.serve(Answer(404, b"<html>" + b"x" * 1000), Answer(404, b""))
        self.assertEqual(len(self.fails(ClientError, lambda: c.cancel("j")).detail), 500)
        self.assertEqual(self.fails(ClientError, lambda: c.cancel("j")).detail, "HTTP 404")

    def test_no_server(self) -> None:
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        with TakoVM(f"http://user:secret@127.0.0.1:{port}", correlation_id="mine") as c:
            e = self.fails(TransportError, c.pool_stats)
            self.assertEqual(e.correlation_id, "mine")
            self.assertIn(f"http://127.0.0.1:{port} cannot be reached", str(e))
            self.assertNotIn("secret", str(e))
            self.assertEqual(self.pauses, [0.5, 1.0, 2.0])

    def test_answers_of_something_else(self) -> None:
        for body in (b"<html>hello", b"", b"[1]", b'"x"', b"\xff\xfe"):
            with self.subTest(body):
                _, c = self.serve(Answer(200, body))
                self.assertEqual(self.fails(MalformedResponseError, c.pool_stats).correlation_id, "of-the-server")
        _, c = self.serve(Answer(200, {"other": 1}), Answer(200, {"job_id": ""}), Answer(200, {"x": 1}), Answer(200, {"x": 1}))
        self.fails(MalformedResponseError, c.health)
        self.fails(MalformedResponseError, lambda: c.submit_code("x"))
        self.fails(MalformedResponseError, lambda: c.execute("x", timeout=1))
        self.fails(MalformedResponseError, lambda: c.submit_batch([]))

    def test_server_of_another_version(self) -> None:
        _, c = self.serve(Answer(404, {"detail": "Not Found"}), Answer(405, {"detail": "Method Not Allowed"}))
        e = self.fails(ClientError, lambda: c.submit_batch([{"code": "x"}]))  # has no batches
        self.assertEqual((e.status_code, e.detail, e.correlation_id), (404, "Not Found", "of-the-server"))
        self.assertEqual(self.fails(ClientError, lambda: c.delete_job("j")).status_code, 405)
        _, c = self.serve(Answer(200, {"success": True}), Answer(200, {"success": True, "of a newer one": 1}))
        for _ in range(2):
            got = c.execute("x", timeout=1)
            self.assertEqual((got.success, got.stdout, got.job_id, got.exit_code), (True, "", None, None))

    def test_redirect_takes_nothing_elsewhere(self) -> None:
        stub, c = self.serve(Answer(307, b"", {"Location": "http://elsewhere.invalid/"}), api_key="key")
        self.assertIn("elsewhere.invalid", str(self.fails(MalformedResponseError, c.pool_stats)))
        self.assertEqual(len(stub.seen), 1)

    def test_what_is_not_sent(self) -> None:
        stub, c = self.serve()
        for call in (
            lambda: c.get_status(""), lambda: c.get_status(".."), lambda: c.delete_dlq("1/../2"),  # type: ignore[arg-type]
            lambda: c.submit_code("x", {"a": object()}), lambda: c.submit_code("x", {"a": float("nan")}),
        ):
            self.fails(ValidationError, call)
        for bad in ({"base_url": "ftp://x"}, {"base_url": "localhost:8000"}, {"headers": {"a": "b\nc"}}, {"api_key": "a\nb"}):
            self.fails(ValidationError, lambda: TakoVM(**bad))  # type: ignore[arg-type]
        self.assertNotIn("sk-1", str(self.fails(ValidationError, lambda: TakoVM(api_key="sk-1\n2"))))
        self.assertEqual(stub.seen, [])
        self.fails(TypeError, lambda: TakoVM(session=object()))  # type: ignore[arg-type]


class Sent(StubCase):
    def test_correlation_id(self) -> None:
        stub, c = self.serve(*[Answer(200, {"job_id": "j"})] * 4)
        c.submit_code("x")
        c.submit_code("x", correlation_id="per-call")
        first, second = stub.seen
        self.assertEqual(len(first.headers["X-Correlation-ID"]), 36)
        self.assertEqual(second.headers["X-Correlation-ID"], "per-call")
        fixed = TakoVM(stub.url, correlation_id="fixed")
        own = TakoVM(stub.url, correlation_id="fixed", headers={"x-correlation-id": "own", "X-API-Key": "k\u00e9y"})
        fixed.submit_code("x")
        own.submit_code("x")
        self.assertEqual([s.headers["X-Correlation-ID"] for s in stub.seen[2:]], ["fixed", "own"])
        self.assertEqual(stub.seen[3].headers["X-API-Key"].encode("latin-1").decode("utf-8"), "k\u00e9y")

    def test_optionals_are_left_out(self) -> None:
        stub, c = self.serve(*[Answer(200, {"job_id": "j"})] * 3)
        c.submit_code("x", requirements=[])
        self.assertEqual(sorted(stub.seen[0].json), ["code", "idempotency_key", "input_data"])
        self.assertRegex(stub.seen[0].json["idempotency_key"], r"^sdk-[0-9a-f]{32}$")
        c.rerun("j")
        self.assertEqual(stub.seen[1].json, {})
        c.fork("a/b", "y", timeout=3)
        self.assertEqual((stub.seen[2].path, stub.seen[2].json), ("/jobs/a%2Fb/fork", {"code": "y", "timeout": 3}))

    def test_new_fields(self) -> None:
        stub, c = self.serve(Answer(200, {"job_id": "j"}))
        options = tako_vm.JobOptions(
            language="bash", args=["1"], env={"A": "b"}, stdin="in", labels={"k": "v"}, priority=1, retry="never",
            limits=tako_vm.Limits(memory="64m"), network=tako_vm.NetworkPolicy.hosts("*.example.com"),
            files=[tako_vm.InputFile("a", content=b"\xff"), tako_vm.InputFile("b", upload="u")],
        )
        c.submit_code("x", options=options)
        sent = stub.seen[0].json
        self.assertEqual(sent["files"], [{"path": "a", "content": "/w=="}, {"path": "b", "upload": "u"}])
        self.assertEqual(sent["network"], {"mode": "allow", "allow": ["*.example.com"]})
        self.assertEqual(sent["limits"], {"memory": "64m"})
        self.assertNotIn("image", sent)
        self.fails(ValidationError, lambda: tako_vm.InputFile("a", text="b", upload="c"))

    def test_secrets_by_name(self) -> None:
        stub, c = self.serve(Answer(200, {"name": "t"}))
        c.create_job_type("t", secrets=[tako_vm.SecretBinding("KEY", "api.example.com")], timeout=5)
        self.assertEqual(stub.seen[0].json, {"timeout": 5, "secrets": [{"name": "KEY", "host": "api.example.com"}]})

    def test_functions_use_the_configured_client(self) -> None:
        stub, _ = self.serve(Answer(200, {"pending": 0}), Answer(200, {"pending": 0}))
        with mock.patch("tako_vm.functions._client", None):
            tako_vm.configure(base_url=stub.url, headers={"X-API-Key": "k"})
            tako_vm.pool_stats()
        with mock.patch("tako_vm.functions._client", None), mock.patch.dict(
            "os.environ", {"TAKO_URL": stub.url, "TAKO_API_KEY": "of-env"}
        ):
            tako_vm.pool_stats()
            self.assertEqual(TakoVM.from_env().base_url, stub.url)
        self.assertEqual(stub.seen[0].headers["X-API-Key"], "k")
        self.assertEqual(stub.seen[1].headers["Authorization"], "Bearer of-env")

    def test_read_timeouts(self) -> None:
        known: Any = []

        class Session(httpx.Client):
            def send(self, request: httpx.Request, **more: Any) -> httpx.Response:
                known.append(request.extensions["timeout"])
                return super().send(request, **more)

        stub, _ = self.serve(
            Answer(200, {}), Answer(200, {"timeout": 60}), Answer(200, RAN), Answer(200, RAN), Answer(404, NO), Answer(200, RAN),
            Answer(200, RAN),
        )
        with Session() as session:
            c = TakoVM(stub.url, timeout=5, session=session, connect_timeout=2.0)
            c.pool_stats()
            c.execute("x", job_type="t@v1")
            c.execute("x", job_type="t", startup_timeout=20)  # the type's time is known by now
            c.execute("x")
            c.execute("x", timeout=7)
        self.assertEqual([t["read"] for t in known], [15, 15, 60 + 600 + 30, 60 + 20 + 30, 15, 930, 7 + 600 + 30])
        self.assertEqual(known[0]["connect"], 2.0)
        self.assertEqual(stub.seen[1].path, "/job-types/t")


class Again(StubCase):
    def test_get_is_repeated(self) -> None:
        for status in (502, 503, 504):
            stub, c = self.serve(Answer(status, NO), Answer(status, NO), Answer(200, {"pending": 1}))
            self.assertEqual(c.pool_stats(), {"pending": 1})
            self.assertEqual(len({s.headers["X-Correlation-ID"] for s in stub.seen}), 1)
        self.assertEqual(self.pauses, [0.5, 1.0] * 3)

    def test_get_after_a_lost_connection(self) -> None:
        _, c = self.serve(lambda seen: None, Answer(200, b"{", hang_up=True), Answer(200, {"pending": 1}))
        self.assertEqual(c.pool_stats(), {"pending": 1})

    def test_three_times_at_most(self) -> None:
        stub, c = self.serve(*[Answer(503, NO)] * 9)
        self.fails(ServerError, c.pool_stats)
        self.assertEqual(len(stub.seen), 4)

    def test_not_after_other_errors(self) -> None:
        for status in (400, 401, 404, 422, 500):
            stub, c = self.serve(Answer(status, NO), Answer(200, {}))
            self.fails(tako_vm.APIError, c.pool_stats)
            self.assertEqual(len(stub.seen), 1)

    def test_rate_limit(self) -> None:
        _, c = self.serve(Answer(429, NO, {"Retry-After": "7"}), Answer(200, {}))
        c.pool_stats()
        self.assertEqual(self.pauses, [7.0])
        stub, c = self.serve(Answer(429, NO, {"Retry-After": "3600"}))
        e = self.fails(ClientError, c.pool_stats)
        self.assertEqual((e.retry_after, len(stub.seen)), (3600.0, 1))

    def test_post_is_not_repeated(self) -> None:
        stub, c = self.serve(Answer(503, NO), Answer(200, {}))
        self.fails(ServerError, lambda: c.cancel("j"))
        self.assertEqual(len(stub.seen), 1)

    def test_submit_is_with_the_same_key(self) -> None:
        stub, c = self.serve(Answer(503, NO), lambda seen: None, Answer(200, {"job_id": "j"}))
        self.assertEqual(c.submit_code("x"), "j")
        self.assertEqual(len({s.json["idempotency_key"] for s in stub.seen}), 1)
        self.assertEqual(self.pauses, [0.5, 1.0])
        stub, c = self.serve(*[Answer(503, NO)] * 9)
        self.fails(ServerError, lambda: c.submit_code("x", idempotency_key="mine-4711"))
        self.assertEqual(len(stub.seen), 3)
        stub, c = self.serve(Answer(500, NO))
        self.fails(ServerError, lambda: c.submit_code("x"))
        self.assertEqual(len(stub.seen), 1)

    def test_wait_outlives_the_server(self) -> None:
        stub, c = self.serve(Answer(408, NO), *[Answer(503, NO)] * 5, Answer(200, {"status": "succeeded"}))
        self.assertEqual(c.wait("j"), {"status": "succeeded"})
        self.assertIn("wait=true&timeout=300.0&view=full", stub.seen[0].path)

    def test_get_result_waits(self) -> None:
        stub, c = self.serve(Answer(200, {}), Answer(408, NO), Answer(200, {}))
        c.get_result("j")
        self.assertEqual(self.fails(ClientError, lambda: c.get_result("j", timeout=1000)).status_code, 408)
        c.get_result("j", timeout=2.5, view="full")
        self.assertEqual(
            [s.path for s in stub.seen],
            ["/jobs/j/result", "/jobs/j/result?wait=true&timeout=300.0", "/jobs/j/result?wait=true&timeout=2.5&view=full"],
        )


if __name__ == "__main__":
    unittest.main()
