import sys
def hook(kind, value, tb):
    print('hooked', kind, value, tb.tb_lineno, tb.tb_frame.f_code.co_filename)
    raise RuntimeError('in the hook')
sys.excepthook = hook
raise LookupError('original')
