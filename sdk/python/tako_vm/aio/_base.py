"""What the subjects' calls stand on."""

from __future__ import annotations

from typing import Any, AsyncIterator, TypeVar

from .._wire import Plan, Wire

T = TypeVar("T")


class Base:
    """A client that carries plans out."""

    _wire: Wire

    async def _run(self, plan: Plan[T]) -> T:
        raise NotImplementedError

    def _iterate(self, plan: Plan[None]) -> AsyncIterator[Any]:
        raise NotImplementedError
