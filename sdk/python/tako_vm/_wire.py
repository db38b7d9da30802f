"""Calls and their answers, without anything that talks.

What the package does is written once, as plans: generators that yield what is
to be done (a Call, an Open, a Pause, ...) and are sent what came of it. A sync
and an async client carry plans out.
"""

from __future__ import annotations

import functools
import json
import re
import ssl
import uuid
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, Dict, Generator, List, Mapping, Optional, Tuple, TypeVar
from urllib.parse import quote, urlsplit, urlunsplit

import httpx

from ._body import MAX_ANSWER, Reply
from ._version import __version__
from .errors import APIError, ClientError, MalformedResponseError, ServerError, TransportError, ValidationError

T = TypeVar("T")
Plan = Generator[Any, Any, T]

RETRIES = 3
BACKOFF = 0.5  # seconds, doubled with each repetition
MAX_PAUSE = 30.0  # a server that asks for a longer pause gets no repetition
LONGEST = 1 << 30  # seconds: what is more than time has
FAILURES = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError)


@functools.lru_cache(maxsize=None)
def tls() -> ssl.SSLContext:
    """What clients trust. Reading it takes 40 ms, so they share one."""
    return httpx.create_ssl_context()


@dataclass(frozen=True)
class Call:
    """A request. read is the longest silence of the answer in seconds."""

    method: str
    path: str  # quoted
    query: Tuple[Tuple[str, str], ...] = ()
    body: Any = None  # sent as JSON
    parts: Tuple[Tuple[str, Any], ...] = ()  # of a form, as httpx has them
    form: Optional[Dict[str, str]] = None
    headers: Mapping[str, str] = field(default_factory=dict)
    read: Optional[float] = None
    correlation_id: Optional[str] = None
    repeat: bool = False
    most: int = MAX_ANSWER  # bytes of the answer


@dataclass(frozen=True)
class Ready:
    """A call with all that is sent."""

    call: Call
    url: str
    headers: List[Tuple[bytes, bytes]] = field(repr=False)  # the key is among them
    content: Optional[bytes]
    timeout: httpx.Timeout
    correlation_id: str


@dataclass(frozen=True)
class Open:
    """Makes a call whose answer is read bit by bit."""

    ready: Ready


@dataclass(frozen=True)
class Read:
    """Reads on: bytes, none at the end."""

    stream: Any


@dataclass(frozen=True)
class Close:
    """Ends reading."""

    stream: Any


@dataclass(frozen=True)
class Pause:
    """Waits, in seconds."""

    seconds: float


@dataclass(frozen=True)
class Emit:
    """Hands a value to who iterates."""

    value: Any


