values = [
    1,
    {'a': (2,
           3},
]
print(values)
