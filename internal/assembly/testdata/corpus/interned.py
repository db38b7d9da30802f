# Identity of small things, and what the interpreter shares.
a = 256; b = 256
print(a is b, 'x' * 3 is 'xxx', () is tuple(), type(None) is type(None), [].__class__ is list, (lambda: 0).__code__.co_consts)
import sys, types
print(sys.getrefcount([]), type.__subclasses__(type), len(object.__subclasses__()), sorted(c.__name__ for c in BaseException.__subclasses__()))
print(sorted(c.__module__ + '.' + c.__qualname__ for c in object.__subclasses__()))
print(len(gc_objects) if (gc_objects := __import__('gc').get_objects()) is None else 'objects', __debug__, Ellipsis, NotImplemented)
print([id(x) == id(y) for x, y in ((True, 1 == 1), ('a', chr(97)), (b'a', bytes([97])))], f'{1!r:>5}', __build_class__.__name__)
