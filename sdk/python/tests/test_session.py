"""A requests.Session as session=: what it was told holds, and streams are streams.

Tests run with a small session of this file, and with the real one, which can
show more, where requests is installed.
"""

from __future__ import annotations

import hashlib
import gzip
import http.client
import socket
import tempfile
import unittest
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple
from urllib.parse import urlsplit

import httpx

import tako_vm
from tako_vm import ClientError, InputFile, JobOptions, TakoVM, TransportError, ValidationError, aio, functions

from .stub import Answer, Stub, StubCase
from .test_calls import NO, RAN
from .test_events import event, stream

try:
    import requests
except ImportError:
    requests = None  # type: ignore[assignment]


class RequestException(OSError):
    """As requests has them: known by name."""


class ConnectionError(RequestException):
    pass


class ChunkedEncodingError(RequestException):
    pass


class FakeAnswer:
    def __init__(self, raw: http.client.HTTPResponse) -> None:
        self._raw = raw
        self.status_code = raw.status
        self.headers = raw.headers

    def iter_content(self, size: int) -> Iterator[bytes]:
        try:
            yield self._raw.read()
        except http.client.IncompleteRead as e:
            raise ChunkedEncodingError(str(e)) from e

    def close(self) -> None:
        self._raw.close()


class FakeSession:
    """A session with the shape of requests', and none of its depth."""

    def __init__(self) -> None:
        self.headers: Dict[str, str] = {"User-Agent": "fake"}
        self.auth: Any = None
        self.cookies: Dict[str, str] = {}
        self.closed = False

    def mount(self, prefix: str, adapter: Any) -> None:
        raise AssertionError("nobody mounts anything")

    def request(self, method: str, url: str, headers: Dict[str, str], data: Any, timeout: Any, **more: Any) -> FakeAnswer:
        assert more["stream"] and not more["allow_redirects"] and len(timeout) == 2
        sent = {**self.headers, **headers}
        if self.auth and more["auth"] is None:
            sent["Authorization"] = "of the session"
        if data is not None and not isinstance(data, bytes):
            sent["Content-Length"] = str(len(data))
        at = urlsplit(url)
        try:
            link = http.client.HTTPConnection(at.netloc, timeout=timeout[0])
            link.request(method, at.path + ("?" + at.query if at.query else ""), data, sent)
            return FakeAnswer(link.getresponse())
        except (OSError, http.client.HTTPException) as e:
            raise ConnectionError(str(e)) from e

    def close(self) -> None:
        self.closed = True


