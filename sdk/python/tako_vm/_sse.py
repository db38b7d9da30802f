"""Server-Sent Events (WHATWG HTML, section 9.2), out of bytes as they come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator, List

MAX_FRAME = 16 << 20  # bytes; the server's are a hundredth of it


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
        self._rest = b""
        self._lines: List[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> Iterator[Frame]:
        """The events that chunk completes. ValueError for one that is too long."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            line = line[:-1] if line.endswith(b"\r") else line
            if line:
                self._lines.append(line)
                self._size += len(line)
            else:
                frame, self._lines, self._size = self._frame(), [], 0
                if frame is not None:
                    yield frame
            self._check()
        self._check()

    def _check(self) -> None:
        if self._size + len(self._rest) > MAX_FRAME:
            raise ValueError("an event is longer than 16 MiB")

    def _frame(self) -> "Frame | None":
        name, data = "", []
        for line in self._lines:
            field, _, value = line.decode("utf-8", "replace").partition(":")
            value = value[1:] if value.startswith(" ") else value
            if field == "id":
                self._id = value
            elif field == "event":
                name = value
            elif field == "data":
                data.append(value)
        return Frame(self._id, name, "\n".join(data)) if name or data else None
