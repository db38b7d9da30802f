"""Files in and out."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Dict, List, Optional, Tuple, Union

from .._body import Reply
from .._folder import Folder, parts_of
from .._wire import FAILURES, Call, Close, Plan, Read, Wire, get, malformed, path, quoted
from ..archives import extract_zip
from ..errors import TakoVMError, UnsafePathError, ValidationError

Source = Union[bytes, str, "os.PathLike[str]", BinaryIO]
SILENCE = 60.0  # seconds between two parts of a file
# Bytes that no server goes over: of one file, and of all of a job's as an archive.
MAX_FILE = 1 << 30
MAX_ZIP = 11 << 30
ROOM = 64 << 20  # bytes that names and the like take in an archive


def artifact(id: str, name: str) -> Call:
    """The call that gets a file that a job left."""
    # Slashes of a name part it; every part is quoted as one.
    inside = "/".join(quoted(part) for part in parts_of(name))
    return get(path("/jobs/", id, "/artifacts/") + inside, read=SILENCE, most=MAX_FILE)


def download(wire: Wire, id: str, name: str) -> Plan[bytes]:
    """A file as bytes, checked by its digest."""
    call = artifact(id, name)
    reply = yield from wire.fetch(call)
    _check(reply, call, name, hashlib.sha256(reply.content))
    return reply.content


def read(wire: Wire, id: str, name: str, offset: int, most: int) -> Plan[Tuple[bytes, int, str]]:
    """A part of a file, the whole one's size, and its type."""
    reply = yield from wire.open(artifact(id, name))
    data, passed = bytearray(), 0
    while passed < min(offset + most, MAX_FILE):
        try:
            chunk: bytes = yield Read(reply.stream)
        except FAILURES as e:
            raise wire.failed(e, reply.headers.get("X-Correlation-ID")) from e
        if not chunk:
            break
        data += chunk[max(offset - passed, 0) :]
        passed += len(chunk)
    yield Close(reply.stream)
    length = "" if "Content-Encoding" in reply.headers else reply.headers.get("Content-Length", "")
    size = int(length) if re.fullmatch(r"[0-9]{1,18}", length, re.ASCII) else passed
    return bytes(data[:most]), size, reply.headers.get("Content-Type") or ""


def save(wire: Wire, id: str, name: str, folder: Union[str, "os.PathLike[str]"], to: Optional[str]) -> Plan[Path]:
    """A file into a folder, as it comes."""
    call, to = artifact(id, name), name if to is None else to
    parts = parts_of(to)
    reply = yield from wire.open(call)
    into, digest = Folder(folder), hashlib.sha256()
    with into.create(to) as out:
        if not (yield from _copy(wire, reply, out, digest, MAX_FILE)):
            raise malformed(reply, call, f"the artifact {name!r} is longer than {MAX_FILE >> 20} MiB")
        _check(reply, call, name, digest)
    return into.path.joinpath(*parts)


def save_all(wire: Wire, id: str, folder: Union[str, "os.PathLike[str]"], max_bytes: int) -> Plan[List[Path]]:
    """All files that a job left, by way of one archive."""
    with tempfile.TemporaryFile() as f:
        reply = yield from _zip(wire, id, f, max_bytes + ROOM)
        try:
            if reply.wrong:
                raise ValidationError(f"the archive is longer than {max_bytes} bytes of files can be")
            return extract_zip(f, folder, max_bytes=max_bytes)
        except TakoVMError as e:
            e.correlation_id = reply.headers.get("X-Correlation-ID")
            raise


def save_zip(wire: Wire, id: str, file: Union[str, "os.PathLike[str]"]) -> Plan[Path]:
    """The archive of all files that a job left."""
    at = Path(file)
    if at.name in ("", ".."):
        raise UnsafePathError(f"{str(at)!r} is no name of a file")
    with Folder(at.parent).create(at.name) as out:
        reply = yield from _zip(wire, id, out, MAX_ZIP)
        if reply.wrong:
            raise malformed(reply, _archive(id), reply.wrong)
    return at


def _archive(id: str) -> Call:
    return get(path("/jobs/", id, "/artifacts.zip"), read=SILENCE)


def _zip(wire: Wire, id: str, out: Any, most: int) -> Plan[Reply]:
    """Reads an archive; the answer says what is wrong where it is longer."""
    reply = yield from wire.open(_archive(id))
    if (yield from _copy(wire, reply, out, hashlib.sha256(), most)):
        return reply
    return replace(reply, wrong=f"the archive is longer than {most >> 20} MiB")


def _copy(wire: Wire, reply: Reply, out: Any, digest: Any, most: int) -> Plan[bool]:
    """Reads an answer to its end and answers whether it has one before most bytes."""
    left = most
    while True:
        try:
            chunk: bytes = yield Read(reply.stream)
        except FAILURES as e:
            raise wire.failed(e, reply.headers.get("X-Correlation-ID")) from e
        if not chunk:
            break
        left -= len(chunk)
        if left < 0:
            break
        digest.update(chunk)
        out.write(chunk)
    yield Close(reply.stream)
    return left >= 0


def _check(reply: Reply, call: Call, name: str, digest: Any) -> None:
    etag = (reply.headers.get("ETag") or "").strip('"')
    if len(etag) == 64 and reply.status == 200 and digest.hexdigest() != etag:
        raise malformed(reply, call, f"the artifact {name!r} is damaged")


def upload(wire: Wire, source: Source) -> Plan[Dict[str, Any]]:
    """Stores a file for a job that comes."""
    opened = contextlib.ExitStack()
    with contextlib.closing(opened):
        content: Any = source
        if isinstance(source, (str, os.PathLike)):
            content = opened.enter_context(open(source, "rb"))
        parts = (("file", ("file", content, "application/octet-stream")),)
        return (yield from wire.object(Call("POST", "/uploads", parts=parts, read=wire.timeout + 60)))
