"""Running code, and what becomes of it."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from dataclasses import replace
from typing import Any, Callable, Dict, Mapping, Optional

from .._body import Reply
from .._typed import typed
from .._wire import Call, Pause, Plan, Wire, decode, get, malformed, path, query
from ..errors import APIError, ClientError, SDKExecutionError, ServerError, TakoVMError, TransportError, ValidationError
from ..requests import JobRequest
from ..results import ExecutionResult

STARTUP = 600  # seconds that a server's preparations may take, where nobody says
MARGIN = 30
UNKNOWN = 930.0  # read timeout where the job's time is not known
LONGEST_WAIT = 300.0  # of the server, in one call
SUBMITS = 3
LONGEST_JOB = 30 * 86400  # seconds: no server lets code run for so long
PATIENCE = 120.0  # how long a server may be away while something waits for it


def post(wire: Wire, path: str, request: JobRequest, read: Optional[float], correlation_id: Optional[str]) -> Plan[Reply]:
    """Posts a job; as a form where files of this machine go along."""
    call = Call("POST", path, read=read, correlation_id=correlation_id)
    local = request.options.local() if request.options else []
    if not local:
        return (yield from wire.fetch(replace(call, body=request.wire())))
    try:
        text = json.dumps(request.wire(), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as e:
        raise ValidationError(f"the request cannot be written as JSON: {e}") from e
    opened = contextlib.ExitStack()
    with contextlib.closing(opened):
        parts = []
        for f in local:
            assert f.local is not None
            source = opened.enter_context(open(f.local, "rb"))
            parts.append(("file", (f.path, source, "application/octet-stream")))
        return (yield from wire.fetch(replace(call, form={"request": text}, parts=tuple(parts))))


def execute(wire: Wire, request: JobRequest, correlation_id: Optional[str] = None) -> Plan[ExecutionResult]:
    """Runs a job and waits for its end."""
    if correlation_id is None and wire.correlation_id is None:
        correlation_id = str(uuid.uuid4())
    read = yield from _patience(wire, request)
    reply = yield from post(wire, "/execute", request, read, correlation_id)
    call = Call("POST", "/execute", correlation_id=correlation_id or wire.correlation_id)
    body = decode(reply, call)
    if not isinstance(body, dict) or "success" not in body:
        raise malformed(reply, call, "it does not say whether the code succeeded")
    return ExecutionResult(
        success=bool(body["success"]),
        output=body.get("output"),
        execution_time=body.get("execution_time") or 0.0,
        stdout=body.get("stdout") or "",
        stderr=body.get("stderr") or "",
        error=body.get("error"),
        job_type=body.get("job_type"),
        exit_code=body.get("exit_code"),
        correlation_id=reply.headers.get("X-Correlation-ID") or call.correlation_id,
        job_id=body.get("execution_id") or body.get("job_id"),
        runtime=body.get("runtime"),
    )


def _patience(wire: Wire, request: JobRequest) -> Plan[float]:
    """How long /execute may be silent."""
    seconds = request.timeout
    if seconds is None:
        seconds = yield from _limit(wire, (request.job_type or "default").partition("@")[0])
    if seconds is None:
        return UNKNOWN
    # What makes no sense is the server's to refuse; sockets take no such times.
    parts = (seconds, request.startup_timeout or STARTUP)
    return float(sum(min(max(part, 0), LONGEST_JOB) for part in parts) + MARGIN)


def _limit(wire: Wire, name: str) -> Plan[Optional[int]]:
    """The time that jobs of a type have; None where it cannot be had."""
    if name in wire.limits:
        return wire.limits[name]
    try:
        known = yield from wire.object(replace(get(path("/job-types/", name)), repeat=False))
    except TakoVMError:
        return None  # the call that comes will say it
    seconds = known.get("timeout")
    if not isinstance(seconds, int) or isinstance(seconds, bool):
        return None
    wire.limits[name] = seconds
    return seconds


def send_raw(
    wire: Wire, func: Callable[..., Any], input_data: Any, request: JobRequest, correlation_id: Optional[str]
) -> Plan[ExecutionResult]:
    """Runs a typed function; errors of the call are a result, too."""
    job = typed(func, input_data)
    try:
        result = yield from execute(wire, replace(request, code=job.code, input_data=job.input_data), correlation_id)
    except (TransportError, APIError) as e:
        return ExecutionResult(success=False, error=f"Request failed: {e}", correlation_id=e.correlation_id)
    if result.success:
        try:
            result.output = job.result(result.output)
        except ValidationError as e:
            result.deserialization_error = str(e)
    return result


def send(wire: Wire, func: Callable[..., Any], input_data: Any, request: JobRequest, correlation_id: Optional[str]) -> Plan[Any]:
    """Runs a typed function and answers what it returns."""
    job = typed(func, input_data)
    result = yield from execute(wire, replace(request, code=job.code, input_data=job.input_data), correlation_id)
    if not result.success:
        raise SDKExecutionError(
            result.error or "Execution failed", result.stdout, result.stderr, result.exit_code, result.correlation_id
        )
    try:
        return job.result(result.output)
    except ValidationError as e:
        e.correlation_id = result.correlation_id
        raise


def submit(wire: Wire, request: JobRequest, correlation_id: Optional[str]) -> Plan[str]:
    """Queues a job; its key makes it safe to ask again."""
    if request.idempotency_key is None:
        request = replace(request, idempotency_key="sdk-" + uuid.uuid4().hex)
    n = 0
    while True:
        try:
            reply = yield from post(wire, "/execute/async", request, None, correlation_id)
            return job_id(reply, Call("POST", "/execute/async", correlation_id=correlation_id))
        except (TransportError, ServerError) as e:
            n += 1
            if n >= SUBMITS or isinstance(e, ServerError) and not e.retryable:
                raise
        yield Pause(min(0.5 * 2 ** (n - 1), 8.0))


def submit_typed(
    wire: Wire, func: Callable[..., Any], input_data: Any, request: JobRequest, correlation_id: Optional[str]
) -> Plan[str]:
    """Queues a typed function."""
    job = typed(func, input_data)
    return (yield from submit(wire, replace(request, code=job.code, input_data=job.input_data), correlation_id))


def job_id(reply: Reply, call: Call) -> str:
    """The job that an answer names."""
    body = decode(reply, call)
    found = body.get("job_id") if isinstance(body, dict) else None
    if not isinstance(found, str) or not found:
        raise malformed(reply, call, "it names no job")
    return found


def submitted(wire: Wire, call: Call) -> Plan[str]:
    """Makes a call whose answer names a job."""
    reply = yield from wire.fetch(call)
    return job_id(reply, call)


def get_result(wire: Wire, id: str, timeout: Optional[float], view: Optional[str]) -> Plan[Dict[str, Any]]:
    """A job's record, after a wait where timeout says so."""
    where = path("/jobs/", id, "/result")
    if timeout is None:
        return (yield from wire.object(get(where, query(view=view))))
    wait = min(max(timeout, 1.0), LONGEST_WAIT)
    call = get(where, query(wait="true", timeout=wait, view=view), read=wait + wire.timeout + 10)
    return (yield from wire.object(call))


