"""What a client of Tako VM 0.3 does, and relies on, over HTTP.

Takes the server's address. Exits with 0 when everything is as such a client
needs it, else it says what is not.
"""

import http.client
import json
import sys
import urllib.parse
import uuid

ADDRESS = urllib.parse.urlparse(sys.argv[1])
SLIM = {
    "execution_id", "status", "job_type", "job_version", "created_at", "started_at", "ended_at", "duration_ms",
    "exit_code", "stdout", "stderr", "output", "error", "timing", "runtime",
}
FULL = SLIM | {
    "job_ref", "artifacts", "input_artifacts", "resource_usage", "code_hash", "input_hash", "parent_execution_id",
    "relationship", "stdout_truncated", "stderr_truncated", "idempotency_key",
}
EXECUTED = {
    "success", "output", "execution_time", "stdout", "stderr", "exit_code", "error", "job_type", "execution_id", "runtime",
}
# What the client's typed functions become: the input from a file, the result
# into one.
TYPED = """
import json
from dataclasses import asdict, dataclass

@dataclass
class In:
    a: int
    b: int

@dataclass
class Out:
    sum: int

def add(v: In) -> Out:
    return Out(sum=v.a + v.b)

json.dump(asdict(add(In(**json.load(open("/input/data.json"))))), open("/output/result.json", "w"))
"""


def call(method, path, body=None, status=200, raw=False):
    sent = str(uuid.uuid4())
    c = http.client.HTTPConnection(ADDRESS.hostname, ADDRESS.port, timeout=60)
    data = None if body is None else json.dumps(body)
    headers = {"X-Correlation-ID": sent, "Accept": "*/*", "User-Agent": "python-requests/2.32"}
    if data is not None:
        headers["Content-Type"] = "application/json"
    c.request(method, path, data, headers)
    r = c.getresponse()
    text = r.read()
    assert r.status == status, f"{method} {path}: {r.status} {text[:500]!r}, want {status}"
    assert r.getheader("X-Correlation-ID") == sent, f"{method} {path}: another correlation id"
    if raw:
        return r, text
    answer = json.loads(text)
    if status >= 400 and status != 422:
        assert answer["correlation_id"] == sent and isinstance(answer["detail"], str), answer
    return answer


def has(answer, keys):
    assert keys <= set(answer), f"missing: {keys - set(answer)}"
    return answer


def wait(job, view=None):
    view = f"&view={view}" if view else ""
    return call("GET", f"/jobs/{job}/result?wait=true&timeout=30.0{view}")


# send, send_raw: the time limit is asked for first.
assert isinstance(call("GET", "/job-types/default")["timeout"], int)
r = has(call("POST", "/execute", {"code": TYPED, "input_data": {"a": 2, "b": 3}, "timeout": 20}), EXECUTED)
assert r["success"] is True and r["output"] == {"sum": 5} and r["runtime"] == "runsc" and r["job_type"] == "default", r
sync = r["execution_id"]
assert sync.startswith("api-"), sync
r = has(call("POST", "/execute", {"code": "raise ValueError('no')"}), EXECUTED)
assert r["success"] is False and r["exit_code"] == 1 and "ValueError" in r["error"] and "ValueError" in r["stderr"], r

# submit, submit_code: with a key, which makes it safe to ask again.
body = {"code": "print('out'); open('/output/a.txt', 'w').write('a')", "input_data": {}, "idempotency_key": "sdk-" + uuid.uuid4().hex}
job = call("POST", "/execute/async", body)["job_id"]
assert call("POST", "/execute/async", body)["job_id"] == job
call("POST", "/execute/async", {**body, "code": "pass"}, status=409)
has(call("GET", f"/jobs/{job}"), {"job_id", "status", "created_at", "duration_ms", "queue_position"})
has(call("GET", f"/jobs/{job}/result"), {"status"})
r = has(wait(job), SLIM)
assert r["status"] == "succeeded" and r["stdout"] == "out\n" and r["job_version"] == "default@latest", r
r = has(wait(job, "full"), FULL)
assert [a["name"] for a in r["artifacts"]] == ["a.txt"] and r["code_hash"] and r["resource_usage"]["wall_time_ms"] >= 0, r
assert r["timing"].keys() == {"startup_ms", "dep_install_ms", "execution_ms", "total_ms", "phase_at_exit"}, r["timing"]

# download_artifact, and what a cache does with it.
r, text = call("GET", f"/jobs/{job}/artifacts/a.txt", raw=True)
assert text == b"a" and r.getheader("Content-Disposition") == 'attachment; filename="a.txt"', r.getheaders()
etag = r.getheader("ETag")
assert len(etag) == 66 and etag[0] == etag[-1] == '"', etag
r, text = call("HEAD", f"/jobs/{job}/artifacts/a.txt", raw=True)
assert text == b"" and r.getheader("ETag") == etag and r.getheader("Content-Length") == "1"
call("GET", f"/jobs/{job}/artifacts/none", status=404)

# rerun, fork, cancel.
again = call("POST", f"/jobs/{job}/rerun", {})["job_id"]
r = wait(again, "full")
assert r["relationship"] == "rerun" and r["parent_execution_id"] == job and r["stdout"] == "out\n", r
r = wait(call("POST", f"/jobs/{job}/fork", {"code": "print('fork')", "timeout": 9})["job_id"], "full")
assert r["relationship"] == "fork" and r["stdout"] == "fork\n", r
long = call("POST", "/execute/async", {"code": "import time\ntime.sleep(60)"})["job_id"]
assert call("POST", f"/jobs/{long}/cancel") == {"status": "cancelled", "job_id": long}
assert wait(long)["status"] == "cancelled"
assert call("POST", f"/jobs/{long}/cancel", status=404)["detail"] == "Job not found or already completed"
slow = call("POST", "/execute/async", {"code": "import time\ntime.sleep(60)"})["job_id"]
call("GET", f"/jobs/{slow}/result?wait=true&timeout=1.0", status=408)
call("POST", f"/jobs/{slow}/cancel")

# list_executions, get_execution, and the rest.
page = has(call("GET", "/executions?limit=2&offset=1&status=succeeded"), {"items", "limit", "offset", "has_more", "count"})
assert page["count"] == len(page["items"]) == 2 and page["limit"] == 2 and page["offset"] == 1 and page["has_more"], page
for item in page["items"]:
    has(item, SLIM)
has(call("GET", f"/executions/{sync}?view=full"), FULL)
call("GET", "/executions/none", status=404)
has(call("GET", "/pool/stats"), {"pending", "running", "max_workers", "max_queue_size"})
has(call("GET", "/dlq/stats"), {"total", "by_error_type"})
has(call("GET", "/dlq"), {"items", "limit", "offset", "has_more", "count"})
health = has(call("GET", "/health"), {
    "status", "docker_available", "gvisor_available", "circuit_breaker", "version", "production_mode", "queue_stats",
})
assert health["status"] == "healthy" and health["docker_available"] is True, health
types = call("GET", "/job-types")
assert "default" in [t["name"] for t in types]
for t in types:
    has(t, {
        "name", "requirements", "python_version", "memory_limit", "cpu_limit", "timeout", "session_enabled", "gpu_enabled",
        "gpu_vendor", "image_exists",
    })
has(call("POST", "/job-types/default/build"), {"status", "job_type", "version", "digest", "image_ref"})
call("POST", "/job-types/none/build", status=404)
bad = call("POST", "/execute", {"code": "pass", "timeout": 0, "surprise": 1}, status=422)["detail"]
assert {d["type"] for d in bad} == {"greater_than_equal", "extra_forbidden"}, bad
print("ok")
