import json
import os

os.chdir('/output')
json.dump({'n': [1, 2.5, None], 'é': '☃'}, open('result.json', 'w'))
open('a.txt', 'w').write('text')
open('empty', 'w')
os.makedirs('deep/er')
open('deep/er/b.bin', 'wb').write(bytes(range(256)) * 1000)
os.symlink('a.txt', 'link')
os.mkfifo('fifo')
open('.hidden', 'w')
os.link('a.txt', 'hard')
os.symlink('/code/main.py', 'code')
import shutil
shutil.copy('/code/main.py', 'copy.py')
print(sorted(os.listdir('.')))
