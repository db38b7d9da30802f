"""The calls as functions, of one client for the whole process."""

from __future__ import annotations

import threading
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Union

import httpx

from ._session import Session
from .client import DEFAULT_URL, TakoVM
from .requests import JobOptions
from .results import ExecutionResult

__all__ = [
    "cancel",
    "client",
    "configure",
    "build_job_type",
    "dlq_stats",
    "download_artifact",
    "fork",
    "get_execution",
    "get_job_type",
    "get_result",
    "get_status",
    "health",
    "list_executions",
    "list_job_types",
    "pool_stats",
    "rerun",
    "send",
    "send_raw",
    "submit",
    "submit_code",
]

_lock = threading.Lock()
_client: Optional[TakoVM] = None


def configure(
    base_url: str = DEFAULT_URL,
    timeout: float = 30,
    headers: Optional[Mapping[str, str]] = None,
    session: Optional[Union[httpx.Client, Session]] = None,
    connect_timeout: float = 10.0,
    correlation_id: Optional[str] = None,
    *,
    api_key: Optional[str] = None,
) -> None:
    """Makes the client that the functions of this package use. Without it they use
    the server of TAKO_URL and the key of TAKO_API_KEY."""
    global _client
    made = TakoVM(base_url, timeout, headers, session, connect_timeout, correlation_id, api_key=api_key)
    with _lock:
        _client = made  # calls of other threads may still use the one before


def client() -> TakoVM:
    """The client that the functions of this package use."""
    global _client
    with _lock:
        if _client is None:
            _client = TakoVM.from_env()
        return _client


def send(
    func: Callable[..., Any],
    input_data: Any,
    timeout: Optional[int] = None,
    job_type: Optional[str] = None,
    requirements: Optional[Sequence[str]] = None,
    startup_timeout: Optional[int] = None,
    idempotency_key: Optional[str] = None,
    correlation_id: Optional[str] = None,
    *,
    options: Optional[JobOptions] = None,
) -> Any:
    """Runs a function of one dataclass in a sandbox and answers the dataclass
    that it returns. It sees nothing of this process: imports are inside of
    it. SDKExecutionError where it fails, ValidationError where types do not
    fit."""
    return client().send(
        func,
        input_data,
        timeout,
        job_type,
        requirements,
        startup_timeout,
        idempotency_key,
        correlation_id,
        options=options,
    )


def send_raw(
    func: Callable[..., Any],
    input_data: Any,
    timeout: Optional[int] = None,
    job_type: Optional[str] = None,
    requirements: Optional[Sequence[str]] = None,
    startup_timeout: Optional[int] = None,
    idempotency_key: Optional[str] = None,
    correlation_id: Optional[str] = None,
    *,
    options: Optional[JobOptions] = None,
) -> ExecutionResult:
    """The same, with all that is known of the run; also of one that failed, or
    of a call that did."""
    return client().send_raw(
        func,
        input_data,
        timeout,
        job_type,
        requirements,
        startup_timeout,
        idempotency_key,
        correlation_id,
        options=options,
    )


def submit(
    func: Callable[..., Any],
    input_data: Any,
    *,
    timeout: Optional[int] = None,
    startup_timeout: Optional[int] = None,
    job_type: Optional[str] = None,
    requirements: Optional[Sequence[str]] = None,
    idempotency_key: Optional[str] = None,
    correlation_id: Optional[str] = None,
    options: Optional[JobOptions] = None,
) -> str:
    """Queues a function of one dataclass, as send() takes it."""
    return client().submit(
        func,
        input_data,
        timeout=timeout,
        startup_timeout=startup_timeout,
        job_type=job_type,
        requirements=requirements,
        idempotency_key=idempotency_key,
        correlation_id=correlation_id,
        options=options,
    )


def submit_code(
    code: str,
    input_data: Optional[Dict[str, Any]] = None,
    *,
    timeout: Optional[int] = None,
    startup_timeout: Optional[int] = None,
    job_type: Optional[str] = None,
    requirements: Optional[Sequence[str]] = None,
    idempotency_key: Optional[str] = None,
    correlation_id: Optional[str] = None,
    options: Optional[JobOptions] = None,
) -> str:
    """Queues code and answers the job's id. It is tried three times; the key,
    one of its own where none is given, keeps it one job."""
    return client().submit_code(
        code,
        input_data,
        timeout=timeout,
        startup_timeout=startup_timeout,
        job_type=job_type,
        requirements=requirements,
        idempotency_key=idempotency_key,
        correlation_id=correlation_id,
        options=options,
    )


def get_status(job_id: str) -> Dict[str, Any]:
    """Where a job stands."""
    return client().get_status(job_id)


def get_result(job_id: str, *, timeout: Optional[float] = None, view: Optional[str] = None) -> Dict[str, Any]:
    """A job's record as it is now; with timeout after a wait of up to 300 s
    for its end, ClientError 408 where it does not come."""
    return client().get_result(job_id, timeout=timeout, view=view)


def cancel(job_id: str) -> Dict[str, Any]:
    """Ends a job, whether it waits or runs."""
    return client().cancel(job_id)


def rerun(job_id: str, *, job_type: Optional[str] = None, timeout: Optional[int] = None) -> str:
    """Submits a job that has ended again and answers the new one's id."""
    return client().rerun(job_id, job_type=job_type, timeout=timeout)


def fork(job_id: str, code: str, *, job_type: Optional[str] = None, timeout: Optional[int] = None) -> str:
    """Submits other code with the input of a job that has ended."""
    return client().fork(job_id, code, job_type=job_type, timeout=timeout)


def download_artifact(job_id: str, name: str) -> bytes:
    """A file that a job left. Its digest is checked."""
    return client().download_artifact(job_id, name)


def list_executions(
    *,
    status: Optional[str] = None,
    job_type: Optional[str] = None,
    limit: int = 50,
    offset: int = 0,
    view: Optional[str] = None,
    labels: Optional[Mapping[str, str]] = None,
) -> Dict[str, Any]:
    """A page of records, newest first."""
    return client().list_executions(status=status, job_type=job_type, limit=limit, offset=offset, view=view, labels=labels)


def get_execution(execution_id: str, *, view: Optional[str] = None) -> Dict[str, Any]:
    """A record."""
    return client().get_execution(execution_id, view=view)


def pool_stats() -> Dict[str, Any]:
    """What runs and waits."""
    return client().pool_stats()


def dlq_stats() -> Dict[str, Any]:
    """Counts of dead letters."""
    return client().dlq_stats()


def health() -> Dict[str, Any]:
    """How the server is."""
    return client().health()


def list_job_types() -> List[Dict[str, Any]]:
    """All job types."""
    return client().list_job_types()


def get_job_type(name: str) -> Dict[str, Any]:
    """A job type."""
    return client().get_job_type(name)


def build_job_type(name: str, *, version_tag: Optional[str] = None) -> Dict[str, Any]:
    """Builds a job type and waits for it, for as long as a build may take."""
    return client().build_job_type(name, version_tag=version_tag)
