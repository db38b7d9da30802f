import importlib.metadata
import os
import site
import sys
import sysconfig

print(site.getsitepackages(), site.getusersitepackages(), site.ENABLE_USER_SITE, site.USER_BASE, site.PREFIXES)
print(sorted((d.metadata['Name'] or '', d.version) for d in importlib.metadata.distributions()))
for d in site.getsitepackages(): print(d, sorted(os.listdir(d)) if os.path.isdir(d) else None)
print(sysconfig.get_paths(), sysconfig.get_platform(), sysconfig.get_config_var('SOABI'))
print([n for n in ('sitecustomize', 'usercustomize') if n in sys.modules], exit, quit, copyright is not None, sorted(vars(__builtins__)))
import pydoc, pkgutil
print(len(list(pkgutil.iter_modules())), pydoc.locate('__main__.site') is site, help)
