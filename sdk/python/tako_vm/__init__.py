"""The client of Tako, which runs untrusted code in gVisor sandboxes.

    from tako_vm import TakoVM

    with TakoVM("http://localhost:8000") as tako:
        print(tako.execute("print(6 * 7)").stdout)

tako_vm.aio has the same for asyncio. Sandbox needs no server.
"""

from ._version import __version__
from .archives import extract_zip
from .client import TakoVM
from .config import TakoVMConfig, get_config
from .constants import DEFAULT_IMAGE, MAX_REQUIREMENTS, UV_CACHE_VOLUME, get_workspace_dir
from .errors import (
    APIError,
    ClientError,
    ExecutionError,
    MalformedResponseError,
    SDKExecutionError,
    ServerError,
    TakoVMError,
    TransportError,
    UnsafePathError,
    ValidationError,
    WaitTimeoutError,
    WebhookError,
)
from .functions import (
    build_job_type,
    cancel,
    configure,
    dlq_stats,
    download_artifact,
    fork,
    get_execution,
    get_job_type,
    get_result,
    get_status,
    health,
    list_executions,
    list_job_types,
    pool_stats,
    rerun,
    send,
    send_raw,
    submit,
    submit_code,
)
from .jobtypes import JobType, JobTypeRegistry
from .records import Artifact, ExecutionRecord, JobVersion, ResourceUsage
from .requests import InputFile, JobOptions, JobRequest, Limits, NetworkPolicy, SecretBinding
from .results import Event, ExecutionResult, SandboxResult
from .sandbox import Sandbox, sandbox_run
from .webhooks import sign_webhook, verify_webhook

__all__ = [
    "APIError",
    "Artifact",
    "ClientError",
    "DEFAULT_IMAGE",
    "Event",
    "ExecutionError",
    "ExecutionRecord",
    "ExecutionResult",
    "InputFile",
    "JobOptions",
    "JobRequest",
    "JobType",
    "JobTypeRegistry",
    "JobVersion",
    "Limits",
    "MAX_REQUIREMENTS",
    "MalformedResponseError",
    "NetworkPolicy",
    "ResourceUsage",
    "SDKExecutionError",
    "Sandbox",
    "SandboxResult",
    "SecretBinding",
    "ServerError",
    "TakoVM",
    "TakoVMConfig",
    "TakoVMError",
    "TransportError",
    "UV_CACHE_VOLUME",
    "UnsafePathError",
    "ValidationError",
    "WaitTimeoutError",
    "WebhookError",
    "__version__",
    "build_job_type",
    "cancel",
    "configure",
    "dlq_stats",
    "download_artifact",
    "extract_zip",
    "fork",
    "get_config",
    "get_execution",
    "get_job_type",
    "get_result",
    "get_status",
    "get_workspace_dir",
    "health",
    "list_executions",
    "list_job_types",
    "pool_stats",
    "rerun",
    "sandbox_run",
    "send",
    "send_raw",
    "sign_webhook",
    "submit",
    "submit_code",
    "verify_webhook",
]
