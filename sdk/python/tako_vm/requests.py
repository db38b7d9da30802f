"""What is sent, where it is more than code and its input."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Dict, List, Optional, Sequence, Union

from .errors import ValidationError

__all__ = ["InputFile", "JobOptions", "JobRequest", "Limits", "NetworkPolicy", "SecretBinding"]


def _set(values: Dict[str, Any]) -> Dict[str, Any]:
    """Only what was said."""
    return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True)
class InputFile:
    """A file below /input, with exactly one source: text, content, a path on this
    machine (local, sent along), "<job id>/<name>" of an artifact, or the id of
    an upload."""

    path: str
    text: Optional[str] = None
    content: Optional[bytes] = None
    local: Union[str, "os.PathLike[str]", None] = None
    artifact: Optional[str] = None
    upload: Optional[str] = None

    def __post_init__(self) -> None:
        sources = [self.text, self.content, self.local, self.artifact, self.upload]
        if sum(source is not None for source in sources) != 1:
            raise ValidationError(f"the file {self.path!r} needs exactly one of text, content, local, artifact and upload")
        if self.local is not None and any(c in '"\\' or ord(c) < 32 for c in self.path):
            raise ValidationError(f"the file {self.path!r} cannot be sent with this name; give its content instead of local")

    def wire(self) -> Dict[str, Any]:
        """As JSON has it. Not for local files, which are sent beside it."""
        content = None if self.content is None else base64.b64encode(self.content).decode("ascii")
        return _set({"path": self.path, "text": self.text, "content": content, "artifact": self.artifact, "upload": self.upload})


@dataclass(frozen=True)
class Limits:
    """Limits of one job. memory and disk are bytes or text such as "512m"."""

    memory: Union[int, str, None] = None
    cpus: Optional[float] = None
    pids: Optional[int] = None
    disk: Union[int, str, None] = None
    stdout_bytes: Optional[int] = None
    stderr_bytes: Optional[int] = None
    artifact_bytes: Optional[int] = None

    def wire(self) -> Dict[str, Any]:
        """As JSON has it."""
        return _set(dict(vars(self)))


@dataclass(frozen=True)
class NetworkPolicy:
    """What a job may reach: nothing ("none"), the hosts of allow ("allow"), or the
    public internet ("public"). A job's is only ever narrower than its type's.

    Patterns are api.example.com, *.example.com or a CIDR, each with an optional
    :port or :port-port; the default is 80 and 443.
    """

    mode: str = "none"
    allow: Sequence[str] = ()

    @classmethod
    def none(cls) -> "NetworkPolicy":
        """Nothing can be reached."""
        return cls("none")

    @classmethod
    def hosts(cls, *patterns: str) -> "NetworkPolicy":
        """Only these hosts can be reached."""
        return cls("allow", tuple(patterns))

    @classmethod
    def public(cls) -> "NetworkPolicy":
        """The internet, without private addresses."""
        return cls("public")

    def wire(self) -> Dict[str, Any]:
        """As JSON has it."""
        return {"mode": self.mode, "allow": list(self.allow)} if self.allow else {"mode": self.mode}


@dataclass(frozen=True)
class SecretBinding:
    """A stored secret, by name, that jobs of a type use without having it: it is
    put into requests by HTTPS to host, in header (default Authorization)."""

    name: str
    host: str
    header: Optional[str] = None

    def wire(self) -> Dict[str, Any]:
        """As JSON has it."""
        return _set(dict(vars(self)))


@dataclass(frozen=True)
class JobOptions:
    """What a job may have beside code, input and time."""

    language: Optional[str] = None
    args: Sequence[str] = ()
    env: Optional[Dict[str, str]] = None
    stdin: Optional[str] = None
    files: Sequence[InputFile] = ()
    limits: Optional[Limits] = None
    network: Optional[NetworkPolicy] = None
    image: Optional[str] = None
    priority: Optional[int] = None
    run_at: Union[datetime, str, None] = None
    retry: Optional[str] = None
    labels: Optional[Dict[str, str]] = None
    webhook_url: Optional[str] = None
    cancel_on_disconnect: Optional[bool] = None

    def wire(self) -> Dict[str, Any]:
        """As JSON has it, without local files."""
        return _set(
            {
                "language": self.language,
                "args": list(self.args) or None,
                "env": self.env,
                "stdin": self.stdin,
                "files": [f.wire() for f in self.files if f.local is None] or None,
                "limits": self.limits.wire() if self.limits else None,
                "network": self.network.wire() if self.network else None,
                "image": self.image,
                "priority": self.priority,
                "run_at": _time(self.run_at),
                "retry": self.retry,
                "labels": self.labels,
                "webhook_url": self.webhook_url,
                "cancel_on_disconnect": self.cancel_on_disconnect,
            }
        )

    def local(self) -> List[InputFile]:
        """The files that are sent beside the JSON."""
        return [f for f in self.files if f.local is not None]


def _time(at: Union[datetime, str, None]) -> Optional[str]:
    if not isinstance(at, datetime):
        return at
    if at.tzinfo is None:
        raise ValidationError("run_at has no time zone")
    return at.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")


@dataclass(frozen=True)
class JobRequest:
    """A job of a batch."""

    code: str
    input_data: Optional[Dict[str, Any]] = None
    timeout: Optional[int] = None
    startup_timeout: Optional[int] = None
    job_type: Optional[str] = None
    requirements: Optional[Sequence[str]] = None
    idempotency_key: Optional[str] = None
    options: Optional[JobOptions] = field(default=None)

    def wire(self) -> Dict[str, Any]:
        """As JSON has it: what was not said is left out."""
        body = _set(
            {
                "code": self.code,
                "input_data": {} if self.input_data is None else self.input_data,
                "timeout": self.timeout,
                "startup_timeout": self.startup_timeout,
                "job_type": self.job_type,
                "requirements": list(self.requirements) if self.requirements else None,
                "idempotency_key": self.idempotency_key,
            }
        )
        return {**body, **self.options.wire()} if self.options else body