class Wire:
    """What all calls of a client share."""

    def __init__(
        self,
        base_url: str,
        timeout: float,
        headers: Optional[Mapping[str, str]],
        connect_timeout: float,
        correlation_id: Optional[str],
        api_key: Optional[str],
    ) -> None:
        self.base_url = _base(base_url)
        self.timeout = timeout
        self.connect_timeout = connect_timeout
        self.correlation_id = correlation_id
        agent = f"tako-vm-python/{__version__}"
        self.headers: Dict[str, str] = {"User-Agent": agent, "Accept": "*/*", "Accept-Encoding": "gzip, deflate"}
        if api_key:
            self.headers["Authorization"] = "Bearer " + api_key.strip()
        self.own = dict(headers or {})
        for name, value in {**self.headers, **self.own}.items():
            if any(ord(c) < 32 or ord(c) == 127 for c in name + value):
                raise ValidationError(f"the header {name!r} holds control characters")  # not the value: it may be the key
        self.limits: Dict[str, Optional[int]] = {}  # seconds that job types give

    @property
    def shown(self) -> str:
        """The server's address without a password."""
        u = urlsplit(self.base_url)
        return urlunsplit(u._replace(netloc=u.netloc.rpartition("@")[2]))

    def ready(self, call: Call) -> Ready:
        """A call with the headers and times of this client."""
        sent = call.correlation_id or self.correlation_id or str(uuid.uuid4())
        headers = {"X-Correlation-ID": sent, **self.headers, **call.headers}
        content = None
        if call.body is not None:
            headers["Content-Type"] = "application/json"
            try:
                content = json.dumps(call.body, ensure_ascii=False, allow_nan=False).encode("utf-8")
            except (TypeError, ValueError, RecursionError) as e:
                raise ValidationError(f"the request cannot be written as JSON: {e}") from e
        for name, value in self.own.items():
            headers = {n: v for n, v in headers.items() if n.lower() != name.lower()}
            headers[name] = value
        for name, value in headers.items():
            if name.lower() == "x-correlation-id":
                sent = value
        url = self.base_url + call.path
        if call.query:
            url += "?" + "&".join(f"{quoted(name)}={quoted(value)}" for name, value in call.query)
        read = self.timeout + 10 if call.read is None else call.read
        timeout = httpx.Timeout(read, connect=self.connect_timeout, pool=None)
        try:
            named = [(n.encode("utf-8"), v.encode("utf-8")) for n, v in headers.items()]
        except UnicodeEncodeError as e:
            raise ValidationError("a header cannot be written as UTF-8") from e  # not which text: it may be the key
        return Ready(call, url, named, content, timeout, sent)

    def fetch(self, call: Call) -> Plan[Reply]:
        """Makes a call until it goes well or cannot be repeated."""
        return (yield from self._repeated(call, stream=False))

    def open(self, call: Call) -> Plan[Reply]:
        """The same for a call whose answer is read bit by bit."""
        return (yield from self._repeated(call, stream=True))

    def _repeated(self, call: Call, stream: bool) -> Plan[Reply]:
        if call.correlation_id is None:  # one id for all repetitions
            call = replace(call, correlation_id=self.correlation_id or str(uuid.uuid4()))
        ready = self.ready(call)
        n = 0
        while True:
            error: Exception
            cause: Optional[Exception] = None
            wait = BACKOFF * 2**n
            try:
                reply: Reply = yield (Open(ready) if stream else ready)
            except FAILURES as e:
                error, cause = self.failed(e, ready.correlation_id), e
            else:
                if reply.wrong:
                    raise malformed(reply, call, reply.wrong)
                if 200 <= reply.status < 300:
                    return reply
                error = failure(reply, ready)
            if isinstance(error, APIError) and error.retry_after:
                wait = error.retry_after
            if not call.repeat or n >= RETRIES or not _temporary(error) or wait > MAX_PAUSE:
                raise error from cause
            n += 1
            yield Pause(wait)

    def failed(self, e: Exception, correlation_id: Optional[str]) -> TransportError:
        """The error of a call without a whole answer."""
        return TransportError(f"{self.shown} cannot be reached: {e or type(e).__name__}", correlation_id=correlation_id)

    def json(self, call: Call) -> Plan[Any]:
        """Makes a call and decodes its answer."""
        reply = yield from self.fetch(call)
        return decode(reply, call)

    def object(self, call: Call) -> Plan[Dict[str, Any]]:
        """The same for an answer that is a JSON object."""
        reply = yield from self.fetch(call)
        value = decode(reply, call)
        if not isinstance(value, dict):
            raise malformed(reply, call, "it is no JSON object")
        return value

    def list(self, call: Call) -> Plan[List[Dict[str, Any]]]:
        """The same for an answer that is a list."""
        reply = yield from self.fetch(call)
        value = decode(reply, call)
        if not isinstance(value, list):
            raise malformed(reply, call, "it is no list")
        return value


def _base(url: str) -> str:
    try:
        u = urlsplit(url)
        u.port  # noqa: B018 -- says when it is none
    except ValueError as e:
        raise ValidationError("the server's URL is not a URL") from e  # it may have a password
    if u.scheme not in ("http", "https") or not u.hostname or u.query or u.fragment:
        raise ValidationError("the server's URL does not look like http://localhost:8000")
    return url.rstrip("/")


