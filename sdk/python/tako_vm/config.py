"""The configuration in force, as the tako command has it."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from typing import Any, Dict, Iterator, Union

from ._binary import find_tako
from .errors import TakoVMError

__all__ = ["TakoVMConfig", "get_config"]


@dataclass(frozen=True)
class TakoVMConfig:
    """All keys of the configuration, as attributes: config.max_timeout."""

    values: Dict[str, Any] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["values"][name]
        except KeyError:
            raise AttributeError(f"the configuration has no {name!r}") from None

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values)


def get_config(path: Union[str, "os.PathLike[str]", None] = None) -> TakoVMConfig:
    """Asks the tako command, which finds the file where none is named."""
    command = [find_tako(), "config", "--json", *(["--config", os.fspath(path)] if path else [])]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise TakoVMError(done.stderr.strip() or f"tako config ended with {done.returncode}")
    return TakoVMConfig(json.loads(done.stdout))
