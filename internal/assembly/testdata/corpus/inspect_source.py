import inspect
import linecache
import sys
import tokenize

def documented(a, b=2, *args, c: int = 3, **kw) -> str:
    """It is here."""
    return 'é☃ in the source'

class Class:
    def method(self):
        pass  # a comment

print(inspect.getsource(documented), inspect.getsource(Class), inspect.getsource(Class.method))
print(inspect.getsourcefile(documented), inspect.getfile(Class), inspect.getsourcelines(Class.method)[1], inspect.signature(documented))
print(inspect.getmodule(documented), inspect.getcomments(documented), inspect.getdoc(documented))
print(linecache.getline(__file__, 7), len(linecache.getlines(__file__)), linecache.cache.keys())
print(inspect.getsource(sys.modules['__main__']) == open(__file__).read())
with tokenize.open(__file__) as f:
    print(f.encoding, len(f.read()))
import ast
print(ast.dump(ast.parse(open(__file__).read()))[:200])
