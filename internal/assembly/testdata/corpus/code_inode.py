# The number of the inode of the script.
import os
print(os.stat(__file__).st_ino, os.stat('/code').st_ino, os.stat('/input/data.json').st_ino, os.stat('/input').st_ino)
