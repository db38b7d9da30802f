"""What goes wrong, as exceptions. All are a TakoVMError.

Code that fails in its sandbox is no error of a call: results and records tell
of it. Only send(), which answers nothing but the function's result, raises
SDKExecutionError for it.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional

__all__ = [
    "APIError",
    "ClientError",
    "ExecutionError",
    "MalformedResponseError",
    "SDKExecutionError",
    "ServerError",
    "TakoVMError",
    "TransportError",
    "UnsafePathError",
    "ValidationError",
    "WaitTimeoutError",
    "WebhookError",
]


class TakoVMError(Exception):
    """Everything that this package raises.

    correlation_id finds the call in the server's log; None where there was no
    call.
    """

    correlation_id: Optional[str]

    def __init__(self, message: str, *, correlation_id: Optional[str] = None) -> None:
        super().__init__(message)
        self.correlation_id = correlation_id


class TransportError(TakoVMError):
    """There is no answer, or it broke off. Whether the server did what it was
    asked to cannot be told."""


class APIError(TakoVMError):
    """The server answered with an error.

    detail is what it says. problems are those of a request that does not fit
    its schema (422), retry_after how many seconds the server wants to be left
    alone.
    """

    status_code: int
    detail: str
    problems: List[Dict[str, Any]]
    retry_after: Optional[float]

    def __init__(
        self,
        message: str,
        *,
        status_code: int,
        detail: str,
        correlation_id: Optional[str] = None,
        problems: Optional[List[Dict[str, Any]]] = None,
        retry_after: Optional[float] = None,
    ) -> None:
        super().__init__(message, correlation_id=correlation_id)
        self.status_code = status_code
        self.detail = detail
        self.problems = problems or []
        self.retry_after = retry_after


class ServerError(APIError):
    """The server failed (5xx)."""

    @property
    def retryable(self) -> bool:
        """It may be over when the call is repeated (502, 503, 504)."""
        return self.status_code in (502, 503, 504)


class ClientError(APIError):
    """The request cannot be done as it is (4xx)."""


class SDKExecutionError(TakoVMError):
    """The code of send() failed in its sandbox."""

    stdout: str
    stderr: str
    exit_code: Optional[int]

    def __init__(
        self,
        message: str,
        stdout: str = "",
        stderr: str = "",
        exit_code: Optional[int] = None,
        correlation_id: Optional[str] = None,
    ) -> None:
        super().__init__(message, correlation_id=correlation_id)
        self.stdout = stdout
        self.stderr = stderr
        self.exit_code = exit_code


ExecutionError = SDKExecutionError


class MalformedResponseError(TakoVMError):
    """There is an answer, and it is none that a Tako server gives."""


class ValidationError(TakoVMError):
    """What was passed to a call cannot be sent, or a result does not fit the
    dataclass it is for."""


class UnsafePathError(ValidationError):
    """A name would lead out of the folder that files are written to. Nothing was
    written."""


class WebhookError(ValidationError):
    """A webhook was not signed with this secret, or at another time."""


class WaitTimeoutError(TakoVMError, TimeoutError):
    """What was waited for has not ended yet. It goes on."""
