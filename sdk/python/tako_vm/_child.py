"""A server of this process's own, for library mode.

There is one for each set of settings that a server has and a job has not, which
is mostly one. It listens on loopback, on a port that the system chooses, and
answers to a key that only this process has. Its data directory is one of a few
below the user's cache, so that what was packed once is there the next time.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import secrets
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Dict, Optional, Set, Tuple

import httpx

from . import _keeper
from ._binary import find_tako
from ._images import take_over
from .client import TakoVM

try:
    import fcntl
except ImportError:  # a platform without sandboxes
    fcntl = None  # type: ignore[assignment]

SLOTS = 64
START = 120.0  # seconds; the first start packs this machine's Python
_LISTENING = "tako: listening on "


class Child:
    """A server that runs."""

    def __init__(self, settings: Dict[str, Any]) -> None:
        self.pid = os.getpid()
        self._slot, self._lock = _slot()
        # What the server says goes to a file: a pipe without a reader, when this
        # process was killed, would kill it before it has cleaned up.
        self._log = self._slot.with_suffix(".log")
        self._stopped = False
        key = secrets.token_urlsafe(32)
        try:
            self._process = self._start(settings, key)
            try:
                url = self._listening()
            except BaseException:
                self._end()
                raise
        except BaseException:
            self._release()
            raise
        # A proxy of the environment would be told the key, and cannot reach this.
        self._http = httpx.Client(trust_env=False)
        self.client = TakoVM(url, api_key=key, session=self._http)
        self._types: Dict[str, Dict[str, Any]] = {}
        self._images: Set[str] = set()

    def job_type(self, fields: Dict[str, Any]) -> str:
        """The name of a job type with these fields, which is made if need be. Names
        are drawn from the fields, so that those of processes before are used."""
        text = json.dumps(fields, sort_keys=True)
        name = "sandbox-" + hashlib.sha256(text.encode("utf-8")).hexdigest()[:24]
        if name not in self._types:
            self.client.replace_job_type(name, **fields)
            self._types[name] = fields
        return name

    def image(self, name: str, pull: bool) -> None:
        """Has an image; what its name meant first holds to the end."""
        if name not in self._images:
            take_over(name, self._slot, pull)
            self._images.add(name)

    def _start(self, settings: Dict[str, Any], key: str) -> "subprocess.Popen[bytes]":
        file = self._slot.with_suffix(".yaml")
        # JSON is YAML. The key is in the environment, which others cannot read.
        with open(_private(file), "w", encoding="utf-8") as f:  # an index's URL may have a password
            json.dump({**_SETTINGS, **settings}, f)
        env = {
            **_environment(settings),
            "TAKO_VM_CONFIG": str(file),
            "TAKO_VM_DATA_DIR": str(self._slot),
            "TAKO_VM_API_AUTH_ENABLED": "true",
            "TAKO_VM_API_KEYS": key,
        }
        command = [sys.executable, "-I", "-S", str(_keeper.__file__), find_tako(), "server", "--host", "127.0.0.1", "--port", "0"]
        with open(_private(self._log), "wb") as log:
            return subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=log)

    def _listening(self) -> str:
        """Waits until the server says where it listens."""
        end = time.monotonic() + START
        while True:
            over = self._process.poll() is not None or time.monotonic() > end
            lines = self._log.read_text("utf-8", "replace").split("\n")
            for line in lines[:-1]:
                if line.startswith(_LISTENING):
                    return line[len(_LISTENING) :].strip()
            if over:
                raise RuntimeError("the tako server does not start: " + (" ".join(lines[-6:]).strip() or "it says nothing"))
            time.sleep(0.01)

    def alive(self) -> bool:
        """It is this process's, and runs."""
        return self.pid == os.getpid() and not self._stopped and self._process.poll() is None

    def stop(self) -> None:
        """Ends the server and waits for that."""
        if self.pid != os.getpid() or self._stopped:
            return
        self._stopped = True
        self._http.close()
        self._end()
        self._release()

    def _end(self) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
        except OSError:
            pass
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            pass  # a job goes on; the keeper waits for it, and then ends both

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)


