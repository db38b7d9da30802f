import copy
import copyreg
import dataclasses
import enum
import hashlib
import pickle
import typing

@dataclasses.dataclass(order=True, frozen=True)
class Point:
    x: int
    y: float = 2.0
    tags: tuple = dataclasses.field(default=(), compare=False)

class Colour(enum.Enum):
    RED = 1
    GREEN = enum.auto()

class Named(typing.NamedTuple):
    a: int
    b: str = 'b'

class Slots:
    __slots__ = ('v',)
    def __init__(self, v): self.v = v
    def __reduce__(self): return Slots, (self.v,)

def function(): pass

for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
    data = pickle.dumps([Point(1), Colour.GREEN, Named(3), Slots(4), function, Point], protocol)
    back = pickle.loads(data)
    print(protocol, hashlib.sha256(data).hexdigest(), back[0], back[1], back[2], back[3].v, back[4] is function, back[5] is Point)
print(Point.__module__, Point.__qualname__, Colour.RED, function, Named._field_defaults) if False else print(Point.__module__, Point.__qualname__)
print(dataclasses.asdict(Point(1)), dataclasses.replace(Point(1), y=3), sorted([Point(2), Point(1)]), copy.deepcopy(Point(5)))
try:
    pickle.dumps(lambda: 0)
except Exception as e:
    print(type(e).__name__, 'lambda' in str(e))
