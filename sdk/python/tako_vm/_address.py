"""Where a server is, and the clients of httpx that reach it there."""

from __future__ import annotations

import functools
import ssl
from dataclasses import dataclass
from typing import Optional
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import httpx

from .errors import ValidationError


@dataclass(frozen=True)
class Address:
    """A server's URL: base is what paths are put after, shown has no password."""

    base: str
    shown: str
    socket: Optional[str] = None  # path of a Unix socket

    @classmethod
    def of(cls, url: str) -> "Address":
        """Reads http://, https:// and unix:///path."""
        try:
            u = urlsplit(url)
            u.port  # noqa: B018 -- says when it is none
        except ValueError as e:
            raise ValidationError("the server's URL is not a URL") from e  # it may have a password
        if u.scheme == "unix" and not u.netloc and u.path.startswith("/") and not u.query and not u.fragment:
            return cls("http://localhost", url, unquote(u.path))
        if u.scheme not in ("http", "https") or not u.hostname or u.query or u.fragment:
            raise ValidationError("the server's URL does not look like http://localhost:8000")
        base = url.rstrip("/")
        u = urlsplit(base)
        return cls(base, urlunsplit(u._replace(netloc=u.netloc.rpartition("@")[2])))

    def client(self) -> httpx.Client:
        """A client that is closed by who asked for it."""
        if self.socket is None:
            return httpx.Client(verify=_tls())
        return httpx.Client(transport=httpx.HTTPTransport(uds=self.socket), trust_env=False)

    def async_client(self) -> httpx.AsyncClient:
        """The same for asyncio."""
        if self.socket is None:
            return httpx.AsyncClient(verify=_tls())
        return httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=self.socket), trust_env=False)

    def session(self) -> None:
        """Refuses a session: which connections it makes is its own affair."""
        if self.socket is not None:
            raise ValidationError(f"a session cannot be used with a server on a Unix socket ({self.shown})")


def of_socket(path: str) -> str:
    """The URL of a Unix socket."""
    return "unix://" + quote(path)


@functools.lru_cache(maxsize=None)
def _tls() -> ssl.SSLContext:
    """What clients trust. Reading it takes 40 ms, so they share one."""
    return httpx.create_ssl_context()
