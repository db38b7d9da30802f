# Larger modules come up and work.
import csv, decimal, fractions, gzip, io, json, re, sqlite3, ssl, statistics, struct, textwrap, urllib.request, xml.etree.ElementTree as ET, zlib

c = sqlite3.connect(':memory:'); c.execute('create table t(a, b)'); c.executemany('insert into t values (?, ?)', [(1, 'x'), (2, 'é')])
print(c.execute('select sum(a), group_concat(b) from t').fetchall(), sqlite3.sqlite_version, ssl.OPENSSL_VERSION)
print(gzip.decompress(gzip.compress(b'x' * 1000)) == b'x' * 1000, zlib.crc32(b'x'), ET.fromstring('<a b="1"><c/></a>').attrib)
print(decimal.Decimal(1) / 3, fractions.Fraction(1, 3) + 1, statistics.mean([1, 2, 4]), struct.pack('<id', 1, 2.0))
print(json.dumps({'é': [1, 2.5, None]}), re.findall(r'\w+', 'é ü'), textwrap.fill('a ' * 50, 20))
try: urllib.request.urlopen('https://example.com', timeout=2)
except OSError as e: print(e)
try:
    import numpy as np
    print(np.__version__, np.linalg.det(np.array([[1., 2.], [3., 4.]])).round(6), np.random.RandomState(1).rand(3), np.fft.fft(np.arange(4)))
    print(np.dot(np.arange(200 * 200, dtype=float).reshape(200, 200), np.ones(200)).sum(), np.show_config.__module__)
except ImportError as e:
    print(e)
