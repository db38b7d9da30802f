# How much was allocated and collected before the program began. The blocks
# depend on hashes, which are random.
import gc
import sys
print(gc.get_count(), gc.get_stats(), len(gc.get_objects()))
print(8000 < sys.getallocatedblocks() < 12_000, len(sys.modules), sys.getrefcount(None) > 1000)
