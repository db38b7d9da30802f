# A restored process has not touched its pages yet, so fewer are resident.
import re
rss = sum(int(n) for n in re.findall(r'^Rss:\s+(\d+)', open('/proc/self/smaps').read(), re.M))
print(1000 < rss < 40_000)
