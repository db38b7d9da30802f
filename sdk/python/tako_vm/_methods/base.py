"""What the subjects' calls stand on."""

from __future__ import annotations

from typing import Any, Iterator, TypeVar

from .._wire import Plan, Wire

T = TypeVar("T")


class Base:
    """A client that carries plans out."""

    _wire: Wire

    def _run(self, plan: Plan[T]) -> T:
        raise NotImplementedError

    def _iterate(self, plan: Plan[None]) -> Iterator[Any]:
        raise NotImplementedError
