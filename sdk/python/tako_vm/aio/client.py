"""The client for asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import os
from types import TracebackType
from typing import Any, AsyncIterator, List, Mapping, Optional, Type, TypeVar

import httpx

from .._body import Body, Reply, encoded
from .._wire import FAILURES, Close, Emit, Open, Pause, Plan, Read, Ready, Wire, tls
from ..client import DEFAULT_URL, request
from ._admin import Admin
from ._batches import Batches
from ._jobs import Jobs
from ._output import Output

__all__ = ["TakoVM"]

T = TypeVar("T")


class TakoVM(Jobs, Output, Batches, Admin):
    """tako_vm.TakoVM for asyncio: the same calls, to be awaited. What a call writes
    to this machine's disk is written in the event loop."""

    def __init__(
        self,
        base_url: str = DEFAULT_URL,
        timeout: float = 30,
        headers: Optional[Mapping[str, str]] = None,
        session: Optional[httpx.AsyncClient] = None,
        connect_timeout: float = 10.0,
        correlation_id: Optional[str] = None,
        *,
        api_key: Optional[str] = None,
    ) -> None:
        if session is not None and not isinstance(session, httpx.AsyncClient):
            kind = f"{type(session).__module__}.{type(session).__name__}"
            raise TypeError(f"session must be an httpx.AsyncClient and is a {kind}; tako_vm.TakoVM takes others")
        self._wire = Wire(base_url, timeout, headers, connect_timeout, correlation_id, api_key)
        self._own = session is None
        self._http = httpx.AsyncClient(verify=tls()) if session is None else session

    @classmethod
    def from_env(cls) -> "TakoVM":
        """A client of the server that TAKO_URL names, with the key of
        TAKO_API_KEY."""
        return cls(os.environ.get("TAKO_URL") or DEFAULT_URL, api_key=os.environ.get("TAKO_API_KEY"))

    @property
    def base_url(self) -> str:
        """The server's address, without a password."""
        return self._wire.shown

    async def close(self) -> None:
        """Ends connections. A session that was passed in is its owner's."""
        if self._own:
            await self._http.aclose()

    async def __aenter__(self) -> "TakoVM":
        return self

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        await self.close()

    async def _run(self, plan: Plan[T]) -> T:
        opened: List[httpx.Response] = []
        try:
            effect = next(plan)
            while True:
                effect = await self._step(plan, effect, opened)
        except _Done as done:
            result: T = done.value
            return result
        except StopIteration as stop:
            result = stop.value
            return result
        finally:
            await _close(plan, opened)

    async def _iterate(self, plan: Plan[None]) -> AsyncIterator[Any]:
        opened: List[httpx.Response] = []
        try:
            effect = next(plan)
            while True:
                if isinstance(effect, Emit):
                    yield effect.value
                    effect = plan.send(None)
                else:
                    effect = await self._step(plan, effect, opened)
        except (_Done, StopIteration):
            return
        finally:
            await _close(plan, opened)

    async def _step(self, plan: Plan[Any], effect: Any, opened: List[httpx.Response]) -> Any:
        failed: Optional[Exception] = None
        value: Any = None
        try:
            value = await self._perform(effect, opened)
        except FAILURES as e:
            failed = e
        try:
            return plan.throw(failed) if failed is not None else plan.send(value)
        except StopIteration as stop:
            raise _Done(stop.value) from None  # a coroutine cannot raise StopIteration

    async def _perform(self, effect: Any, opened: List[httpx.Response]) -> Any:
        if isinstance(effect, Pause):
            await asyncio.sleep(effect.seconds)
        elif isinstance(effect, Read):
            try:
                return await effect.stream.__anext__()
            except StopAsyncIteration:
                return b""
        elif isinstance(effect, Close):
            while opened:
                await opened.pop().aclose()
        elif isinstance(effect, Ready):
            r = await self._http.send(self._request(effect), stream=True, follow_redirects=False)
            try:
                return await _whole(r, effect.call.most)
            finally:
                await r.aclose()
        elif isinstance(effect, Open):
            r = await self._http.send(self._request(effect.ready), stream=True, follow_redirects=False)
            opened.append(r)
            if r.is_success:
                return Reply(r.status_code, r.headers, b"", r.aiter_bytes(), encoded(r))
            return await _whole(r, effect.ready.call.most)
        return None

    def _request(self, ready: Ready) -> httpx.Request:
        return request(self._http, ready)


async def _whole(r: httpx.Response, most: int) -> Reply:
    body = Body(r, most)
    if not body.wrong:
        async for chunk in r.aiter_bytes():
            if not body.add(chunk):
                break
    return body.reply()


class _Done(Exception):
    """A plan has ended with a value."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


async def _close(plan: Plan[Any], opened: List[httpx.Response]) -> None:
    plan.close()
    for r in opened:
        with contextlib.suppress(httpx.HTTPError):
            await r.aclose()