class Through:
    """What any session has to do; a case says which one it is."""

    make: Callable[[], Any]

    def through(self: Any, *answers: Any, **options: Any) -> Tuple[Stub, TakoVM, Any]:
        session = self.make()
        stub, client = self.serve(*answers, session=session, **options)
        return stub, client, session

    def test_calls_and_errors(self) -> None:
        stub, c, session = self.through(Answer(200, {"pending": 1}), Answer(200, RAN), Answer(422, NO), api_key="k\u00e9y")
        self.assertEqual(c.pool_stats(), {"pending": 1})
        self.assertEqual(c.execute("print('\u00e9')", timeout=1).stdout, "out")
        self.assertEqual(self.fails(ClientError, lambda: c.cancel("j")).detail, "no")
        self.assertEqual(stub.seen[1].json["code"], "print('\u00e9')")
        for seen in stub.seen:
            self.assertEqual(seen.headers["Authorization"].encode("latin-1").decode("utf-8"), "Bearer k\u00e9y")
            self.assertEqual(len(seen.headers.get_all("User-Agent")), 1)
            self.assertEqual(len(seen.headers["X-Correlation-ID"]), 36)

    def test_what_was_said_to_whom(self) -> None:
        stub, c, session = self.through(*[Answer(200, {})] * 3, headers={"X-Mine": "client"})
        session.headers.update({"User-Agent": "of the program", "X-Mine": "session", "X-Other": "session"})
        session.auth = ("user", "pass")
        c.pool_stats()
        seen = stub.seen[0].headers
        self.assertEqual((seen["User-Agent"], seen["X-Mine"], seen["X-Other"]), ("of the program", "client", "session"))
        self.assertIsNotNone(seen["Authorization"])
        own = TakoVM(stub.url, session=session, headers={"User-Agent": "said", "Authorization": "said"})
        own.pool_stats()
        seen = stub.seen[1].headers
        self.assertEqual((seen["User-Agent"], seen["Authorization"]), ("said", "said"))
        e = self.fails(ValidationError, lambda: TakoVM(stub.url, session=session, api_key="k"))
        self.assertIn("session.auth and api_key", str(e))

    def test_it_stays_its_owners(self) -> None:
        stub, c, session = self.through(Answer(200, {}))
        c.close()
        self.assertEqual(TakoVM(stub.url, session=session).pool_stats(), {})
        self.assertFalse(getattr(session, "closed", False))

    def test_no_server_and_again(self) -> None:
        stub, c, session = self.through(Answer(503, NO), lambda seen: None, Answer(200, {"pending": 2}))
        self.pauses.clear()
        self.assertEqual(c.pool_stats(), {"pending": 2})
        self.assertEqual(self.pauses, [0.5, 1.0])
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            away = TakoVM(f"http://127.0.0.1:{s.getsockname()[1]}", session=session, correlation_id="mine")
            e = self.fails(TransportError, lambda: away.cancel("j"))
        self.assertEqual(e.correlation_id, "mine")

    def test_redirects_are_not_followed(self) -> None:
        stub, c, session = self.through(Answer(307, b"", {"Location": "http://elsewhere.invalid/"}))
        self.assertIn("elsewhere.invalid", str(self.fails(tako_vm.MalformedResponseError, c.pool_stats)))

    def test_answers_that_are_cut(self) -> None:
        cut = Answer(200, b"abc", hang_up=True)
        with tempfile.TemporaryDirectory() as folder:
            _, c, _ = self.through(cut)
            self.fails(TransportError, lambda: c.save_artifact("j", "x", folder))
            self.assertEqual(list(Path(folder).iterdir()), [])

    def test_files_out(self) -> None:
        content = bytes(range(256)) * 1000
        whole = Answer(200, content, {"ETag": f'"{hashlib.sha256(content).hexdigest()}"'})
        _, c, _ = self.through(whole, whole)
        self.assertEqual(c.download_artifact("j", "x"), content)
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(c.save_artifact("j", "x", folder).read_bytes(), content)

    def test_files_in_are_streamed_with_their_length(self) -> None:
        stub, c, _ = self.through(Answer(200, {"job_id": "j"}))
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "f")
            file.write_bytes(b"\x00\xff" * 100_000)
            c.submit_code("x", options=JobOptions(files=[InputFile("d/f", local=file)]))
        seen = stub.seen[0]
        self.assertNotIn("Transfer-Encoding", seen.headers)
        self.assertIn(b'filename="d/f"', seen.body)
        self.assertIn(b"\x00\xff" * 100_000, seen.body)

    def test_functions(self) -> None:
        self.addCleanup(setattr, functions, "_client", functions._client)
        stub, _, session = self.through(Answer(200, {"pending": 4}))
        tako_vm.configure(stub.url, session=session)
        self.assertEqual(tako_vm.pool_stats(), {"pending": 4})


class Fake(Through, StubCase):
    make = FakeSession


class Refused(unittest.TestCase):
    def test_what_is_no_session(self) -> None:
        for bad in (object(), httpx.AsyncClient(), "session", 3):
            with self.assertRaisesRegex(TypeError, "httpx.Client or a requests.Session"):
                TakoVM(session=bad)  # type: ignore[arg-type]

    def test_asyncio_has_none(self) -> None:
        with self.assertRaisesRegex(TypeError, "must be an httpx.AsyncClient .* tako_vm.TakoVM takes others"):
            aio.TakoVM(session=FakeSession())  # type: ignore[arg-type]


if requests:

    class Real(Through, StubCase):
        make = requests.Session

        def test_events_come_as_they_are_said(self) -> None:
            session = requests.Session()
            answers = [stream(event(1, "stdout", text="a"), hang_up=True), stream(event(2, "end", status="succeeded"))]
            stub, c = self.serve(*answers, session=session)
            self.assertEqual([e.id for e in c.events("j")], ["1", "2"])
            self.assertEqual(stub.seen[1].headers["Last-Event-ID"], "1")

        def test_cookies_and_adapters(self) -> None:
            session = requests.Session()
            used: List[Any] = []

            class Adapter(requests.adapters.HTTPAdapter):
                def send(self, request: Any, **more: Any) -> Any:
                    used.append((more["verify"], more["timeout"]))
                    return super().send(request, **more)

            session.mount("http://", Adapter())
            session.verify, session.trust_env = "/ca.pem", False
            session.cookies.set("own", "1")
            stub, c = self.serve(Answer(200, {}, {"Set-Cookie": "given=2"}), Answer(200, {}), session=session, timeout=5, connect_timeout=2)
            c.pool_stats()
            c.pool_stats()
            self.assertEqual(used, [("/ca.pem", (2, 15))] * 2)
            self.assertEqual(stub.seen[0].headers.get_all("Cookie"), ["own=1"])
            (sent,) = stub.seen[1].headers.get_all("Cookie") or []
            self.assertEqual(set(sent.split("; ")), {"own=1", "given=2"})

        def test_compressed_answers(self) -> None:
            session = requests.Session()
            stub, c = self.serve(Answer(200, gzip.compress(b'{"pending": 5}'), {"Content-Encoding": "gzip"}), session=session)
            self.assertEqual(c.pool_stats(), {"pending": 5})


if __name__ == "__main__":
    unittest.main()
