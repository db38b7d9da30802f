# Installs /input/requirements.txt into /app/site and writes that as a tar to
# standard output. What the installer says goes to standard error.
import compileall, io, os, shutil, subprocess, sys, tarfile

url, sources = sys.argv[1], sys.argv[2] == "sources"
host = url.split("/")[2]
site, tmp = "/app/site", "/app/tmp"
os.makedirs(site)
os.makedirs(tmp)
os.environ.update(TMPDIR=tmp, HOME=tmp, XDG_CACHE_HOME=tmp)
for name in list(os.environ):
    if name.startswith(("PIP_", "UV_")):
        del os.environ[name]

uv = shutil.which("uv")
if uv:
    command = [uv, "pip", "install", "--python", sys.executable, "--target", site, "--no-cache", "--no-config", "--link-mode=copy",
               "--index-url", url, "--allow-insecure-host", host, "--no-progress", "--color", "never"]
    if not sources:
        command += ["--no-build"]
else:
    if subprocess.run([sys.executable, "-m", "pip", "--version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
        print("tako: this environment has neither uv nor pip", file=sys.stderr)
        sys.exit(97)
    command = [sys.executable, "-m", "pip", "--isolated", "install", "--target", site, "--no-cache-dir", "--no-compile", "--no-input",
               "--disable-pip-version-check", "--no-warn-script-location", "--no-color", "--progress-bar", "off", "--ignore-installed",
               "--retries", "1", "--timeout", "60", "--index-url", url, "--trusted-host", host]
    if not sources:
        command += ["--only-binary", ":all:"]
command += ["-r", "/input/requirements.txt"]

code = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=2).returncode
shutil.rmtree(tmp, ignore_errors=True)
if code:
    sys.exit(96)

# Nobody can write beside the sources later, and times are not kept: bytecode
# that is never compared with them.
compileall.compile_dir(site, quiet=2, stripdir=site, prependdir="/packages",
                       invalidation_mode=compileall.py_compile.PycInvalidationMode.UNCHECKED_HASH)

out = tarfile.open(fileobj=os.fdopen(1, "wb", 1 << 20), mode="w|", format=tarfile.PAX_FORMAT)
for top, dirs, files in os.walk(site):
    dirs.sort()
    for name in sorted(dirs + files):
        path = os.path.join(top, name)
        info = out.gettarinfo(path, os.path.relpath(path, site))
        if not (info.isfile() or info.isdir() or info.issym() or info.islnk()):
            continue
        info.uid = info.gid = info.mtime = 0
        info.uname = info.gname = ""
        if info.isfile():
            with open(path, "rb") as f:
                out.addfile(info, f)
        else:
            out.addfile(info)
out.close()
