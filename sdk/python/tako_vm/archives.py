"""Takes archives of artifacts apart, inside of one folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any, List, Set, Union

from ._folder import Folder, parts_of
from .errors import MalformedResponseError, UnsafePathError, ValidationError

__all__ = ["extract_zip"]

MAX_BYTES = 1 << 30
MAX_NAMES = 16 << 20  # bytes of an archive's list of files, which is read at once
# Others make too much of a little before it can be counted.
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def extract_zip(
    archive: Union[str, "os.PathLike[str]", IO[bytes]],
    folder: Union[str, "os.PathLike[str]"],
    *,
    max_bytes: int = MAX_BYTES,
) -> List[Path]:
    """Unpacks a ZIP archive into folder and answers the files' paths.

    UnsafePathError where a name would lead out of it, or is a link: nothing is
    written then. ValidationError where the files are more than max_bytes,
    MalformedResponseError where it is no whole archive.
    """
    with contextlib.ExitStack() as opened:
        if isinstance(archive, (str, os.PathLike)):
            archive = opened.enter_context(open(archive, "rb"))
        try:
            with zipfile.ZipFile(_Sparing(archive)) as z:  # type: ignore[call-overload]
                return _extract(z, _checked(z, max_bytes), Folder(folder), max_bytes)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as e:
            raise MalformedResponseError(f"the archive is damaged: {e}") from e


def _extract(z: zipfile.ZipFile, entries: List[zipfile.ZipInfo], into: Folder, left: int) -> List[Path]:
    written = []
    for info in entries:
        with z.open(info) as source, into.create(info.filename) as out:
            shutil.copyfileobj(_Bounded(source, left), out)
        left -= info.file_size
        written.append(into.path.joinpath(*info.filename.split("/")))
    return written


def _checked(z: zipfile.ZipFile, max_bytes: int) -> List[zipfile.ZipInfo]:
    """The files of an archive, all of which can be written."""
    entries: List[zipfile.ZipInfo] = []
    names: Set[str] = set()
    folders: Set[str] = set()
    size = 0
    for info in z.infolist():
        name = info.orig_filename
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise UnsafePathError(f"{name!r} of the archive is no file")
        parts = parts_of(name.rstrip("/") or "/" if name.endswith("/") else name)
        folders.update("/".join(parts[:n]) for n in range(1, len(parts)))
        if name.endswith("/"):
            folders.add("/".join(parts))
            continue
        if name in names:
            raise UnsafePathError(f"{name!r} is in the archive twice")
        if info.compress_type not in METHODS:
            raise MalformedResponseError(f"{name!r} of the archive is compressed in a way that servers do not use")
        names.add(name)
        size += info.file_size
        if size > max_bytes:
            raise ValidationError(f"the files of the archive are more than {max_bytes} bytes")
        entries.append(info)
    for name in names & folders:
        raise UnsafePathError(f"{name!r} is in the archive as a file and as a folder")
    return entries


class _Sparing:
    """A file of which nobody reads much at once: a list of files that is all of a
    large archive would take many times its size."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.tell = file.tell

    def seek(self, at: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_SET and not 0 <= at < 1 << 62:
            raise zipfile.BadZipFile("a file in it is nowhere")
        moved: int = self._file.seek(at, whence)
        return moved

    def read(self, size: int = -1) -> bytes:
        if size > MAX_NAMES:
            raise zipfile.BadZipFile("its list of files is too long")
        data: bytes = self._file.read(size)
        return data

    def seekable(self) -> bool:
        return True


class _Bounded:
    """Reads no more than was promised."""

    def __init__(self, source: IO[bytes], left: int) -> None:
        self._source = source
        self._left = left

    def read(self, size: int = -1) -> bytes:
        data = self._source.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise ValidationError("the files of the archive are more than they say")
        return data
