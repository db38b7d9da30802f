# Nothing random was drawn before the program began.
import sys
print([m for m in ('random', 'secrets', 'uuid', 'tempfile', 'ssl', '_ssl', '_random', '_hashlib', 'hashlib', 'numpy') if m in sys.modules])
import os, random, secrets, tempfile, uuid
print(len({os.urandom(16) for _ in range(100)}), len({random.random() for _ in range(100)}), len({uuid.uuid4() for _ in range(100)}))
random.seed(1); print(random.random(), random.sample(range(100), 5), secrets.randbelow(10) < 10, tempfile.gettempdir(), tempfile.gettempprefix())
