"""Running code, and what becomes of it."""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping, Optional, Sequence

from .._plans import jobs as plans
from .._wire import Call, get, path, query
from ..requests import JobOptions, JobRequest
from ..results import ExecutionResult
from .base import Base


class Jobs(Base):
    """Calls about jobs."""

    def send(
        self,
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
        request = JobRequest("", None, timeout, startup_timeout, job_type, requirements, idempotency_key, options)
        return self._run(plans.send(self._wire, func, input_data, request, correlation_id))

    def send_raw(
        self,
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
        request = JobRequest("", None, timeout, startup_timeout, job_type, requirements, idempotency_key, options)
        return self._run(plans.send_raw(self._wire, func, input_data, request, correlation_id))

    def execute(
        self,
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
    ) -> ExecutionResult:
        """Runs code and waits for its end. Code that fails is no exception: see
        success and error of the result."""
        request = JobRequest(code, input_data, timeout, startup_timeout, job_type, requirements, idempotency_key, options)
        return self._run(plans.execute(self._wire, request, correlation_id))

    def submit_code(
        self,
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
        request = JobRequest(code, input_data, timeout, startup_timeout, job_type, requirements, idempotency_key, options)
        return self._run(plans.submit(self._wire, request, correlation_id))

    def submit(
        self,
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
        request = JobRequest("", None, timeout, startup_timeout, job_type, requirements, idempotency_key, options)
        return self._run(plans.submit_typed(self._wire, func, input_data, request, correlation_id))

    def get_status(self, job_id: str) -> Dict[str, Any]:
        """Where a job stands."""
        return self._run(self._wire.object(get(path("/jobs/", job_id))))

    def get_result(self, job_id: str, *, timeout: Optional[float] = None, view: Optional[str] = None) -> Dict[str, Any]:
        """A job's record as it is now; with timeout after a wait of up to 300 s
        for its end, ClientError 408 where it does not come."""
        return self._run(plans.get_result(self._wire, job_id, timeout, view))

    def wait(self, job_id: str, *, timeout: Optional[float] = None, view: Optional[str] = "full") -> Dict[str, Any]:
        """Waits for a job's end and answers its record. It goes on when the server
        is started again meanwhile, and gives up after two minutes without it."""
        return self._run(plans.wait(self._wire, job_id, timeout, view))

    def cancel(self, job_id: str) -> Dict[str, Any]:
        """Ends a job, whether it waits or runs."""
        return self._run(self._wire.object(Call("POST", path("/jobs/", job_id, "/cancel"))))

    def rerun(self, job_id: str, *, job_type: Optional[str] = None, timeout: Optional[int] = None) -> str:
        """Submits a job that has ended again and answers the new one's id."""
        return self._run(plans.rerun(self._wire, job_id, job_type, timeout))

    def fork(self, job_id: str, code: str, *, job_type: Optional[str] = None, timeout: Optional[int] = None) -> str:
        """Submits other code with the input of a job that has ended."""
        return self._run(plans.fork(self._wire, job_id, code, job_type, timeout))

    def delete_job(self, job_id: str) -> Dict[str, Any]:
        """Removes a job that has ended: its record, events and files."""
        return self._run(self._wire.object(Call("DELETE", path("/jobs/", job_id))))

    def list_executions(
        self,
        *,
        status: Optional[str] = None,
        job_type: Optional[str] = None,
        limit: int = 50,
        offset: int = 0,
        view: Optional[str] = None,
        labels: Optional[Mapping[str, str]] = None,
    ) -> Dict[str, Any]:
        """A page of records, newest first."""
        return self._run(plans.executions(self._wire, status, job_type, limit, offset, view, labels))

    def get_execution(self, execution_id: str, *, view: Optional[str] = None) -> Dict[str, Any]:
        """A record."""
        return self._run(self._wire.object(get(path("/executions/", execution_id), query(view=view))))

    def lineage(self, execution_id: str) -> Dict[str, Any]:
        """What an execution came from and what came of it."""
        return self._run(self._wire.object(get(path("/executions/", execution_id, "/lineage"))))

    def diff(self, execution_id: str, other: str) -> Dict[str, Any]:
        """What two executions do not share."""
        return self._run(self._wire.object(get(path("/executions/", execution_id, "/diff/", other))))
