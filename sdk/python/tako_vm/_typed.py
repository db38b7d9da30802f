"""Typed functions: a function of one dataclass that returns another, and is run
where it can see nothing of this process."""

from __future__ import annotations

import dataclasses
import inspect
import json
import textwrap
import typing
from typing import Any, Callable, Dict, Iterator, List, Type

from . import _convert
from .errors import ValidationError

_HEAD = """\
from __future__ import annotations
import dataclasses
import json
import typing
from dataclasses import *
from typing import *
"""

_TAIL = """

def _tako_main():
    import types
    convert = types.ModuleType("_tako_convert")
    exec({convert!r}, convert.__dict__)
    with open("/input/data.json", encoding="utf-8") as f:
        given = convert.build({given}, json.load(f), "input")
    result = {function}(given)
    if not isinstance(result, {returns}):
        raise TypeError("{function} returned " + type(result).__name__ + " and no {returns}")
    text = json.dumps(dataclasses.asdict(result), allow_nan=False)
    with open("/output/result.json", "w", encoding="utf-8") as f:
        f.write(text)


_tako_main()
"""


@dataclasses.dataclass(frozen=True)
class TypedJob:
    """A typed function made ready: its program, its input and its return type."""

    code: str
    input_data: Dict[str, Any]
    returns: Type[Any]

    def result(self, output: Any) -> Any:
        """The dataclass of an output; ValidationError where it does not fit."""
        try:
            return _convert.build(self.returns, output)
        except (TypeError, ValueError, NameError, OverflowError, RecursionError) as e:
            raise ValidationError(f"the result does not fit {self.returns.__name__}: {e}") from e


def typed(func: Callable[..., Any], input_data: Any) -> TypedJob:
    """Makes a program of func and input of its argument."""
    if not inspect.isfunction(func) or inspect.iscoroutinefunction(func) or func.__name__ == "<lambda>":
        raise ValidationError(f"{func!r} is no function that was made with def")
    try:
        hints = typing.get_type_hints(func)
    except Exception as e:  # whatever evaluating them raises
        raise ValidationError(f"the annotations of {func.__name__} cannot be evaluated: {e}") from e
    parameters = list(inspect.signature(func).parameters)
    if len(parameters) != 1:
        raise ValidationError(f"{func.__name__} must take one parameter, a dataclass")
    if func.__code__.co_freevars:
        raise ValidationError(f"{func.__name__} uses {', '.join(func.__code__.co_freevars)} of the function around it")
    takes = _dataclass(hints.get(parameters[0]), f"the parameter {parameters[0]} of {func.__name__}")
    returns = _dataclass(hints.get("return"), f"what {func.__name__} returns")
    if not isinstance(input_data, takes):
        raise ValidationError(f"{func.__name__} takes a {takes.__name__} and was given a {type(input_data).__name__}")
    values = dataclasses.asdict(input_data)
    try:
        json.dumps(values, allow_nan=False)
    except (TypeError, ValueError) as e:
        raise ValidationError(f"the {takes.__name__} cannot be written as JSON: {e}") from e
    classes: List[type] = []
    for kind in (takes, returns):
        _collect(kind, classes)
    parts = [_HEAD, *(_source(c) for c in classes), _source(func)]
    tail = _TAIL.format(convert=_CONVERT, given=takes.__name__, function=func.__name__, returns=returns.__name__)
    return TypedJob("\n\n".join(parts) + tail, values, returns)


def _dataclass(kind: Any, what: str) -> Type[Any]:
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        raise ValidationError(f"{what} must be annotated with a dataclass")
    return kind


def _collect(kind: type, classes: List[type]) -> None:
    """Adds a dataclass after those that it is made of."""
    if kind in classes:
        return
    for base in reversed(kind.__mro__[1:]):
        if dataclasses.is_dataclass(base):
            _collect(base, classes)
    if kind in classes:
        return
    classes.append(kind)  # before its fields: types may name each other, annotations are evaluated late
    try:
        hints = typing.get_type_hints(kind)
    except Exception as e:
        raise ValidationError(f"the annotations of {kind.__name__} cannot be evaluated: {e}") from e
    for hint in hints.values():
        for part in _parts(hint):
            if isinstance(part, type) and dataclasses.is_dataclass(part):
                _collect(part, classes)


def _parts(hint: Any) -> Iterator[Any]:
    yield hint
    for part in typing.get_args(hint):
        yield from _parts(part)


def _source(thing: Any) -> str:
    try:
        return textwrap.dedent(inspect.getsource(thing))
    except (OSError, TypeError) as e:
        raise ValidationError(f"the source of {thing.__name__} cannot be found: {e}") from e


_CONVERT = inspect.getsource(_convert)