def _temporary(error: Exception) -> bool:
    if isinstance(error, ServerError):
        return error.retryable
    if isinstance(error, ClientError):
        return error.status_code == 429 or error.status_code == 413 and error.retry_after is not None
    return isinstance(error, TransportError)


def decode(reply: Reply, call: Call) -> Any:
    """The JSON of an answer."""
    try:
        return json.loads(reply.content)
    except RecursionError as e:
        raise malformed(reply, call, "it is nested too deep") from e
    except ValueError as e:
        kind = reply.headers.get("Content-Type") or "of no type"
        raise malformed(reply, call, f"it is {kind} and not JSON") from e


def malformed(reply: Reply, call: Call, what: str) -> MalformedResponseError:
    """The error of an answer that makes no sense."""
    known = reply.headers.get("X-Correlation-ID") or call.correlation_id
    return MalformedResponseError(
        f"{call.method} {call.path} is not answered as a Tako server does (HTTP {reply.status}): {what}", correlation_id=known
    )


def failure(reply: Reply, ready: Ready) -> Exception:
    """The error of an answer that is none of success."""
    call = ready.call
    known = reply.headers.get("X-Correlation-ID") or ready.correlation_id
    if reply.status < 400:
        to = reply.headers.get("Location") or "nowhere"
        return MalformedResponseError(f"{call.method} {call.path} is redirected to {to}: use that URL", correlation_id=known)
    text = reply.content.decode("utf-8", "replace")
    detail, problems, hint = "", [], ""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        body = None
    if isinstance(body, dict):
        said = body.get("detail")
        problems = [p for p in said if isinstance(p, dict)] if isinstance(said, list) else []
        detail = said if isinstance(said, str) else json.dumps(said) if said is not None else ""
        if isinstance(body.get("correlation_id"), str):
            known = body["correlation_id"] or known
        elif (reply.status, detail) in ((404, "Not Found"), (405, "Method Not Allowed")):
            hint = "; the server does not know this call, it may be of another version"
    detail = detail or text[:500].strip() or f"HTTP {reply.status}"
    kind, word = (ServerError, "Server") if reply.status >= 500 else (ClientError, "Client")
    return kind(
        f"{word} error {reply.status} on {call.method} {call.path}: {detail}{hint}",
        status_code=reply.status,
        detail=detail,
        correlation_id=known,
        problems=problems,
        retry_after=_retry_after(reply.headers.get("Retry-After")),
    )


def _retry_after(text: Optional[str]) -> Optional[float]:
    """The header: seconds or a date."""
    if not text:
        return None
    if re.fullmatch(r"-?[0-9]+", text, re.ASCII):
        return float(min(max(int(text[:12]), 0), LONGEST))
    try:
        at = parsedate_to_datetime(text)
        return min(max(0.0, (at - datetime.now(timezone.utc)).total_seconds()), float(LONGEST))
    except (TypeError, ValueError, OverflowError, IndexError):
        return None


def quoted(text: str) -> str:
    """A text as one part of a URL."""
    try:
        return quote(text, safe="")
    except UnicodeEncodeError as e:
        raise ValidationError(f"{text!r} cannot be written as UTF-8") from e


def path(*parts: str) -> str:
    """A path of fixed words, "/jobs/", and names, which are one part each: names
    are at odd places."""
    out = []
    for n, part in enumerate(parts):
        if n % 2 == 0:
            out.append(part)
            continue
        if not isinstance(part, str) or not part.strip("."):
            # Empty parts and dots would make another path of it on the way.
            raise ValidationError(f"{part!r} is no id and no name")
        out.append(quoted(part))
    return "".join(out)


def query(**values: Any) -> Tuple[Tuple[str, str], ...]:
    """A query of what was said."""
    return tuple((name, str(value)) for name, value in values.items() if value is not None)


def get(path: str, query: Tuple[Tuple[str, str], ...] = (), read: Optional[float] = None, **more: Any) -> Call:
    """A call that only reads, which may be repeated."""
    return Call("GET", path, query, read=read, repeat=True, **more)
