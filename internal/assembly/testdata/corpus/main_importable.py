import importlib
import importlib.util
import runpy
import sys

import __main__
print(__main__ is sys.modules['__main__'], __main__.__file__, importlib.import_module('__main__') is __main__)
if sys.modules.get('again'):
    print('a second time, as', __name__)
else:
    spec = importlib.util.spec_from_file_location('again', __file__)
    module = importlib.util.module_from_spec(spec)
    sys.modules['again'] = module
    spec.loader.exec_module(module)
    print(module.__spec__, module.__cached__)
    got = runpy.run_path(__file__, run_name='from runpy')
    print(sorted(got), got['__name__'], got['__file__'])
    try:
        runpy.run_module('main')
    except ImportError as e:
        print(e)
    try:
        importlib.reload(__main__)
    except Exception as e:
        print(type(e), e)
    try:
        importlib.util.find_spec('__main__')
    except Exception as e:
        print(type(e), e)
    import json
    print(importlib.reload(json) is json, sorted(m for m in sys.modules if 'main' in m))
