"""The tail of a run: what the journal's next transaction will hold, already safe from a kill.

`<home>/run-<id>.tail` is a file of fixed size that is mapped into memory. Each record is copied
into it as soon as it is there, which takes a microsecond; the journal gets them later, many in one
transaction. The kernel keeps what was copied when the process is killed (a power cut may take the
last moments of it). Records are numbered, so that one which has reached the journal as well is told
apart.

A record is its length, its kind and a checksum, then its content: packed numbers and text for the
usual result and its query, JSON for all else.
"""

from __future__ import annotations

import errno
import json
import mmap
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pilotcli.common.errors import StorageError
from pilotcli.storage.journal.rows import RESULT_FIELDS, USUAL_COLUMNS

__all__ = ["Record", "Tail", "read_tail", "tail_path"]

_HEAD = struct.Struct("<IcI")
_USUAL = struct.Struct(
    "<q" + "".join(code for _, code in sorted(f.packed for f in RESULT_FIELDS.values() if f.packed))
)
_NULLABLE = [
    place
    for place, name in enumerate(USUAL_COLUMNS)
    if place and "NOT NULL" not in RESULT_FIELDS[name].type
]
"""Places of packed values that may be None, which is packed as -1."""
_QUERY = struct.Struct("<qqq")
_NONE = -1
_END = bytes(_HEAD.size)
SIZE_BYTES = 1 << 20
_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), default=str).encode

USUAL, OTHER, QUERY, BEGUN, FIRING, WARMED = b"u", b"o", b"q", b"b", b"f", b"w"


class Record(NamedTuple):
    """One record: its kind, and its values as they were given."""

    kind: bytes
    values: tuple[Any, ...]


def tail_path(home: Path, run_id: int) -> Path:
    """Where the tail of a run is."""
    return home / f"run-{run_id}.tail"


class Tail:
    """Writes the tail of one run. Not safe for several threads at once: its owner sees to that.

    Raises `StorageError` when the file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._at = 0
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                # The room is taken now: a full disk must not be met by a copy into memory.
                os.posix_fallocate(file, 0, SIZE_BYTES)
                self._map = mmap.mmap(file, SIZE_BYTES)
            finally:
                os.close(file)
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            what = "Make room on the disk" if full else "Check the permissions"
            raise StorageError(
                f"the journal's tail {path} cannot be made: {error.strerror}",
                hint=f"{what} of {path.parent}.",
            ) from error

    def usual(self, values: tuple[Any, ...], query: tuple[Any, ...] | None) -> bool:
        """Keep a usual result, by its `USUAL_COLUMNS`; and its `query` when its text is new.

        As all that writes, returns whether there was room for it.
        """
        try:
            content = _USUAL.pack(*values)
        except struct.error:
            content = _USUAL.pack(*(_NONE if value is None else value for value in values))
        data = _HEAD.pack(len(content), USUAL, zlib.crc32(content)) + content
        return self._write(data if query is None else _query(*query) + data)

    def add(
        self, kind: bytes, values: tuple[Any, ...], query: tuple[Any, ...] | None = None
    ) -> bool:
        """Any other record."""
        data = _framed(kind, values)
        return self._write(data if query is None else _query(*query) + data)

    def clear(self) -> None:
        """Forget all records: the journal has them."""
        self._at = 0
        self._map[: len(_END)] = _END

    def close(self, *, remove: bool) -> None:
        """Close the file, and `remove` it when the journal has everything; safe to call twice."""
        if self._map.closed:
            return
        if remove:
            self.path.unlink(missing_ok=True)
        self._map.close()

    def _write(self, data: bytes) -> bool:
        at, size = self._at, len(data)
        if at + size + len(_END) > SIZE_BYTES:
            return False
        self._map[at : at + size + len(_END)] = data + _END
        self._at = at + size
        return True


def _framed(kind: bytes, values: tuple[Any, ...]) -> bytes:
    content = _encode(values).encode("ascii")
    return _HEAD.pack(len(content), kind, zlib.crc32(content)) + content


def _query(
    seq: int,
    label: str,
    file: str | None,
    line: int | None,
    command: str,
    sql: str,
    sql_chars: int,
) -> bytes:
    text = f"{label}\0{file or ''}\0{command}\0{sql}".encode("utf-8", "surrogateescape")
    content = _QUERY.pack(seq, _NONE if line is None else line, sql_chars) + text
    return _HEAD.pack(len(content), QUERY, zlib.crc32(content)) + content


def _query_of(content: bytes) -> tuple[Any, ...]:
    seq, line, sql_chars = _QUERY.unpack_from(content)
    text = content[_QUERY.size :].decode("utf-8", "surrogateescape")
    label, file, command, sql = text.split("\0", 3)
    return seq, label, file or None, None if line == _NONE else line, command, sql, sql_chars


def read_tail(path: Path) -> Iterator[Record]:
    """The records of a tail in the order in which they were written, up to the first that is not
    whole. Raises `OSError` when the file cannot be read."""
    with path.open("rb") as file:
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            size, kind, checksum = _HEAD.unpack(head)
            content = file.read(size)
            if head == _END or len(content) != size or zlib.crc32(content) != checksum:
                return
            if kind == USUAL:
                values = list(_USUAL.unpack(content))
                for place in _NULLABLE:
                    values[place] = None if values[place] == _NONE else values[place]
                yield Record(kind, tuple(values))
            elif kind == QUERY:
                yield Record(kind, _query_of(content))
            else:
                yield Record(kind, tuple(json.loads(content)))
