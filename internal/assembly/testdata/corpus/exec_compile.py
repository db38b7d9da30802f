import ast
import sys
import types

space = {}
exec('import sys\ndef f(): return sys._getframe().f_code.co_filename, __name__', space)
print(space['f']() if '__name__' in space else sorted(k for k in space if k != '__builtins__'))
print(eval('1 + 2'), eval(compile(ast.parse('3 * 3', mode='eval'), 'given', 'eval')))
exec(compile('print(__file__, __name__)', 'a file', 'exec'))
print(compile('x = 1\n' * 3, 'f', 'exec', optimize=2).co_consts, types.FunctionType(compile('7', 'f', 'eval'), {})())
m = types.ModuleType('made')
exec('value = __name__', vars(m))
print(m.value, __import__('builtins').compile is compile)
exec(open(__file__).readline(), {'again': True, '__name__': 'executed'})
print('ast' in globals(), 'again' in globals())
try:
    exec('\n' * 9 + '1/0', {})
except ZeroDivisionError as e:
    print(e.__traceback__.tb_next.tb_lineno, e.__traceback__.tb_next.tb_frame.f_code.co_filename)
