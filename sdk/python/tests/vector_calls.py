"""The names that vectors have for the calls of a client."""

from __future__ import annotations

import base64
import tempfile
from pathlib import Path
from typing import Any, Callable, Dict

from tako_vm import InputFile, JobOptions, JobRequest, Limits, NetworkPolicy, SecretBinding, TakoVM

Args = Dict[str, Any]


def request(body: Args) -> Args:
    """The arguments of execute() and submit_code() for a request as JSON has it."""
    own = ("code", "input_data", "timeout", "startup_timeout", "job_type", "requirements", "idempotency_key")
    given = {name: value for name, value in body.items() if name in own}
    more = {name: value for name, value in body.items() if name not in own}
    if "files" in more:
        more["files"] = [InputFile(**{k: base64.b64decode(v) if k == "content" else v for k, v in f.items()}) for f in more["files"]]
    if "limits" in more:
        more["limits"] = Limits(**more["limits"])
    if "network" in more:
        more["network"] = NetworkPolicy(**more["network"])
    return {**given, "options": JobOptions(**more) if more else None}


def batch(c: TakoVM, a: Args) -> str:
    more = {name: value for name, value in a["request"].items() if name != "items"}
    return c.submit_batch([JobRequest(**request(item)) for item in a["request"]["items"]], **more)


def job_type(call: Callable[..., Any], a: Args) -> Any:
    fields = dict(a["request"])
    if "network" in fields:
        fields["network"] = NetworkPolicy(**fields["network"])
    if "secrets" in fields:
        fields["secrets"] = [SecretBinding(**s) for s in fields["secrets"]]
    return call(a["name"], **fields)


def archive(c: TakoVM, a: Args) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return c.save_zip(a["id"], Path(folder) / "all.zip").read_bytes()


def artifact(c: TakoVM, a: Args) -> bytes:
    """As bytes, and as a file."""
    got = c.download_artifact(a["id"], a["name"])
    with tempfile.TemporaryDirectory() as folder:
        assert c.save_artifact(a["id"], a["name"], folder).read_bytes() == got
    return got


def events(c: TakoVM, a: Args) -> Any:
    return list(c.events(a["id"], after=a.get("after"), follow=a.get("follow", True)))


def page(a: Args, *names: str) -> Args:
    return {name: a[name] for name in (*names, "limit", "offset") if name in a}


CALLS: Dict[str, Callable[[TakoVM, Args], Any]] = {
    "execute": lambda c, a: c.execute(**request(a["request"])),
    "submit": lambda c, a: c.submit_code(**request(a["request"])),
    "status": lambda c, a: c.get_status(a["id"]),
    "result": lambda c, a: c.get_result(a["id"], timeout=a.get("wait"), view="full"),
    "cancel": lambda c, a: c.cancel(a["id"]),
    "delete": lambda c, a: c.delete_job(a["id"]),
    "rerun": lambda c, a: c.rerun(a["id"], **a["request"]),
    "fork": lambda c, a: c.fork(a["id"], **a["request"]),
    "events": events,
    "artifacts": lambda c, a: c.list_artifacts(a["id"]),
    "artifact": artifact,
    "artifacts_zip": archive,
    "upload": lambda c, a: c.upload(a["content"].encode()),
    "executions": lambda c, a: c.list_executions(**page(a, "status", "job_type", "labels")),
    "execution": lambda c, a: c.get_execution(a["id"], view="full"),
    "lineage": lambda c, a: c.lineage(a["id"]),
    "diff": lambda c, a: c.diff(a["id"], a["other"]),
    "submit_batch": batch,
    "batch": lambda c, a: c.get_batch(a["id"]),
    "batch_results": lambda c, a: c.batch_results(a["id"], **page(a)),
    "cancel_batch": lambda c, a: c.cancel_batch(a["id"]),
    "job_types": lambda c, a: c.list_job_types(),
    "job_type": lambda c, a: c.get_job_type(a["name"]),
    "create_job_type": lambda c, a: job_type(c.create_job_type, a),
    "replace_job_type": lambda c, a: job_type(c.replace_job_type, a),
    "delete_job_type": lambda c, a: c.delete_job_type(a["name"]),
    "build_job_type": lambda c, a: c.build_job_type(a["name"], version_tag=a["version_tag"]),
    "job_type_versions": lambda c, a: c.job_type_versions(a["name"]),
    "build_log": lambda c, a: c.build_log(a["name"], a["build_id"]),
    "build_lock": lambda c, a: c.build_lock(a["name"], a["build_id"]),
    "secrets": lambda c, a: c.list_secrets(),
    "set_secret": lambda c, a: c.set_secret(a["name"], a["value"]),
    "delete_secret": lambda c, a: c.delete_secret(a["name"]),
    "keys": lambda c, a: c.list_keys(),
    "create_key": lambda c, a: c.create_key(**a["request"]),
    "delete_key": lambda c, a: c.delete_key(a["id"]),
    "dlq": lambda c, a: c.list_dlq(**page(a, "error_type")),
    "dlq_stats": lambda c, a: c.dlq_stats(),
    "delete_dlq": lambda c, a: c.delete_dlq(a["entry_id"]),
    "replay_dlq": lambda c, a: c.replay_dlq(a["entry_id"]),
    "deliveries": lambda c, a: c.list_deliveries(**page(a, "job_id")),
    "health": lambda c, a: c.health(),
    "ready": lambda c, a: c.ready(),
    "pool": lambda c, a: c.pool_stats(),
    "metrics": lambda c, a: c.metrics(),
}
