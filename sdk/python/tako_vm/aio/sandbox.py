"""Library mode for asyncio."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Dict, Optional, Sequence, Type

from .. import sandbox as sync
from ..results import SandboxResult

__all__ = ["Sandbox", "sandbox_run"]


class Sandbox:
    """tako_vm.Sandbox for asyncio: takes the same, and runs in a thread."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._sandbox = sync.Sandbox(*args, **kwargs)

    async def __aenter__(self) -> "Sandbox":
        return self

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """See tako_vm.Sandbox.close()."""
        await asyncio.to_thread(self._sandbox.close)

    async def run(
        self,
        code: str,
        input_data: Optional[Dict[str, Any]] = None,
        timeout: Optional[int] = None,
        requirements: Optional[Sequence[str]] = None,
    ) -> SandboxResult:
        """See tako_vm.Sandbox.run()."""
        return await asyncio.to_thread(self._sandbox.run, code, input_data, timeout, requirements)


async def sandbox_run(
    code: str,
    input_data: Optional[Dict[str, Any]] = None,
    timeout: int = 30,
    requirements: Optional[Sequence[str]] = None,
    **kwargs: Any,
) -> SandboxResult:
    """Runs code in a sandbox; kwargs are those of Sandbox."""
    async with Sandbox(timeout=timeout, **kwargs) as sandbox:
        return await sandbox.run(code, input_data, requirements=requirements)
