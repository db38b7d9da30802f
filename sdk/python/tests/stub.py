"""A server that answers what a test says."""

from __future__ import annotations

import json
import threading
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, Dict, List, Optional, Tuple
from unittest import mock

from tako_vm import TakoVM


class Seen:
    """A request that came."""

    def __init__(self, handler: BaseHTTPRequestHandler) -> None:
        self.method = handler.command
        self.path = handler.path
        self.headers = handler.headers
        self.body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Answer:
    """An answer; hang_up cuts it off there, although it promised more."""

    def __init__(
        self, status: int = 200, body: Any = None, headers: Optional[Dict[str, str]] = None, hang_up: bool = False
    ) -> None:
        self.status = status
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.headers = {"Content-Type": "application/json", "X-Correlation-ID": "of-the-server", **(headers or {})}
        self.hang_up = hang_up


class Stub:
    """Answers from a list, one after the other; then 500."""

    def __init__(self, *answers: Any) -> None:
        self.answers: List[Any] = list(answers)
        self.seen: List[Seen] = []
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                seen = Seen(self)
                stub.seen.append(seen)
                answer = stub.answers.pop(0) if stub.answers else Answer(500, {"detail": "no more answers"})
                if callable(answer):
                    answer = answer(seen)
                if answer is None:  # no answer at all
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                if "Content-Length" not in answer.headers:
                    self.send_header("Content-Length", str(len(answer.body) + (10 if answer.hang_up else 0)))
                self.end_headers()
                self.wfile.write(answer.body)
                self.close_connection = True

            do_GET = do_POST = do_PUT = do_DELETE = answer

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class StubCase(unittest.TestCase):
    """Tests with a stub. Pauses are noted and take no time."""

    def setUp(self) -> None:
        self.pauses: List[float] = []
        patch = mock.patch("tako_vm.client.time.sleep", self.pauses.append)
        patch.start()
        self.addCleanup(patch.stop)

    def serve(self, *answers: Any, **options: Any) -> Tuple[Stub, TakoVM]:
        stub = Stub(*answers)
        self.addCleanup(stub.close)
        client = TakoVM(stub.url, **options)
        self.addCleanup(client.close)
        return stub, client

    def fails(self, kind: type, call: Callable[[], Any]) -> Any:
        with self.assertRaises(kind) as caught:
            call()
        return caught.exception
