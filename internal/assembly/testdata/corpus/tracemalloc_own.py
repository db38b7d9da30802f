import tracemalloc
print(tracemalloc.is_tracing(), tracemalloc.get_traced_memory())
tracemalloc.start()
data = [bytearray(1000) for _ in range(100)]
top = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, __file__)]).statistics('lineno')
print([(s.traceback[0].filename, s.traceback[0].lineno, s.count) for s in top][:1])
print(tracemalloc.get_object_traceback(data[0]))
import sys
print(sys.getsizeof([]), sys.getsizeof({}), sys.getsizeof('é'), sys.getsizeof(print))
