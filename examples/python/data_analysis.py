"""A table goes in, numbers and a chart come out.

The analysis runs in a sandbox and needs nothing but Python itself: the chart is a
PNG file of a few lines. Where the sandbox's Python has pandas or matplotlib, or
requirements name them, it may use them as well.

Start a server first: tako server.
"""

import struct
from pathlib import Path

from tako_vm import InputFile, JobOptions, TakoVM

TABLE = """month,city,sold
1,Lisbon,120
1,Oslo,80
2,Lisbon,150
2,Oslo,95
3,Lisbon,90
3,Oslo,130
"""

ANALYSIS = """
import csv, json, struct, zlib
from collections import Counter

by_month, by_city = Counter(), Counter()
for row in csv.DictReader(open("/input/sales.csv")):
    by_month[int(row["month"])] += int(row["sold"])
    by_city[row["city"]] += int(row["sold"])

# What /output/result.json holds is the run's output; other files are artifacts.
best = by_month.most_common(1)[0][0]
json.dump({"by_city": by_city, "best_month": best}, open("/output/result.json", "w"))

# A bar for each month: rows of black and white pixels, a byte each.
bar, gap, height = 30, 10, 100
months = sorted(by_month)
width, top = len(months) * (bar + gap) + gap, max(by_month.values())
pixels = [bytearray(b"\\xff" * width) for _ in range(height)]
for n, month in enumerate(months):
    left = gap + n * (bar + gap)
    for y in range(height - height * by_month[month] // top, height):
        pixels[y][left : left + bar] = bytes(bar)

def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

with open("/output/chart.png", "wb") as f:
    f.write(b"\\x89PNG\\r\\n\\x1a\\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)))
    f.write(chunk(b"IDAT", zlib.compress(b"".join(b"\\0" + row for row in pixels))) + chunk(b"IEND", b""))
print("rows of the chart:", height)
"""

with TakoVM.from_env() as tako:  # TAKO_URL and TAKO_API_KEY, else http://localhost:8000
    files = [InputFile("sales.csv", text=TABLE)]  # or local="sales.csv", which is sent as it is read
    done = tako.execute(ANALYSIS, options=JobOptions(files=files))
    if not done.success:
        raise SystemExit(f"the analysis failed: {done.error}\n{done.stderr}")
    print(done.stdout, end="")
    print("output:", done.output)

    # All files that the job left, below a folder of ours and nowhere else.
    for path in sorted(tako.save_artifacts(done.job_id, "analysis")):
        print("file:", path.as_posix())
    width, height = struct.unpack(">II", Path("analysis/chart.png").read_bytes()[16:24])
    print(f"the chart is {width} x {height} pixels")
