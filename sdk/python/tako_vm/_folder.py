"""Writes files into a folder and nowhere else.

Names come from elsewhere. Parts such as ".." are refused, and what is in the
folder already is not followed where it is a link.
"""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Iterator, List, Union

from .errors import UnsafePathError

_DIR_FD = os.open in os.supports_dir_fd and os.rename in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")
_RESERVED = '<>:"|?*'  # Windows gives them a meaning
_DEVICES = {"con", "prn", "aux", "nul", "conin$", "conout$", *(kind + n for kind in ("com", "lpt") for n in "0123456789\u00b9\u00b2\u00b3")}


def parts_of(name: str) -> List[str]:
    """The parts of a relative name with slashes; UnsafePathError where it is
    another."""
    parts = name.split("/") if isinstance(name, str) else []
    bad = not parts or any(p in ("", ".", "..") for p in parts) or "\\" in name or any(ord(c) < 32 or ord(c) == 127 for c in name)
    if not bad and os.name == "nt":
        bad = any(c in _RESERVED for c in name) or any(p[-1] in ". " for p in parts)
        bad = bad or any(p.split(".")[0].rstrip().lower() in _DEVICES for p in parts)
    if not bad and any("\ud800" <= c <= "\udfff" for c in name):
        raise UnsafePathError(f"the name {name!r} is not UTF-8")
    if bad:
        raise UnsafePathError(f"the name {name!r} would lead out of its folder")
    return parts


class Folder:
    """A folder that files are written to. It is made where it is not there."""

    def __init__(self, folder: Union[str, "os.PathLike[str]"]) -> None:
        self.path = Path(folder)
        self.path.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def create(self, name: str) -> Iterator[BinaryIO]:
        """A new file, which takes its name, and another's place, at the end; it
        does not where that is an exception."""
        parts = parts_of(name)
        with self._inside(parts[:-1], name) as (directory, fd):
            temporary = f".tako-{secrets.token_hex(8)}"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
            if fd is not None:
                out = os.fdopen(os.open(temporary, flags, 0o666, dir_fd=fd), "wb")
            else:
                out = os.fdopen(os.open(directory / temporary, flags, 0o666), "wb")
            try:
                with out:
                    yield out
                if fd is not None:
                    os.replace(temporary, parts[-1], src_dir_fd=fd, dst_dir_fd=fd)
                else:
                    os.replace(directory / temporary, directory / parts[-1])
            except BaseException:
                if fd is not None:
                    os.unlink(temporary, dir_fd=fd)
                else:
                    os.unlink(directory / temporary)
                raise

    @contextmanager
    def _inside(self, parts: List[str], name: str) -> "Iterator[tuple[Path, int | None]]":
        """The directory of a file: by a descriptor, where the system has that, so
        that nobody can put a link in its place."""
        if not _DIR_FD:
            at = self.path.resolve()
            for part in parts:
                at = at / part
                if not at.is_dir():
                    at.mkdir()
                if at.resolve() != at:
                    raise UnsafePathError(f"{part!r} of {name!r} is a link that is in the folder already")
            yield at, None
            return
        fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for part in parts:
                fd = _enter(fd, part, name)
            yield self.path.joinpath(*parts), fd
        finally:
            os.close(fd)


def _enter(fd: int, part: str, name: str) -> int:
    """The directory part of fd, which is closed."""
    try:
        os.mkdir(part, dir_fd=fd)
    except FileExistsError:
        pass
    try:
        inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
    except OSError as e:
        if stat.S_ISLNK(os.stat(part, dir_fd=fd, follow_symlinks=False).st_mode):
            raise UnsafePathError(f"{part!r} of {name!r} is a link that is in the folder already") from e
        raise
    os.close(fd)
    return inner
