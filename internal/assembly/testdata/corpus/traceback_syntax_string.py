x = 1
y = '''begins
and never ends
z = "é"
