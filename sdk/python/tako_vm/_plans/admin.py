"""Job types, secrets, keys and the server itself."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional, Sequence

from .._wire import Call, Plan, Wire, decode, malformed, path, query
from ..errors import ValidationError
from ..requests import NetworkPolicy, SecretBinding

BUILD = 1830.0  # seconds that a build may take


def set_job_type(
    wire: Wire,
    method: str,
    name: str,
    network: Optional[NetworkPolicy],
    secrets: Sequence[SecretBinding],
    fields: Mapping[str, Any],
) -> Plan[Dict[str, Any]]:
    """Makes or replaces a job type."""
    body = {k: v for k, v in fields.items() if v is not None}
    if network is not None:
        body["network"] = network.wire()
    if secrets:
        body["secrets"] = [s.wire() for s in secrets]
    wire.limits.pop(name, None)
    return (yield from wire.object(Call(method, path("/job-types/", name), body=body)))


def build(wire: Wire, name: str, version_tag: Optional[str]) -> Plan[Dict[str, Any]]:
    """Builds a job type and waits for it."""
    call = Call("POST", path("/job-types/", name, "/build"), query(version_tag=version_tag), read=BUILD)
    return (yield from wire.object(call))


def text(wire: Wire, call: Call) -> Plan[str]:
    """An answer that is text."""
    reply = yield from wire.fetch(call)
    return reply.content.decode("utf-8", "replace")


def health(wire: Wire, call: Call) -> Plan[Dict[str, Any]]:
    """The health of a server, and of nothing else that answers."""
    reply = yield from wire.fetch(call)
    body = decode(reply, call)
    if not isinstance(body, dict) or not body.get("status"):
        raise malformed(reply, call, "its health has no status")
    return body


def entry(id: int) -> str:
    """The path of a dead letter."""
    if isinstance(id, bool) or not isinstance(id, int):
        raise ValidationError(f"{id!r} is no number of a dead letter")
    return f"/dlq/{id}"
