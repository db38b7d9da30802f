"""tako_vm.tools for asyncio: call() and the functions are awaited."""

# Frameworks read the annotations of functions(): they are not postponed here.
from typing import Any, Awaitable, Callable, Dict, List, Mapping, Optional, Union

from .._tools import answer, arguments_of, failed
from ..errors import ValidationError
from ..tools import Definitions, _documented
from .client import TakoVM

__all__ = ["Tools"]


class Tools(Definitions):
    """tako_vm.tools.Tools for asyncio."""

    def __init__(self, client: TakoVM, *, job_type: Optional[str] = None) -> None:
        self._client = client
        self._job_type = job_type

    async def call(self, name: str, arguments: Union[str, Mapping[str, Any], None] = None) -> str:
        """See tako_vm.tools.Tools.call(). A call that is cancelled takes its job
        along."""
        try:
            values = arguments_of(name, arguments)
        except ValidationError as e:
            return failed(e)
        return await self._client._run(answer(self._client._wire, name, values, self._job_type))

    def functions(self) -> List[Callable[..., Awaitable[str]]]:
        """See tako_vm.tools.Tools.functions()."""

        async def run_code(
            code: str,
            language: Optional[str] = None,
            requirements: Optional[List[str]] = None,
            timeout: Optional[int] = None,
            files: Optional[List[Dict[str, str]]] = None,
        ) -> str:
            given = {"code": code, "language": language, "requirements": requirements, "timeout": timeout, "files": files}
            return await self.call("run_code", given)

        async def get_execution(execution_id: str) -> str:
            return await self.call("get_execution", {"execution_id": execution_id})

        async def read_artifact(execution_id: str, name: str, offset: Optional[int] = None, limit: Optional[int] = None) -> str:
            given = {"execution_id": execution_id, "name": name, "offset": offset, "limit": limit}
            return await self.call("read_artifact", given)

        return _documented(run_code, get_execution, read_artifact)
