"""Takes archives of artifacts apart, inside of one folder."""

from __future__ import annotations

import os
import shutil
import stat
import zipfile
import zlib
from pathlib import Path
from typing import IO, List, Union

from ._folder import Folder, parts_of
from .errors import MalformedResponseError, UnsafePathError, ValidationError

__all__ = ["extract_zip"]

MAX_BYTES = 1 << 30


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
    try:
        with zipfile.ZipFile(archive) as z:
            entries = _checked(z, max_bytes)
            into, left, written = Folder(folder), max_bytes, []
            for info in entries:
                with z.open(info) as source, into.create(info.filename) as out:
                    shutil.copyfileobj(_Bounded(source, left), out)
                left -= info.file_size
                written.append(into.path.joinpath(*info.filename.split("/")))
            return written
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as e:
        raise MalformedResponseError(f"the archive is damaged: {e}") from e


def _checked(z: zipfile.ZipFile, max_bytes: int) -> List[zipfile.ZipInfo]:
    """The files of an archive, all of which can be written."""
    entries, names, size = [], set(), 0
    for info in z.infolist():
        name = info.orig_filename
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise UnsafePathError(f"{name!r} of the archive is no file")
        if name.endswith("/"):
            parts_of(name.rstrip("/") or "/")
            continue
        parts_of(name)
        if name in names:
            raise UnsafePathError(f"{name!r} is in the archive twice")
        names.add(name)
        size += info.file_size
        if size > max_bytes:
            raise ValidationError(f"the files of the archive are more than {max_bytes} bytes")
        entries.append(info)
    return entries


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
