"""Servers on Unix sockets."""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
import threading
import unittest
from http.server import ThreadingHTTPServer
from urllib.parse import quote

import httpx
from tako_vm import TakoVM, TransportError, ValidationError, aio

from .stub import Answer, Stub


class OnSocket(ThreadingHTTPServer):
    """The stub's server on a Unix socket."""

    address_family = socket.AF_UNIX

    def server_bind(self) -> None:
        self.socket.bind(self.server_address)  # type: ignore[arg-type]


class Unix(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "a socket?%")
        self.url = "unix://" + quote(self.path)

    def test_calls(self) -> None:
        stub = Stub(Answer(body={"running": 1}), Answer(body={"running": 2}))
        stub.close()
        server = OnSocket(self.path, stub.server.RequestHandlerClass)  # type: ignore[arg-type]
        self.addCleanup(server.server_close)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        self.addCleanup(server.shutdown)
        with TakoVM(self.url) as client:
            self.assertEqual(client.pool_stats(), {"running": 1})
            self.assertEqual(client.base_url, self.url)

        async def main() -> None:
            async with aio.TakoVM(self.url) as client:
                self.assertEqual(await client.pool_stats(), {"running": 2})

        asyncio.run(main())
        self.assertEqual([s.headers["Host"] for s in stub.seen], ["localhost"] * 2)

    def test_no_server(self) -> None:
        with TakoVM(self.url) as client, self.assertRaises(TransportError) as caught:
            client.cancel("job")
        self.assertIn(self.url, str(caught.exception))

    def test_what_is_no_socket(self) -> None:
        for url in ("unix://host/path", "unix:", "unix:path", "unix:///path?query", "unix:///path#fragment"):
            with self.subTest(url), self.assertRaises(ValidationError):
                TakoVM(url)
        with httpx.Client() as session, self.assertRaises(ValidationError) as caught:
            TakoVM(self.url, session=session)
        self.assertIn("session", str(caught.exception))


if __name__ == "__main__":
    unittest.main()
