"""Library mode: sandboxes without a server that somebody started."""

from __future__ import annotations

import io
import os
import time
import zipfile
from pathlib import Path
from types import TracebackType
from typing import Any, Dict, List, Optional, Sequence, Tuple, Type, Union

from ._child import Child, child
from .constants import DEFAULT_IMAGE, MAX_REQUIREMENTS
from .errors import APIError, TransportError
from .requests import InputFile, JobOptions
from .results import SandboxResult

__all__ = ["Sandbox", "sandbox_run"]

NEVER_RAN = -1


class Sandbox:
    """Runs code, each time in a fresh sandbox of this machine.

    It needs the tako command (TAKO_BINARY, else on PATH) and Linux. One server
    is started for the process with its first run, listens on loopback to this
    process only, and ends with it. image is DEFAULT_IMAGE, this machine's own
    Python, or an image that "tako env" has pulled, loaded or built for this user;
    with auto_build one that is not here is pulled. Packages come from
    package_index_url, by default PyPI, and before that from package_wheels_dir, a
    directory; with package_offline from there alone. package_dirs are directories
    of pure Python modules. cache_scope and enable_runtime_dependency_cache are
    accepted: packages are cached by tako's own rules.
    """

    def __init__(
        self,
        image: str = DEFAULT_IMAGE,
        timeout: int = 30,
        memory_limit: str = "512m",
        cpu_limit: float = 1.0,
        network_enabled: bool = False,
        allow_runtime_requirements: bool = False,
        dependency_proxy_url: Optional[str] = None,
        enable_runtime_dependency_cache: bool = False,
        package_dirs: Optional[Sequence[Union[str, "os.PathLike[str]"]]] = None,
        auto_build: bool = True,
        startup_timeout: int = 120,
        cache_scope: str = "default",
        *,
        package_index_url: Optional[str] = None,
        package_wheels_dir: Union[str, "os.PathLike[str]", None] = None,
        package_offline: bool = False,
    ) -> None:
        self.image = image
        self.timeout = timeout
        self.memory_limit = memory_limit
        self.cpu_limit = cpu_limit
        self.network_enabled = network_enabled
        self.allow_runtime_requirements = allow_runtime_requirements
        self.dependency_proxy_url = dependency_proxy_url
        self.enable_runtime_dependency_cache = enable_runtime_dependency_cache
        self.package_dirs = [Path(d) for d in package_dirs or ()]
        self.auto_build = auto_build
        self.startup_timeout = startup_timeout
        self.cache_scope = cache_scope
        self.package_index_url = package_index_url
        self.package_wheels_dir = package_wheels_dir
        self.package_offline = package_offline

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()

    def close(self) -> None:
        """Is for symmetry: each run leaves nothing behind, and the server ends with
        the process."""

    def run(
        self,
        code: str,
        input_data: Optional[Dict[str, Any]] = None,
        timeout: Optional[int] = None,
        requirements: Optional[Sequence[str]] = None,
    ) -> SandboxResult:
        """Runs code. What it may not have, and code that fails, is a result, not
        an exception; RuntimeError where there is no tako to run it, or no such
        image."""
        seconds = self.timeout if timeout is None else timeout
        started = time.monotonic()
        try:
            if requirements:
                self._check(requirements)
            server, job_type = self._ready()
            options = JobOptions(image=self._image(), files=self._packages(), env=self._env() or None)
            done = server.client.execute(
                code, input_data, timeout=seconds, job_type=job_type, requirements=requirements, options=options
            )
            record = server.client.get_execution(done.job_id, view="full") if done.job_id and not done.success else {}
        except ValueError as e:
            return SandboxResult("", "", NEVER_RAN, False, error=str(e))
        except APIError as e:
            return SandboxResult("", "", NEVER_RAN, False, error=e.detail)
        except TransportError as e:
            return SandboxResult("", "", NEVER_RAN, False, error=f"Docker infrastructure failure: {e}")
        error = done.error if done.success else self._why(done.error, record, seconds)
        took = int((time.monotonic() - started) * 1000)
        if record.get("duration_ms") is not None:
            took = record["duration_ms"]
        elif done.execution_time:
            took = int(done.execution_time * 1000)
        code_of_exit = NEVER_RAN if done.exit_code is None else done.exit_code
        return SandboxResult(done.stdout, done.stderr, code_of_exit, done.success, done.output, error, took)

    def _why(self, said: Optional[str], record: Dict[str, Any], seconds: int) -> str:
        """The error in the words of library mode."""
        status = record.get("status")
        kind = (record.get("error") or {}).get("type")
        if status == "timeout" and kind != "startup_timeout":
            return f"Execution timed out after {seconds}s"
        if status == "oom":
            return f"Container killed: out of memory (memory_limit={self.memory_limit})"
        if kind == "service_unavailable":
            return f"Docker infrastructure failure: {said}"
        return said or "Execution failed"

    def _check(self, requirements: Sequence[str]) -> None:
        if not self.allow_runtime_requirements:
            raise ValueError("Runtime dependency installation is disabled; pass allow_runtime_requirements=True")
        if len(requirements) > MAX_REQUIREMENTS:
            raise ValueError(f"Too many requirements ({len(requirements)} > {MAX_REQUIREMENTS})")

    def _ready(self) -> Tuple[Child, str]:
        """The process's server, and the job type there with this sandbox's limits."""
        server = child(self._settings())
        if self.image != DEFAULT_IMAGE:
            server.image(self.image, self.auto_build)
        fields = {
            "memory_limit": self.memory_limit,
            "cpu_limit": self.cpu_limit,
            "startup_timeout": self.startup_timeout,
            "network_enabled": self.network_enabled,
        }
        return server, server.job_type(fields)

    def _settings(self) -> Dict[str, Any]:
        """What is a server's to know and not a job's: where packages come from."""
        settings: Dict[str, Any] = {}
        if self.dependency_proxy_url:
            settings["dependency_proxy_url"] = self.dependency_proxy_url
        if self.package_index_url:
            settings["package_index_url"] = self.package_index_url
        if self.package_wheels_dir is not None:
            folder = Path(self.package_wheels_dir).absolute()
            if not folder.is_dir():
                raise ValueError(f"{str(folder)!r} of package_wheels_dir is no directory")
            settings["package_wheels_dir"] = str(folder)
        if self.package_offline:
            settings["package_offline"] = True
        return settings

    def _image(self) -> Optional[str]:
        return None if self.image == DEFAULT_IMAGE else self.image

    def _packages(self) -> List[InputFile]:
        """Directories of modules, each as one archive that Python imports from."""
        return [InputFile(f"_packages/pkg{n}.zip", content=_zip(d)) for n, d in enumerate(self.package_dirs)]

    def _env(self) -> Dict[str, str]:
        paths = [f"/input/_packages/pkg{n}.zip" for n in range(len(self.package_dirs))]
        return {"PYTHONPATH": ":".join(paths)} if paths else {}


def _zip(folder: Path) -> bytes:
    """The files of a directory. ValueError where it is none."""
    if not folder.is_dir():
        raise ValueError(f"{str(folder)!r} of package_dirs is no directory")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for at in sorted(folder.rglob("*")):
            if at.is_file() and "__pycache__" not in at.parts:
                z.write(at, at.relative_to(folder).as_posix())
    return out.getvalue()


def sandbox_run(
    code: str,
    input_data: Optional[Dict[str, Any]] = None,
    timeout: int = 30,
    requirements: Optional[Sequence[str]] = None,
    **kwargs: Any,
) -> SandboxResult:
    """Runs code in a sandbox; kwargs are those of Sandbox."""
    with Sandbox(timeout=timeout, **kwargs) as sandbox:
        return sandbox.run(code, input_data, requirements=requirements)
