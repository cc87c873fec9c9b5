"""A window over a stream of bytes that moves forward, and knows its lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from pilotcli.common.errors import WorkloadError
from pilotcli.workload.psql.lex import NAME_BYTES

_KEPT_BYTES = 1 << 16


class Window:
    """The part of the stream that is in memory: `buf[pos:]` is still to be read.

    `base` is the stream's offset of `buf[0]`, `begin` that of the text's first byte. `floor` is
    where the last special token ended; no token that is looked at backwards begins before it.
    """

    MAX_BYTES: ClassVar[int] = (1 << 30) - 2
    """More in one statement or line is refused: the server takes no longer message
    (PQ_LARGE_MESSAGE_LIMIT in its src/include/libpq/libpq.h), and a small compressed file may
    unpack to any size."""

    def __init__(self, read: Callable[[int], bytes], file: str, chunk_bytes: int) -> None:
        self.buf = b""
        self.pos = 0
        self.base = 0
        self.begin = 0
        self.floor = 0
        self.eof = False
        self.file = file
        self.chunk_bytes = chunk_bytes
        self._read = read
        self._line = 1
        self._line_pos = 0

    @classmethod
    def over(cls, data: bytes, file: str, line: int = 1) -> Window:
        """A window over bytes that are all there and begin on `line`."""
        window = cls(lambda size: b"", file, 1)
        window.buf = data
        window.eof = True
        window._line = line
        return window

    def drop_mark(self, mark: bytes) -> None:
        """Skip a byte order mark at the very beginning."""
        while len(self.buf) < len(mark) and self.more():
            pass
        if self.buf.startswith(mark):
            self.buf = self.buf[len(mark) :]
            self.base = self.begin = len(mark)

    def more(self) -> bool:
        """Read on, and drop what was read; False at the end of the stream.

        Reads at least as much as is pending, so that a token which is looked at again each time
        costs linear time in all.
        """
        if self.eof:
            return False
        pending = len(self.buf) - self.pos
        if pending > self.MAX_BYTES:
            raise self.too_long(self.line_at(self.pos))
        new = self._read(max(self.chunk_bytes, pending))
        if not new:
            self.eof = True  # and nothing has moved, so a match that was found stays right
            return False
        keep = self._keep_from()
        if keep:
            self.line_at(keep)
            self._line_pos -= keep
            self.base += keep
            self.pos -= keep
            self.floor = max(0, self.floor - keep)
            self.buf = self.buf[keep:]
        if b"\0" in new:
            raise WorkloadError(
                "the file holds a zero byte, so it is no SQL text",
                file=self.file,
                line=self.line_at(len(self.buf)) + new.count(b"\n", 0, new.index(b"\0")),
                hint="A workload is UTF-8 text; convert UTF-16 with iconv -f UTF-16 -t UTF-8.",
            )
        self.buf += new
        return True

    def too_long(self, line: int) -> WorkloadError:
        """The error for a statement, or a line, that is longer than the server takes."""
        return WorkloadError(
            f"what begins here is longer than {self.MAX_BYTES:,} bytes",
            file=self.file,
            line=line,
            hint="No PostgreSQL takes a statement so long; look for a missing semicolon or quote.",
        )

    def _keep_from(self) -> int:
        """Where the word or the indentation before `pos` begins, less one byte.

        For a longer run than any name or margin, such as a long string's text, its end is enough.
        """
        begin = max(0, self.pos - _KEPT_BYTES)
        kept = len(self.buf[begin : self.pos].rstrip(NAME_BYTES + b"& \t"))
        return max(0, begin + kept - 1)

    def word_before(self, pos: int) -> bytes:
        """The run of name bytes (and `&`) that ends at `pos`."""
        start = max(self.floor, pos - 80)
        tail = self.buf[start:pos]
        kept = len(tail.rstrip(NAME_BYTES + b"&"))
        if kept == 0 and start > self.floor:
            tail = self.buf[self.floor : pos]
            kept = len(tail.rstrip(NAME_BYTES + b"&"))
        return tail[kept:]

    def line_at(self, pos: int) -> int:
        """The line (1-based) of `buf[pos]`; cheap when asked in the order of the text."""
        if pos >= self._line_pos:
            self._line += self.buf.count(b"\n", self._line_pos, pos)
        else:
            self._line -= self.buf.count(b"\n", pos, self._line_pos)
        self._line_pos = pos
        return self._line

    def skip_to(self, pos: int) -> None:
        """Continue at `buf[pos]`, where a new token begins."""
        self.pos = pos
        self.floor = pos

    def rest_of_line(self) -> int:
        """The index of the newline that ends the line of `pos`, or the end of the stream."""
        searched = self.pos
        while (found := self.buf.find(b"\n", searched)) < 0:
            pending = len(self.buf) - self.pos
            if not self.more():
                return len(self.buf)
            searched = self.pos + pending
        return found

    def put_back(self, data: bytes) -> None:
        """Put `data`, the end of an earlier line, in front of what is to be read."""
        line = self.line_at(self.pos) - data.count(b"\n")
        self.base += self.pos - len(data)
        self.buf = data + self.buf[self.pos :]
        self.skip_to(0)
        self._line, self._line_pos = line, 0
