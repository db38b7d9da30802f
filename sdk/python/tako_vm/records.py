"""Records as classes. Calls answer records as dicts, which from_dict() takes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Type, TypeVar

__all__ = ["Artifact", "ExecutionRecord", "JobVersion", "ResourceUsage"]

T = TypeVar("T")


def _known(kind: Type[T], values: Mapping[str, Any]) -> T:
    """kind of those values that it has a field for: a newer server has more."""
    names = {f.name for f in dataclasses.fields(kind)}
    return kind(**{name: value for name, value in values.items() if name in names})


@dataclass
class ResourceUsage:
    """What user code used."""

    max_rss_mb: Optional[float] = None
    cpu_time_ms: Optional[int] = None
    wall_time_ms: Optional[int] = None


@dataclass
class Artifact:
    """A file that a job left or was given."""

    name: str
    size_bytes: int
    sha256: str
    content_type: Optional[str] = None


@dataclass
class JobVersion:
    """A build of a job type."""

    digest: str
    version: Optional[str] = None
    version_tag: Optional[str] = None
    built_at: Optional[str] = None
    built_by: Optional[str] = None
    job_type_name: Optional[str] = None
    image_ref: Optional[str] = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "JobVersion":
        """Of what job_type_versions() answers."""
        return _known(cls, values)


@dataclass
class ExecutionRecord:
    """An execution. Times are text in RFC 3339. What only the full view has is None
    or empty in the slim one."""

    execution_id: str
    status: str
    job_type: str = "default"
    job_version: str = "default@latest"
    created_at: Optional[str] = None
    started_at: Optional[str] = None
    ended_at: Optional[str] = None
    duration_ms: Optional[int] = None
    exit_code: Optional[int] = None
    stdout: str = ""
    stderr: str = ""
    output: Any = None
    error: Optional[Dict[str, Any]] = None
    timing: Optional[Dict[str, Any]] = None
    runtime: Optional[str] = None
    job_ref: Optional[str] = None
    artifacts: List[Artifact] = field(default_factory=list)
    input_artifacts: List[Artifact] = field(default_factory=list)
    resource_usage: Optional[ResourceUsage] = None
    code_hash: Optional[str] = None
    input_hash: Optional[str] = None
    parent_execution_id: Optional[str] = None
    relationship: Optional[str] = None
    stdout_truncated: bool = False
    stderr_truncated: bool = False
    idempotency_key: Optional[str] = None
    ended_by: Optional[Dict[str, Any]] = None
    host: Optional[str] = None
    attempts: List[Dict[str, Any]] = field(default_factory=list)
    environment: Optional[Dict[str, Any]] = None
    network: Optional[Dict[str, Any]] = None
    labels: Dict[str, str] = field(default_factory=dict)
    priority: Optional[int] = None
    run_at: Optional[str] = None
    queue_ms: Optional[int] = None
    sandbox: Optional[Dict[str, Any]] = None
    batch_id: Optional[str] = None
    skipped_artifacts: List[str] = field(default_factory=list)

    @property
    def terminal(self) -> bool:
        """It has ended."""
        return self.status in ("succeeded", "failed", "timeout", "oom", "cancelled")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ExecutionRecord":
        """Of what get_result(), get_execution() and webhooks have."""
        record = _known(cls, values)
        record.artifacts = [_known(Artifact, a) for a in values.get("artifacts") or []]
        record.input_artifacts = [_known(Artifact, a) for a in values.get("input_artifacts") or []]
        usage = values.get("resource_usage")
        record.resource_usage = _known(ResourceUsage, usage) if usage else None
        return record
