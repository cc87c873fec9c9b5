"""Rows on their way to the store, kept in files so that a kill does not lose them.

The appender saves rows by the second. Until then each row is also in a file of the run,
`<home>/run-<id>.rows-<n>`, which is mapped into memory, of a size that is taken when it is made:
keeping a row is a copy that waits for nothing. A file whose rows the store has is used again.
What was copied is safe from a kill of the process, not from a power cut.

A record is its length and a checksum, then JSON: the row's number, its table, the row, and which
of its values are JSON themselves.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pilotcli.common.errors import StorageError
from pilotcli.common.records import JsonText

__all__ = ["WaitingRow", "WaitingRows"]

SIZE_BYTES = 1 << 20
_HEAD = struct.Struct("<II")
_END = bytes(_HEAD.size)
_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), default=str).encode


class WaitingRow(NamedTuple):
    """A row, the number by which it is known, and its table."""

    number: int
    table: str
    row: dict[str, Any]


class _File:
    """One mapped file."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        self.path = path
        self.size_bytes = size_bytes
        self.at = 0
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            # The room is taken now: a full disk must not be met by a copy into memory.
            os.posix_fallocate(file, 0, size_bytes)
            self.map = mmap.mmap(file, size_bytes)
        finally:
            os.close(file)

    def add(self, data: bytes) -> bool:
        """Add a record; whether there was room for it."""
        end = self.at + len(data)
        if end + len(_END) > self.size_bytes:
            return False
        self.map[self.at : end + len(_END)] = data + _END
        self.at = end
        return True

    def clear(self) -> None:
        """Forget all records."""
        self.at = 0
        self.map[: len(_END)] = _END


class WaitingRows:
    """The files of one run. Not safe for several threads at once: its owner sees to that."""

    def __init__(self, home: Path, run_id: int) -> None:
        self._home = home
        self._base = home / f"run-{run_id}.rows"
        self._before = sorted(home.glob(f"run-{run_id}.rows-*"), key=_number)
        """Files of an earlier part of the run, in the order in which they were made."""
        self._made = max(map(_number, self._before), default=0)
        self._now: list[_File] = []
        """The files that are written; the last one has room."""
        self._ended: list[tuple[int, _File]] = []
        self._free: list[_File] = []
        self.segment = 1
        """The number of what is written until the next `cut`."""

    def write(self, number: int, table: str, row: Mapping[str, Any]) -> int:
        """Keep a row, and return the number of its segment. Raises `StorageError`."""
        texts = [key for key, value in row.items() if type(value) is JsonText]
        content = _encode((number, table, row, texts)).encode("ascii")
        data = _HEAD.pack(len(content), zlib.crc32(content)) + content
        if not self._now and self._ended:
            # Behind the last rows that wait: a store that stays away costs no file a second.
            self._now = [self._ended.pop()[1]]
        if not self._now or not self._now[-1].add(data):
            self._now.append(self._with_room(len(data)))
            self._now[-1].add(data)
        return self.segment

    @property
    def where(self) -> str:
        """The files' names, as a pattern."""
        return f"{self._base}-*"

    def cut(self) -> int:
        """End the segment that is written, and return its number."""
        ended, self.segment = self.segment, self.segment + 1
        self._ended.extend((ended, one) for one in self._now)
        self._now = []
        return ended

    def forget(self, segment: int) -> None:
        """Forget the rows up to this segment, and of earlier parts of the run: the store has
        them."""
        for path in self._before:
            path.unlink(missing_ok=True)
        self._before = []
        for number, file in self._ended:
            if number <= segment:
                file.clear()
                self._free.append(file)
        self._ended = [one for one in self._ended if one[0] > segment]

    def close(self) -> None:
        """Let go of the files, and remove those whose rows the store has; safe to call twice."""
        for file in self._free:
            file.path.unlink(missing_ok=True)
        kept = [*self._now, *(file for _, file in self._ended)]
        for file in (*self._free, *kept):
            file.map.close()
        self._free, self._now, self._ended = [], [], []

    def left(self) -> list[WaitingRow]:
        """The rows of earlier parts of the run by their number, each once, up to the first record
        of a file that is not whole. Raises `StorageError`."""
        found: dict[int, WaitingRow] = {}
        for path in self._before:
            try:
                data = path.read_bytes()
            except OSError as error:
                raise StorageError(f"{path} cannot be read: {error.strerror}") from error
            for one in _rows_of(data):
                found[one.number] = one
        return [found[number] for number in sorted(found)]

    def _with_room(self, size_bytes: int) -> _File:
        wanted = size_bytes + len(_END)
        for at, file in enumerate(self._free):
            if file.size_bytes >= wanted:
                return self._free.pop(at)
        self._made += 1
        path = self._base.with_name(f"{self._base.name}-{self._made}")
        try:
            return _File(path, max(SIZE_BYTES, wanted))
        except OSError as error:
            raise StorageError(
                f"what was collected about a query cannot be kept in {path}: {error.strerror}",
                hint=f"Make room on the disk of {self._home}.",
            ) from error


def _number(path: Path) -> int:
    return int(path.name.rpartition("-")[2])


def _rows_of(data: bytes) -> Iterator[WaitingRow]:
    at = 0
    while at + _HEAD.size <= len(data):
        size, checksum = _HEAD.unpack_from(data, at)
        content = data[at + _HEAD.size : at + _HEAD.size + size]
        if not size or len(content) != size or zlib.crc32(content) != checksum:
            return
        at += _HEAD.size + size
        number, table, row, texts = json.loads(content)
        yield WaitingRow(number, table, {**row, **{key: JsonText(row[key]) for key in texts}})
