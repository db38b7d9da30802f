import sys
import zipfile
import zipimport

try:
    zipimport.zipimporter(__file__)
except zipimport.ZipImportError as e:
    print(e, e.path)
with zipfile.ZipFile('/tmp/m.zip', 'w') as z:
    z.writestr('inside.py', 'value = __file__\ndef fail(): raise ValueError("zipped")\n')
    z.writestr('__main__.py', 'print(__file__, __name__, __import__("sys").argv)\n')
sys.path.insert(0, '/tmp/m.zip')
import inside
print(inside.value, inside.__loader__)
import subprocess
print(subprocess.run([sys.executable, '/tmp/m.zip', 'a'], capture_output=True, text=True))
print([k for k in sys.path_importer_cache if 'zip' in k or 'code' in k], sorted(zipimport._zip_directory_cache))
inside.fail()
