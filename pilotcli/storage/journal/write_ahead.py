"""The tail of a run: the content of the journal's next transaction, safe from a kill before that.

Each record is copied into the mapped file `<home>/run-<id>.tail` at once, which takes a
microsecond. The journal gets many records later in one transaction. Records are numbered, so that
a recovery finds those that the journal has already.

The content of a record is packed numbers and text for a usual result and its query, else JSON.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pilotcli.common.errors import StorageError
from pilotcli.common.os_advice import advice
from pilotcli.storage.journal.rows import RESULT_FIELDS, USUAL_COLUMNS
from pilotcli.storage.mapped_log import MappedLog, RecordFormat, json_content

_FORMAT = RecordFormat(kind_bytes=1)
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

USUAL, OTHER, QUERY, BEGUN, FIRING, WARMED = b"u", b"o", b"q", b"b", b"f", b"w"


class Record(NamedTuple):
    """One record: its kind, and its values as they were given."""

    kind: bytes
    values: tuple[Any, ...]


def tail_path(home: Path, run_id: int) -> Path:
    """The path of a run's tail."""
    return home / f"run-{run_id}.tail"


class Tail(MappedLog):
    """Writes the tail of one run. Raises `StorageError` when the file cannot be made."""

    def __init__(self, path: Path) -> None:
        try:
            super().__init__(path, _FORMAT)
        except OSError as error:
            raise StorageError(
                f"the journal's tail {path} cannot be made: {error.strerror}",
                hint=advice(error, f"Check the permissions of {path.parent}."),
            ) from error

    def add_usual(self, values: tuple[Any, ...], query: tuple[Any, ...] | None) -> bool:
        """Keep a usual result, by its `USUAL_COLUMNS`, and its `query` when its text is new.

        This and `add` return whether there was room for the record.
        """
        try:
            content = _USUAL.pack(*values)
        except struct.error:
            content = _USUAL.pack(*(_NONE if value is None else value for value in values))
        data = _FORMAT.record(content, USUAL)
        return self.append(data if query is None else _query_record(query) + data)

    def add(
        self, kind: bytes, values: tuple[Any, ...], query: tuple[Any, ...] | None = None
    ) -> bool:
        """Keep any other record, and its `query` when the query's text is new."""
        data = _FORMAT.record(json_content(values), kind)
        return self.append(data if query is None else _query_record(query) + data)


def _query_record(query: tuple[Any, ...]) -> bytes:
    seq, label, file, line, command, sql, sql_chars = query
    text = f"{label}\0{file or ''}\0{command}\0{sql}".encode("utf-8", "surrogateescape")
    content = _QUERY.pack(seq, _NONE if line is None else line, sql_chars) + text
    return _FORMAT.record(content, QUERY)


def _query_of(content: bytes) -> tuple[Any, ...]:
    seq, line, sql_chars = _QUERY.unpack_from(content)
    text = content[_QUERY.size :].decode("utf-8", "surrogateescape")
    label, file, command, sql = text.split("\0", 3)
    return seq, label, file or None, None if line == _NONE else line, command, sql, sql_chars


def read_tail(path: Path) -> Iterator[Record]:
    """Yield the complete records of a tail in the order in which they were written. Raises
    `OSError` when the file cannot be read."""
    for kind, content in _FORMAT.read(path):
        if kind == USUAL:
            values = list(_USUAL.unpack(content))
            for place in _NULLABLE:
                values[place] = None if values[place] == _NONE else values[place]
            yield Record(kind, tuple(values))
        elif kind == QUERY:
            yield Record(kind, _query_of(content))
        else:
            yield Record(kind, tuple(json.loads(content)))
