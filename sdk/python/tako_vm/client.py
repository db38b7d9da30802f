"""The client."""

from __future__ import annotations

import contextlib
import os
import time
from types import TracebackType
from typing import Any, Iterator, List, Mapping, Optional, Type, TypeVar, Union

import httpx

from ._body import Body, Reply, encoded
from ._methods.admin import Admin
from ._methods.batches import Batches
from ._methods.jobs import Jobs
from ._methods.output import Output
from ._session import Session, through
from ._wire import FAILURES, Close, Emit, Open, Pause, Plan, Read, Ready, Wire, tls
from .errors import ValidationError

__all__ = ["TakoVM"]

T = TypeVar("T")
DEFAULT_URL = "http://localhost:8000"


class TakoVM(Jobs, Output, Batches, Admin):
    """Talks to one server. It may be used by several threads at once.

    timeout is how many seconds an answer may take that needs no work, to which
    10 are added; connect_timeout how long to wait for a connection. headers are
    sent with every call and take the place of its own. session makes the calls,
    by default one of its own: an httpx.Client, or a requests.Session, whose own
    headers, auth, cookies, certificates, proxies and adapters hold behind what is
    said here. correlation_id is sent with every call; by default
    each has a new one. api_key is sent with every call.
    """

    def __init__(
        self,
        base_url: str = DEFAULT_URL,
        timeout: float = 30,
        headers: Optional[Mapping[str, str]] = None,
        session: Optional[Union[httpx.Client, Session]] = None,
        connect_timeout: float = 10.0,
        correlation_id: Optional[str] = None,
        *,
        api_key: Optional[str] = None,
    ) -> None:
        self._wire = Wire(base_url, timeout, headers, connect_timeout, correlation_id, api_key)
        self._own = session is None
        self._http = httpx.Client(verify=tls()) if session is None else _client_of(session, api_key)

    @classmethod
    def from_env(cls) -> "TakoVM":
        """A client of the server that TAKO_URL names, with the key of
        TAKO_API_KEY."""
        return cls(os.environ.get("TAKO_URL") or DEFAULT_URL, api_key=os.environ.get("TAKO_API_KEY"))

    @property
    def base_url(self) -> str:
        """The server's address, without a password."""
        return self._wire.shown

    def close(self) -> None:
        """Ends connections. A session that was passed in is its owner's."""
        if self._own:
            self._http.close()

    def __enter__(self) -> "TakoVM":
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()

    def _run(self, plan: Plan[T]) -> T:
        opened: List[httpx.Response] = []
        try:
            effect = next(plan)
            while True:
                effect = self._step(plan, effect, opened)
        except StopIteration as stop:
            result: T = stop.value
            return result
        finally:
            _close(plan, opened)

    def _iterate(self, plan: Plan[None]) -> Iterator[Any]:
        opened: List[httpx.Response] = []
        try:
            effect = next(plan)
            while True:
                if isinstance(effect, Emit):
                    yield effect.value
                    effect = plan.send(None)
                else:
                    effect = self._step(plan, effect, opened)
        except StopIteration:
            return
        finally:
            _close(plan, opened)

    def _step(self, plan: Plan[Any], effect: Any, opened: List[httpx.Response]) -> Any:
        try:
            value = self._perform(effect, opened)
        except FAILURES as e:
            return plan.throw(e)
        return plan.send(value)

    def _perform(self, effect: Any, opened: List[httpx.Response]) -> Any:
        if isinstance(effect, Pause):
            time.sleep(effect.seconds)
        elif isinstance(effect, Read):
            return next(effect.stream, b"")
        elif isinstance(effect, Close):
            while opened:
                opened.pop().close()
        elif isinstance(effect, Ready):
            r = self._http.send(self._request(effect), stream=True, follow_redirects=False)
            with contextlib.closing(r):
                return _whole(r, effect.call.most)
        elif isinstance(effect, Open):
            r = self._http.send(self._request(effect.ready), stream=True, follow_redirects=False)
            opened.append(r)
            if r.is_success:
                return Reply(r.status_code, r.headers, b"", r.iter_bytes(), encoded(r))
            return _whole(r, effect.ready.call.most)
        return None

    def _request(self, ready: Ready) -> httpx.Request:
        return request(self._http, ready)


def _whole(r: httpx.Response, most: int) -> Reply:
    body = Body(r, most)
    if not body.wrong:
        for chunk in r.iter_bytes():
            if not body.add(chunk):
                break
    return body.reply()


def _client_of(session: Any, api_key: Optional[str]) -> httpx.Client:
    """The client that a session is, or goes through."""
    if isinstance(session, httpx.Client):
        return session
    if not isinstance(session, Session):
        raise TypeError(f"session must be an httpx.Client or a requests.Session and is a {_kind(session)}")
    if api_key and session.auth:
        raise ValidationError("session.auth and api_key would both be the header Authorization: give one of them")
    return through(session)


def _kind(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__name__}"


def request(http: Any, ready: Ready) -> httpx.Request:
    """What a client of httpx sends."""
    call = ready.call
    built: httpx.Request = http.build_request(
        call.method,
        ready.url,
        headers=ready.headers,
        content=ready.content,
        data=call.form,
        files=list(call.parts) or None,
        timeout=ready.timeout,
    )
    return built


def _close(plan: Plan[Any], opened: List[httpx.Response]) -> None:
    plan.close()
    for r in opened:
        with contextlib.suppress(httpx.HTTPError):
            r.close()
