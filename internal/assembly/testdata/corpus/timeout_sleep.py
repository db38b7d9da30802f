import time
print('sleeping')
open('/output/begun', 'w').write('yes')
time.sleep(60)
