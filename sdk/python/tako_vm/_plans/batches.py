"""Many jobs at once."""

from __future__ import annotations

import time
from typing import Any, Dict, Iterable, Mapping, Optional, Union

from .._body import Reply
from .._wire import Call, Emit, Pause, Plan, Wire, decode, get, malformed, path, query
from ..errors import ServerError, TransportError, ValidationError, WaitTimeoutError
from ..requests import JobRequest
from .jobs import PATIENCE

POLL = 0.2  # seconds at first between two looks at a batch
SLOWEST_POLL = 2.0
PAGE = 100


def submit(
    wire: Wire,
    items: Iterable[Union[JobRequest, Mapping[str, Any]]],
    labels: Optional[Mapping[str, str]],
    webhook_url: Optional[str],
    idempotency_key: Optional[str],
) -> Plan[str]:
    """Submits up to 1,000 jobs, all or none."""
    bodies = []
    for n, item in enumerate(items):
        if isinstance(item, JobRequest) and item.options and item.options.local():
            raise ValidationError(f"item {n} has a local file; upload it, and name the upload")
        bodies.append(item.wire() if isinstance(item, JobRequest) else dict(item))
    body: Dict[str, Any] = {"items": bodies}
    for name, value in (("labels", labels), ("webhook_url", webhook_url), ("idempotency_key", idempotency_key)):
        if value is not None:
            body[name] = value
    call = Call("POST", "/batches", body=body, repeat=idempotency_key is not None, read=wire.timeout + 60)
    reply: Reply = yield from wire.fetch(call)
    answer = decode(reply, call)
    found = answer.get("batch_id") if isinstance(answer, dict) else None
    if not isinstance(found, str) or not found:
        raise malformed(reply, call, "it names no batch")
    return found


def wait(wire: Wire, id: str, timeout: Optional[float]) -> Plan[Dict[str, Any]]:
    """Waits for a batch's end."""
    end = None if timeout is None else time.monotonic() + timeout
    pause, away = POLL, time.monotonic()
    while True:
        try:
            batch = yield from wire.object(get(path("/batches/", id)))
            away = time.monotonic()
            if batch.get("status") != "running":
                return batch
        except (TransportError, ServerError) as e:
            if isinstance(e, ServerError) and not e.retryable or time.monotonic() - away > PATIENCE:
                raise
        if end is not None and time.monotonic() + pause > end:
            raise WaitTimeoutError(f"the batch {id} has not ended in {timeout} s")
        yield Pause(pause)
        pause = min(pause * 1.5, SLOWEST_POLL)


def results(wire: Wire, id: str, view: Optional[str]) -> Plan[None]:
    """All records of a batch, in the order of its items."""
    offset = 0
    while True:
        where = path("/batches/", id, "/results")
        page = yield from wire.object(get(where, query(limit=PAGE, offset=offset, view=view)))
        items = page.get("items") or []
        for record in items:
            yield Emit(record)
        offset += len(items)
        if not page.get("has_more") or not items:
            return
