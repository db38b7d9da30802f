"""What calls answer with, where it is more than the server's own JSON."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import Any, Dict, Optional

from .errors import MalformedResponseError

__all__ = ["Event", "ExecutionResult", "SandboxResult"]


@dataclass
class ExecutionResult:
    """What became of code that was waited for.

    output is the value of /output/result.json; of a typed function it is the
    dataclass that it returns, or, where the value does not fit that,
    deserialization_error says why and output is the value as it is.
    """

    success: bool
    output: Any = None
    execution_time: float = 0.0
    stdout: str = ""
    stderr: str = ""
    error: Optional[str] = None
    job_type: Optional[str] = None
    exit_code: Optional[int] = None
    correlation_id: Optional[str] = None
    job_id: Optional[str] = None
    runtime: Optional[str] = None
    deserialization_error: Optional[str] = None


@dataclass
class SandboxResult:
    """What became of code in a Sandbox. exit_code is -1 where it never ran."""

    stdout: str
    stderr: str
    exit_code: int = 0
    success: bool = True
    output: Any = None
    error: Optional[str] = None
    duration_ms: Optional[int] = None


@dataclass(frozen=True)
class Event:
    """What a job did or said.

    type is status, stdout, stderr, artifact, build, truncated or end. id is
    where to go on after it, see TakoVM.events(). ts is when, in RFC 3339 with
    nanoseconds. data is all that the server sent.
    """

    id: str
    type: str
    ts: str
    attempt: int
    data: Dict[str, Any] = field(default_factory=dict)

    @property
    def bytes(self) -> bytes:
        """What the program wrote, of stdout and stderr."""
        text = self.data.get("text")
        if isinstance(text, str):
            return text.encode("utf-8", "surrogatepass")
        try:
            return base64.b64decode(self.data.get("b64", ""), validate=True)
        except (binascii.Error, TypeError, ValueError) as e:
            raise MalformedResponseError("of the job's events there is output that is not base64") from e

    @property
    def text(self) -> str:
        """The same as text; bytes that are none become replacement characters."""
        return self.bytes.decode("utf-8", "replace")

    @property
    def status(self) -> Optional[str]:
        """Where the job stands, of status and end."""
        status = self.data.get("status")
        return status if isinstance(status, str) else None
