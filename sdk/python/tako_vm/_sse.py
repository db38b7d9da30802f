"""Server-Sent Events (WHATWG HTML, section 9.2), out of bytes as they come."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Iterator, List

MAX_FRAME = 16 << 20  # bytes; the server's are a hundredth of it
LINE = 64  # bytes that a line takes here beside its own
_END = re.compile(rb"\r\n|\r|\n")
_MARK = b"\xef\xbb\xbf"  # of the byte order, which the first line may have


@dataclass(frozen=True)
class Frame:
    """An event on the wire."""

    id: str
    name: str
    data: str


class Frames:
    """Cuts a stream into events. One that the end cuts off does not count."""

    def __init__(self, id: str = "") -> None:
        self._id = id
        self._rest = bytearray()  # of a line without its end
        self._lines: List[bytes] = []
        self._size = 0
        self._first = True
        self._cr = False  # the last chunk ended with CR: an LF that follows is of that end

    def feed(self, chunk: bytes) -> Iterator[Frame]:
        """The events that chunk completes. ValueError for one that is too long."""
        if self._cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        self._cr = chunk.endswith(b"\r")
        *ends, rest = _END.split(chunk)
        for end in ends:
            line = bytes(self._rest + end)
            self._rest.clear()
            if self._first:
                self._first, line = False, line[3:] if line.startswith(_MARK) else line
            if line:
                self._lines.append(line)
                self._size += len(line) + LINE
            else:
                frame, self._lines, self._size = self._frame(), [], 0
                if frame is not None:
                    yield frame
            self._check()
        self._rest += rest
        self._check()

    def _check(self) -> None:
        if self._size + len(self._rest) > MAX_FRAME:
            raise ValueError("an event is longer than 16 MiB")

    def _frame(self) -> "Frame | None":
        name, data = "", []
        for line in self._lines:
            field, _, value = line.decode("utf-8", "replace").partition(":")
            value = value[1:] if value.startswith(" ") else value
            if field == "id" and "\0" not in value:
                self._id = value
            elif field == "event":
                name = value
            elif field == "data":
                data.append(value)
        return Frame(self._id, name, "\n".join(data)) if data else None
