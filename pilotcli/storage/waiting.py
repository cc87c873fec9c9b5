"""Rows on their way to the store, kept in files so that a kill does not lose them.

The appender saves rows by the second. Until then each row is also a line of a file of the run,
`<home>/run-<id>.rows-<n>`; a file is removed when the store has all of its rows. A line holds the
row's number, its table and the row, as JSON. What was written is safe from a kill of the process,
not from a power cut.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pilotcli.errors import StorageError
from pilotcli.records import JsonText

__all__ = ["WaitingRow", "WaitingRows"]

_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), default=str).encode


class WaitingRow(NamedTuple):
    """A row, the number by which it is known, and its table."""

    number: int
    table: str
    row: dict[str, Any]


class WaitingRows:
    """The files of one run. Not safe for several threads at once: its owner sees to that."""

    def __init__(self, home: Path, run_id: int) -> None:
        self._pattern = f"run-{run_id}.rows-*"
        self._home = home
        self._base = home / f"run-{run_id}.rows"
        self._file: int | None = None
        self.segment = max(self._segments(), default=0)
        """The number of the file that is written."""

    def write(self, number: int, table: str, row: Mapping[str, Any]) -> int:
        """Keep a row, and return the number of its file. Raises `StorageError`."""
        texts = [key for key, value in row.items() if isinstance(value, JsonText)]
        data = _encode((number, table, row, texts)).encode("ascii") + b"\n"
        try:
            if self._file is None:
                self.segment += 1
                flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
                self._file = os.open(self._path(self.segment), flags, 0o600)
            while data:
                data = data[os.write(self._file, data) :]
        except OSError as error:
            raise StorageError(
                f"what was collected about a query cannot be kept in "
                f"{self._path(self.segment)}: {error.strerror}",
                hint=f"Make room on the disk of {self._home}.",
            ) from error
        return self.segment

    def cut(self) -> int:
        """End the file that is written, and return its number."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        return self.segment

    def forget(self, segment: int) -> None:
        """Remove the files up to the one numbered `segment`: the store has their rows."""
        for number in self._segments():
            if number <= segment:
                self._path(number).unlink(missing_ok=True)

    def left(self) -> list[WaitingRow]:
        """The rows in all files by their number, each once, up to the first line of a file that is
        not whole. Raises `StorageError`."""
        found: dict[int, WaitingRow] = {}
        for number in sorted(self._segments()):
            try:
                data = self._path(number).read_bytes()
            except OSError as error:
                raise StorageError(
                    f"{self._path(number)} cannot be read: {error.strerror}"
                ) from error
            for one in _rows_of(data):
                found[one.number] = one
        return [found[number] for number in sorted(found)]

    def _segments(self) -> Iterator[int]:
        for path in self._home.glob(self._pattern):
            number = path.name.rpartition("-")[2]
            if number.isdecimal():
                yield int(number)

    def _path(self, segment: int) -> Path:
        return self._base.with_name(f"{self._base.name}-{segment}")


def _rows_of(data: bytes) -> Iterator[WaitingRow]:
    for line in data.splitlines(keepends=True):
        if not line.endswith(b"\n"):
            return
        try:
            number, table, row, texts = json.loads(line)
        except ValueError:
            return
        yield WaitingRow(number, table, {**row, **{key: JsonText(row[key]) for key in texts}})
