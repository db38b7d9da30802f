print('allocating', flush=True)
hold = []
while True: hold.append(bytearray(b'x') * (1 << 22))
