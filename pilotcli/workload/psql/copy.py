"""Finds the inline data of `COPY ... FROM STDIN` in the stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from pilotcli.workload.psql import lex
from pilotcli.workload.psql.window import Window

_END = b"\n\\."
_HEAD_CHARS = 1 << 20
"""How much of a statement is searched for FROM STDIN."""


class CopySlice(NamedTuple):
    """A slice of the stream: its place and its size in bytes."""

    offset: int
    size_bytes: int


def is_copy_from_stdin(sql: str) -> bool:
    """Whether the statement reads data that the client sends."""
    return lex.COPY_FROM_STDIN.match(sql[:_HEAD_CHARS].encode()) is not None


def read_copy_data(window: Window, tee: Callable[[bytes], object] | None) -> CopySlice:
    r"""Skip the data that begins on the next line and ends with `\.` on a line of its own.

    Without that line the data ends with the file, as in psql. The rest of the current line is put
    back: psql reads it after the data. `tee` receives the data piece by piece.
    """
    line_end = window.rest_of_line()
    rest = window.buf[window.pos : line_end + 1]
    window.skip_to(min(line_end + 1, len(window.buf)))

    def pass_to(end: int) -> int:
        piece = window.buf[window.pos : end]
        if tee is not None and piece:
            tee(piece)
        window.skip_to(end)
        return len(piece)

    offset, size, after = window.base + window.pos, 0, None
    while after is None:
        end, after = _find_end(window, at_line_begin=size == 0)
        size += pass_to(end)
        if after is not None:
            window.skip_to(after)
        elif not window.more():
            size += pass_to(len(window.buf))  # what is left was not the last line
            break
    if rest.strip():
        window.put_back(rest)
    return CopySlice(offset, size)


def _find_end(window: Window, at_line_begin: bool) -> tuple[int, int | None]:
    """The end of the bytes that are data for certain, and where the script continues, if known."""
    buf, searched = window.buf, window.pos
    if at_line_begin:
        if buf.startswith((b"\\.\n", b"\\.\r\n"), searched):
            return searched, buf.index(b"\n", searched) + 1
        if b"\\.\r\n".startswith(buf[searched : searched + 4]):
            return searched, None
    while (found := buf.find(_END, searched)) >= 0:
        if buf.startswith((b"\\.\n", b"\\.\r\n"), found + 1):
            return found + 1, buf.index(b"\n", found + 1) + 1
        if len(buf) - found < 5:
            return found, None
        searched = found + 3
    tail = next((size for size in (2, 1) if buf.endswith(_END[:size])), 0)
    return max(window.pos, len(buf) - tail), None
