"""Calls by way of a requests.Session, for programs that have one.

The session makes the connections, so what it was told of headers, auth, cookies,
certificates, proxies and adapters holds. requests itself is not imported: its
exceptions are known by their names.
"""

from __future__ import annotations

from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Callable, Dict, Iterator, List, Optional, Protocol, Tuple, runtime_checkable

import httpx

from ._body import encoded
from ._version import __version__

__all__ = ["Session", "SessionTransport", "through"]

CHUNK = 1 << 16
# What every call has unless somebody says something else; a session's own come
# before these, and after what the client was told.
_DEFAULTS = {"user-agent": f"tako-vm-python/{__version__}", "accept": "*/*"}
# Of the connection, or of httpx: requests has its own.
_DROPPED = ("host", "connection", "content-length", "transfer-encoding")

_KINDS: Tuple[Tuple[str, Any], ...] = (  # the narrower ones first
    ("ConnectTimeout", httpx.ConnectTimeout),
    ("Timeout", httpx.ReadTimeout),
    ("ProxyError", httpx.ProxyError),
    ("SSLError", httpx.ConnectError),
    ("ConnectionError", httpx.ConnectError),
    ("ContentDecodingError", httpx.DecodingError),
    ("ChunkedEncodingError", httpx.RemoteProtocolError),
    ("InvalidURL", httpx.UnsupportedProtocol),
    ("InvalidSchema", httpx.UnsupportedProtocol),
    ("RequestException", httpx.RequestError),
    ("HTTPError", httpx.ReadError),  # what urllib3 raises is based on this one
)


@runtime_checkable
class Session(Protocol):
    """What is used of a requests.Session, and what it is known by."""

    headers: Any
    auth: Any
    cookies: Any

    @property
    def request(self) -> Callable[..., Any]:
        """Sends a request and answers its response."""

    @property
    def mount(self) -> Callable[..., Any]:
        """Is not called; an httpx.Client has none."""


def through(session: Session) -> httpx.Client:
    """A client of httpx whose requests go through a session. Cookies are the
    session's alone."""
    none = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    client = httpx.Client(transport=SessionTransport(session), cookies=none, trust_env=False)
    return client


class SessionTransport(httpx.BaseTransport):
    """Sends by session.request(). It does not close the session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Sends a request and answers as soon as the headers are here."""
        limits = request.extensions.get("timeout", {})
        headers = self._headers(request)
        try:
            answer = self._session.request(
                request.method,
                str(request.url),
                headers=headers,
                data=_body(request),
                timeout=(limits.get("connect"), limits.get("read")),
                # Said here, it is neither the session's nor that of a .netrc.
                auth=_as_it_is if "Authorization" in headers else None,
                stream=True,
                allow_redirects=False,
            )
        except Exception as e:
            raise _as_httpx(e, request) from e
        return httpx.Response(answer.status_code, headers=_answered(answer), stream=_Stream(answer, request), request=request)

    def _headers(self, request: httpx.Request) -> Dict[str, str]:
        """What goes along, as text whose bytes are those that httpx would send."""
        own = {name.lower() for name in self._session.headers}
        headers: Dict[str, str] = {}
        for raw, value in request.headers.raw:
            name, text = raw.decode("latin-1"), value.decode("latin-1")
            known = name.lower()
            if known in _DROPPED:
                continue
            if known in own and _DEFAULTS.get(known) == text:
                continue
            headers[name] = text
        return headers


def _as_it_is(prepared: Any) -> Any:
    """Authentication for requests that adds none."""
    return prepared


class _Body:
    """A body of a known length that is sent as it is read."""

    def __init__(self, request: httpx.Request, length: int) -> None:
        self._request = request
        self._length = length

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._request.stream)  # type: ignore[arg-type]


def _body(request: httpx.Request) -> Any:
    if isinstance(request.stream, httpx.ByteStream):
        return request.read() or None
    length = request.headers.get("Content-Length")
    return iter(request.stream) if length is None else _Body(request, int(length))  # type: ignore[arg-type]


def _answered(answer: Any) -> List[Tuple[bytes, bytes]]:
    """Headers of an answer, without what is not true any more: requests decodes,
    unless it is an encoding for which nothing is read."""
    gone = ("transfer-encoding",) if encoded(answer) else ("content-encoding", "transfer-encoding")
    return [
        (name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.items() if name.lower() not in gone
    ]


class _Stream(httpx.SyncByteStream):
    """The body of an answer, decoded, as it comes."""

    def __init__(self, answer: Any, request: httpx.Request) -> None:
        self._answer = answer
        self._request = request

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._answer.iter_content(self._size())
        except Exception as e:
            raise _as_httpx(e, self._request) from e
        self._whole()

    def _size(self) -> int:
        """How much is waited for at once. Chunks are handed on as they come; of
        events without chunks each byte has to be."""
        headers = self._answer.headers
        events = headers.get("Content-Type", "").startswith("text/event-stream")
        return 1 if events and headers.get("Transfer-Encoding", "").lower() != "chunked" else CHUNK

    def _whole(self) -> None:
        """urllib3 before 2 takes an answer that is cut for a whole one."""
        promised: Optional[str] = self._answer.headers.get("Content-Length")
        tell = getattr(getattr(self._answer, "raw", None), "tell", None)
        if promised is None or tell is None:
            return
        if promised.isdigit() and tell() < int(promised):
            raise httpx.RemoteProtocolError(f"{tell()} of {promised} bytes came", request=self._request)

    def close(self) -> None:
        self._answer.close()


def _as_httpx(e: Exception, request: httpx.Request) -> Exception:
    """The exception of httpx for one of requests; others stay what they are."""
    names = {kind.__name__ for kind in type(e).__mro__}
    for name, kind in _KINDS:
        if name in names:
            made: Exception = kind(str(e) or type(e).__name__, request=request)
            return made
    return e
