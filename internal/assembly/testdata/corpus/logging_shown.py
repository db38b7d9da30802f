import logging
logging.warning('to standard error')
logging.basicConfig(format='%(levelname)s %(name)s %(filename)s:%(lineno)d %(funcName)s %(module)s %(processName)s %(threadName)s %(message)s', level=0, force=True)
log = logging.getLogger('x.y')
def f(): log.info('from %s', 'f')
f()
try: 1 / 0
except ZeroDivisionError: log.exception('with a traceback')
r = logging.LogRecord('n', 10, __file__, 1, 'm', (), None); print(0 <= r.relativeCreated < 5000, r.pathname)
logging.shutdown()
