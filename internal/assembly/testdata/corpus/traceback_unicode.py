# Carets stand below what failed, whatever the width of the characters before.
def größe(wert_in_übergröße):
    return {'☃': '日本語', 'x': wert_in_übergröße['fehlt'] + 1, 'y': 2 / 1}

class Δ:
    def 日本(self): return größe({})

𝔘nicode = Δ()
try:
    Unicode.日本()
except KeyError as e:
    import traceback
    traceback.print_exc()
	
print('é\u2028\u0085'.splitlines(), file=__import__('sys').stderr)
[(1 + 2, 𝔘nicode.日本(), 3)]
