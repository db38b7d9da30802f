"""Answers, and how much of them is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, List

import httpx

MAX_ANSWER = 128 << 20  # bytes of an answer that is read whole, and of one that is an error
MAX_ERROR = 1 << 20
# What may be decoded: at most a thousandfold comes out, and once.
ENCODINGS = ("", "identity", "gzip", "deflate")


@dataclass(frozen=True)
class Reply:
    """An answer. stream is set where its body is still to be read; wrong says why it
    is not read."""

    status: int
    headers: httpx.Headers
    content: bytes
    stream: Any = None
    wrong: str = ""


class Body:
    """An answer that is read whole, unless it is too much."""

    def __init__(self, response: Any, most: int) -> None:
        self._response = response
        self._error = not response.is_success
        self._left = MAX_ERROR if self._error else most
        self._chunks: List[bytes] = []
        self.wrong = encoded(response)
        self._most = most

    def add(self, chunk: bytes) -> bool:
        """Takes a part and answers whether to read on. Errors are cut."""
        self._chunks.append(chunk[: self._left])
        self._left -= len(chunk)
        if self._left < 0 and not self._error:
            self.wrong = f"it is longer than {self._most >> 20} MiB"
        return self._left >= 0

    def reply(self) -> Reply:
        """What was read."""
        return Reply(self._response.status_code, self._response.headers, b"".join(self._chunks), wrong=self.wrong)


def encoded(response: Any) -> str:
    """Why a body is not decoded; nothing where it is."""
    encoding: str = response.headers.get("Content-Encoding", "").strip().lower()
    return "" if encoding in ENCODINGS else f"it is encoded as {encoding!r}, which was not asked for"
