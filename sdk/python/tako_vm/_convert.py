"""Makes dataclasses of JSON values. It is sent along with typed functions, so it
is one file and needs nothing but the standard library of Python 3.8."""

import dataclasses
import types
import typing

_UNION: typing.Set[typing.Any] = {typing.Union, getattr(types, "UnionType", typing.Union)}  # X | Y, from Python 3.10 on


class Misfit(ValueError):
    """A value does not fit its type."""


def build(kind: typing.Any, value: typing.Any, where: str = "result") -> typing.Any:
    """value as kind: a dataclass, a list, dict or tuple of things, a union, or a
    plain type. What does not fit is a Misfit that says where."""
    if kind is typing.Any or isinstance(kind, typing.TypeVar):
        return value
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _dataclass(kind, value, where)
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in _UNION:
        return _union(args, value, where)
    if origin is typing.Literal:
        if value in args:
            return value
        raise Misfit("%s is %r and none of %s" % (where, value, ", ".join(map(repr, args))))
    if origin in (list, set, frozenset) or kind in (list, set, frozenset):
        each = args[0] if args else typing.Any
        return (origin or kind)(build(each, v, "%s[%d]" % (where, n)) for n, v in enumerate(_is(list, value, where)))
    if origin is tuple or kind is tuple:
        return _tuple(args, _is(list, value, where), where)
    if origin is dict or kind is dict:
        each = args[1] if args else typing.Any
        return {k: build(each, v, "%s[%r]" % (where, k)) for k, v in _is(dict, value, where).items()}
    return _plain(kind, value, where)


def _dataclass(kind: typing.Any, value: typing.Any, where: str) -> typing.Any:
    _is(dict, value, where)
    hints = typing.get_type_hints(kind)
    given: typing.Dict[str, typing.Any] = {}
    fields = {f.name: f for f in dataclasses.fields(kind)}
    for name in value:
        if name not in fields:
            raise Misfit("%s has %r, which %s has not" % (where, name, kind.__name__))
    later: typing.Dict[str, typing.Any] = {}
    for name, f in fields.items():
        if name in value:
            (given if f.init else later)[name] = build(hints[name], value[name], "%s.%s" % (where, name))
        elif f.init and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
            raise Misfit("%s has no %r, which %s needs" % (where, name, kind.__name__))
    made = kind(**given)
    for name, v in later.items():
        object.__setattr__(made, name, v)
    return made


def _union(kinds: typing.Any, value: typing.Any, where: str) -> typing.Any:
    if value is None and type(None) in kinds:
        return None
    why = []
    for exact in (True, False):  # 1 is an int first, where float is possible, too
        for kind in kinds:
            if exact and type(value) is not kind:
                continue
            try:
                return build(kind, value, where)
            except Misfit as e:
                why.append(str(e))
    raise Misfit(why[-1] if why else "%s is null" % where)


def _tuple(kinds: typing.Any, value: typing.Any, where: str) -> typing.Any:
    if not kinds:
        return tuple(value)
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        kinds = (kinds[0],) * len(value)
    if len(kinds) != len(value):
        raise Misfit("%s has %d items, not %d" % (where, len(value), len(kinds)))
    return tuple(build(k, v, "%s[%d]" % (where, n)) for n, (k, v) in enumerate(zip(kinds, value)))


def _plain(kind: typing.Any, value: typing.Any, where: str) -> typing.Any:
    if kind is None or kind is type(None):
        kind = type(None)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind in (int, float) and isinstance(value, bool):
        raise Misfit("%s is %r and no %s" % (where, value, kind.__name__))
    if isinstance(kind, type):
        return _is(kind, value, where)
    return value


def _is(kind: typing.Any, value: typing.Any, where: str) -> typing.Any:
    if not isinstance(value, kind):
        raise Misfit("%s is %s and no %s" % (where, type(value).__name__, kind.__name__))
    return value
