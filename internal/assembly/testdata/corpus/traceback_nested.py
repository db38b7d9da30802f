import json

class Failing:
    def __init__(self, depth):
        self.depth = depth

    def go(self):
        if self.depth == 0:
            return json.loads('{"a": nonsense}')
        return (lambda: Failing(self.depth - 1).go())()

def outer():
    return [Failing(n).go() for n in (2,)]

outer()
