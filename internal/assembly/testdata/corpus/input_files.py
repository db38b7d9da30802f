import json
import os
print(sorted(json.load(open('/input/data.json'))), os.listdir('/input'), open('/input/data.json').read().startswith('{"now": '))
print(os.stat('/input/data.json').st_size == len(open('/input/data.json').read()))
