# The script was put there a moment ago, and before it was opened.
import os
import json
import time
now, host = time.time(), json.load(open('/input/data.json'))['now']
st = os.stat(__file__)
print(abs(now - host) < 5, 0 <= now - st.st_mtime < 5, 0 <= now - st.st_ctime < 5, 0 <= now - os.stat('/code').st_mtime < 5)
print(0 <= now - os.stat('/input/data.json').st_mtime < 5, st.st_mtime <= st.st_ctime)
open('/tmp/x', 'w').close()
print(abs(os.stat('/tmp/x').st_mtime - now) < 2)
