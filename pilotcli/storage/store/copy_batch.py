"""Rows on their way into the store: as `COPY` text, in memory or, when they are many, in a file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from pilotcli.common.closing import Closing
from pilotcli.common.errors import StoreError
from pilotcli.storage.store.column_types import Kind, UnstorableError, encoded, joined

KEY = "pilot_data_id"
"""The key column that every table of the store has; it counts the rows in the order of commit."""

LONGEST_NAME_BYTES = 63
MEMORY_BYTES = 16 << 20
CHUNK_ROWS = 1000
CHUNK_BYTES = 4 << 20

Row = Mapping[str, Any]


class Batch(Closing):
    """All rows of one save, encoded before the database gets the first.

    So a row that cannot be stored, or a generator that raises, leaves no half-written table, and
    the transaction takes only as long as the database needs. At most about 20 MB are in memory.

    New columns are added at the end, so each chunk of rows has a first part of `columns`.
    """

    def __init__(self, table: str, rows: Iterable[Row]) -> None:
        """Encode `rows` for `table`. Raises `StoreError` for rows that cannot be stored."""
        self.table = checked_name("table", table)
        self.columns: dict[str, Kind] = {}
        self.row_count = 0
        self._parts: list[tuple[int, int]] = []
        """Width in columns and size in bytes of each run of rows with the same columns."""
        self._file = tempfile.SpooledTemporaryFile(MEMORY_BYTES)  # noqa: SIM115 - closed by close()
        try:
            self._read(iter(rows))
        except OSError as error:
            self.close()
            raise StoreError(
                f"cannot keep the rows for the table {table!r} in a temporary file: "
                f"{error.strerror or error}",
                hint=f"Make room in {tempfile.gettempdir()}, or point TMPDIR elsewhere.",
            ) from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Forget the rows."""
        self._file.close()

    def parts(self) -> Iterator[tuple[list[str], Part]]:
        """Yield pieces of `COPY` text, each with its columns. May be called again."""
        columns = list(self.columns)
        self._file.seek(0)
        for width, size_bytes in self._parts:
            yield columns[:width], Part(self._file, size_bytes)

    def _read(self, rows: Iterator[Row]) -> None:
        count = 32
        while chunk := list(islice(rows, count)):
            size_bytes = self._add([row for row in map(self._checked, chunk) if row])
            # Rows with whole plans are large, so the limit is in bytes.
            fitting = CHUNK_BYTES * len(chunk) // max(size_bytes, 1)
            count = max(1, min(CHUNK_ROWS, fitting))

    def _checked(self, row: Any) -> Row:
        if type(row) is dict or isinstance(row, Mapping):
            return row
        raise StoreError(
            f"a row for the table {self.table!r} is a {type(row).__name__}, not a dict",
            hint="Rows are dicts of column name to value; of a DataFrame: frame.to_dict('records')",
        )

    def _add(self, rows: list[Row]) -> int:
        """Encode `rows`; returns the size of their text in bytes."""
        if not rows:
            return 0
        columns = self.columns
        known = columns.keys()
        for row in rows:
            if not row.keys() <= known:
                for name in row:
                    columns.setdefault(_column_name(self.table, name), Kind.EMPTY)
        fields = [self._encoded(name, [row.get(name) for row in rows]) for name in columns]
        text = "\n".join(map("\t".join, zip(*fields, strict=True)))
        try:
            data = text.encode()
        except UnicodeEncodeError as error:
            raise StoreError(
                f"the table {self.table!r} cannot hold a text that is no valid Unicode: {error}"
            ) from error
        self._file.write(data)
        self._file.write(b"\n")
        self.row_count += len(rows)
        width, size_bytes = len(columns), len(data) + 1
        if self._parts and self._parts[-1][0] == width:
            self._parts[-1] = (width, self._parts[-1][1] + size_bytes)
        else:
            self._parts.append((width, size_bytes))
        return size_bytes

    def _encoded(self, name: str, values: list[Any]) -> Any:
        try:
            kind, texts = encoded(values)
        except UnstorableError as error:
            raise StoreError(
                f"nothing was saved: the column {name!r} for the table {self.table!r} {error}"
            ) from error
        both = joined(self.columns[name], kind)
        if both is None:
            raise StoreError(
                f"nothing was saved: the column {name!r} for the table {self.table!r} holds "
                f"{self.columns[name].sql} and {kind.sql} values",
                hint="Give the values of one column one type; None where there is no value.",
            )
        self.columns[name] = both
        return texts


class Part:
    """The next bytes of a file, as a file of its own for `COPY` to read."""

    def __init__(self, file: Any, size_bytes: int) -> None:
        self._file = file
        self._left = size_bytes

    def read(self, size: int = -1) -> bytes:
        """The next bytes, at most `size`; empty at the end."""
        data: bytes = self._file.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(data)
        return data


def checked_name(what: str, name: Any) -> str:
    """`name` if PostgreSQL takes it whole as the name of a table or column.

    Raises `StoreError` otherwise: PostgreSQL would cut a long one silently.
    """
    if not isinstance(name, str) or not name or "\0" in name:
        raise StoreError(f"{name!r} cannot be the name of a {what}")
    size_bytes = len(name.encode("utf-8", "replace"))
    if size_bytes > LONGEST_NAME_BYTES:
        raise StoreError(
            f"the name of the {what} {name!r} is too long: {size_bytes} bytes",
            hint=f"PostgreSQL takes at most {LONGEST_NAME_BYTES} bytes.",
        )
    return name


def _column_name(table: str, name: Any) -> str:
    if name == KEY:
        raise StoreError(
            f"a row for the table {table!r} brings a column {KEY!r}, which is the store's own key",
            hint="Leave it out: the store numbers the rows.",
        )
    return checked_name("column", name)