def wait(wire: Wire, id: str, timeout: Optional[float], view: Optional[str]) -> Plan[Dict[str, Any]]:
    """Waits for a job's end, also over a restart of the server."""
    end = None if timeout is None else time.monotonic() + timeout
    away: Optional[float] = None  # since when there is no server
    while True:
        left = LONGEST_WAIT if end is None else max(end - time.monotonic(), 1.0)
        try:
            return (yield from get_result(wire, id, left, view))
        except ClientError as e:
            if e.status_code not in (408, 429) or end is not None and time.monotonic() >= end:
                raise
            away, pause = None, (e.retry_after or 1.0) if e.status_code == 429 else 0.0
            if pause > PATIENCE or end is not None and pause and time.monotonic() + pause > end:
                raise
        except (TransportError, ServerError) as e:
            if isinstance(e, ServerError) and not e.retryable:
                raise
            away, pause = away or time.monotonic(), 1.0
            now = time.monotonic()
            if now - away > PATIENCE or end is not None and now >= end:
                raise
        if pause:
            yield Pause(pause)


def rerun(wire: Wire, id: str, job_type: Optional[str], timeout: Optional[int]) -> Plan[str]:
    """Submits a job again."""
    body = _given({"job_type": job_type, "timeout": timeout})
    return (yield from submitted(wire, Call("POST", path("/jobs/", id, "/rerun"), body=body)))


def fork(wire: Wire, id: str, code: str, job_type: Optional[str], timeout: Optional[int]) -> Plan[str]:
    """Submits other code with a job's input."""
    body = _given({"code": code, "job_type": job_type, "timeout": timeout})
    return (yield from submitted(wire, Call("POST", path("/jobs/", id, "/fork"), body=body)))


def executions(
    wire: Wire,
    status: Optional[str],
    job_type: Optional[str],
    limit: int,
    offset: int,
    view: Optional[str],
    labels: Optional[Mapping[str, str]],
) -> Plan[Dict[str, Any]]:
    """A page of history."""
    chosen = query(status=status, job_type=job_type, limit=limit, offset=offset, view=view)
    chosen += tuple(("label", f"{name}:{value}") for name, value in (labels or {}).items())
    return (yield from wire.object(get("/executions", chosen)))


def _given(values: Dict[str, Any]) -> Dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
