open('/output/result.json', 'w').write('{"a": NaN}')
open('/output/x', 'w').write('x')
raise SystemExit(4)
