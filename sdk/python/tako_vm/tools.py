"""Tools for a model: running code in sandboxes, looking at what became of it.

    from tako_vm import TakoVM
    from tako_vm.tools import Tools

    tools = Tools(TakoVM.from_env())
    tools.openai()                              # what the model is told
    tools.call("run_code", '{"code": "..."}')   # what it asked for, as text

No framework is needed; functions() has plain functions for those that take some.
"""

# Frameworks read the annotations of functions(): they are not postponed here.
from typing import Any, Callable, Dict, List, Mapping, Optional, Union

from ._tools import DEFINITIONS, answer, arguments_of, failed
from .client import TakoVM
from .errors import ValidationError

__all__ = ["Tools"]


class Definitions:
    """What a model is told of the tools, as its API wants it."""

    def openai(self) -> List[Dict[str, Any]]:
        """For the tools of OpenAI's chat completions, and of what speaks like them."""
        return [
            {"type": "function", "function": {"name": d.name, "description": d.description, "parameters": d.schema()}}
            for d in DEFINITIONS.values()
        ]

    def openai_responses(self) -> List[Dict[str, Any]]:
        """For the tools of OpenAI's responses."""
        # Strict, which is the default there, would have no argument left out.
        return [
            {"type": "function", "name": d.name, "description": d.description, "parameters": d.schema(), "strict": False}
            for d in DEFINITIONS.values()
        ]

    def anthropic(self) -> List[Dict[str, Any]]:
        """For the tools of Anthropic's messages."""
        return [{"name": d.name, "description": d.description, "input_schema": d.schema()} for d in DEFINITIONS.values()]


class Tools(Definitions):
    """The tools of a client's server: run_code, get_execution and read_artifact.

    job_type is that of all code that the model runs: what it may reach and use is
    yours to say, and not the model's.
    """

    def __init__(self, client: TakoVM, *, job_type: Optional[str] = None) -> None:
        self._client = client
        self._job_type = job_type

    def call(self, name: str, arguments: Union[str, Mapping[str, Any], None] = None) -> str:
        """Does what a model asked for; arguments are an object, or its JSON. Answers
        text for the model: JSON, long texts cut and said to be, or "Error: " and
        what was wrong with the call. Code that fails is no error. What a model
        cannot mend, a server that is away for instance, is raised."""
        try:
            values = arguments_of(name, arguments)
        except ValidationError as e:
            return failed(e)
        return self._client._run(answer(self._client._wire, name, values, self._job_type))

    def functions(self) -> List[Callable[..., str]]:
        """The tools as plain functions with annotations and docstrings, as
        frameworks read them."""

        def run_code(
            code: str,
            language: Optional[str] = None,
            requirements: Optional[List[str]] = None,
            timeout: Optional[int] = None,
            files: Optional[List[Dict[str, str]]] = None,
        ) -> str:
            given = {"code": code, "language": language, "requirements": requirements, "timeout": timeout, "files": files}
            return self.call("run_code", given)

        def get_execution(execution_id: str) -> str:
            return self.call("get_execution", {"execution_id": execution_id})

        def read_artifact(execution_id: str, name: str, offset: Optional[int] = None, limit: Optional[int] = None) -> str:
            given = {"execution_id": execution_id, "name": name, "offset": offset, "limit": limit}
            return self.call("read_artifact", given)

        return _documented(run_code, get_execution, read_artifact)


def _documented(*functions: Any) -> List[Any]:
    """Gives functions the texts that the definitions have."""
    for f in functions:
        f.__doc__ = DEFINITIONS[f.__name__].doc()
        f.__qualname__ = f.__name__
    return list(functions)