def _private(file: Path) -> int:
    """A file of this user's alone, empty."""
    file.unlink(missing_ok=True)
    return os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)


_SETTINGS: Dict[str, Any] = {
    "api_rate_limit_enabled": False,
    "log_level": "ERROR",
    "allow_runtime_requirements": True,
    "allow_request_images": True,
    "max_timeout": 86400,
    "max_memory": "32g",
    "max_cpus": 16,
    "execution_record_ttl_days": 1,
}


# Of tako's variables these are about the machine. Others, which come before the
# file, are about a server that is not this one: its database, files, limits.
_KEPT = {
    "TAKO_VM_SECURITY_MODE",
    "TAKO_VM_CONTAINER_RUNTIME",
    "TAKO_VM_ENABLE_SECCOMP",
    "TAKO_VM_ENABLE_CAP_RESTRICTIONS",
    "TAKO_VM_ENABLE_USERNS",
    "TAKO_VM_DEPENDENCY_PROXY_URL",
}


def _environment(settings: Dict[str, Any]) -> Dict[str, str]:
    """The process's own, without what would change the server's settings."""
    said = {"TAKO_VM_" + name.upper() for name in settings}
    kept = _KEPT - said
    return {name: value for name, value in os.environ.items() if name in kept or not name.startswith("TAKO_VM_")}


def _slot() -> Tuple[Path, Optional[int]]:
    """A data directory that no other process has, and its lock."""
    if fcntl is None:
        raise RuntimeError("sandboxes need Linux")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "tako-vm")
    base.mkdir(parents=True, exist_ok=True, mode=0o700)
    base = base.resolve()  # links on the way to it may be somebody else's, and be changed
    _check(base)
    for n in range(SLOTS):
        fd = os.open(base / f"{n}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            folder = base / str(n)
            folder.mkdir(exist_ok=True, mode=0o700)
            if not _in_use(folder):
                return folder, fd
        except BlockingIOError:
            pass
        os.close(fd)
    raise RuntimeError(f"{SLOTS} processes with sandboxes run already")


def _check(base: Path) -> None:
    """What is in the directory says what the server does: it must be this user's."""
    known, above = base.stat(), base.parent.stat()
    replaced = above.st_mode & stat.S_IWOTH and not above.st_mode & stat.S_ISVTX
    if known.st_uid != os.geteuid() or known.st_mode & 0o022 or above.st_uid not in (0, os.geteuid()) or replaced:
        raise RuntimeError(f"{str(base)!r} is another user's or others may write there; name another directory in XDG_CACHE_HOME")


def _in_use(folder: Path) -> bool:
    """A server of a process that was killed may still be about to end."""
    try:
        fd = os.open(folder / "db" / "lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(fd)


_lock = threading.Lock()
_children: Dict[str, Child] = {}


def child(settings: Dict[str, Any]) -> Child:
    """The server with these settings; it is started where it does not run."""
    key = json.dumps(settings, sort_keys=True)
    with _lock:
        known = _children.get(key)
        if known is None or not known.alive():
            if known is not None:
                known.stop()
            _children[key] = known = Child(settings)
        return known


@atexit.register
def stop_all() -> None:
    """Ends the servers of this process."""
    with _lock:
        for each in _children.values():
            each.stop()
        _children.clear()


if hasattr(os, "register_at_fork"):

    def _forget() -> None:
        """After a fork: the servers are the parent's."""
        global _lock
        _lock = threading.Lock()
        for each in _children.values():
            # The pipe keeps the parent's server alive; this copy of it must not.
            if each._process.stdin is not None:
                each._process.stdin.close()
            if each._lock is not None:
                os.close(each._lock)
        _children.clear()

    os.register_at_fork(after_in_child=_forget)
