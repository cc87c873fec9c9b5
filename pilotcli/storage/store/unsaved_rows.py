"""Files with rows that the store does not have yet, so that a kill does not lose them.

The appender saves rows every second. Until then each row is also in a mapped file of the run,
`<home>/run-<id>.rows-<n>`. A file whose rows the store has is used again.

A record is JSON: the row's number, its table, the row, and the keys of its values that are JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pilotcli.common.errors import StorageError
from pilotcli.common.os_advice import advice_for_link
from pilotcli.common.records import JsonText
from pilotcli.storage.mapped_log import MappedLog, RecordFormat, json_content

_FORMAT = RecordFormat(kind_bytes=0)
_FILE = re.compile(r"run-([0-9]{1,15})\.rows-[0-9]+")


class WaitingRow(NamedTuple):
    """A row with its number and its table."""

    number: int
    table: str
    row: dict[str, Any]


def runs_with_rows(home: Path) -> list[int]:
    """The numbers of the runs of which there are files with rows, ascending."""
    found = (_FILE.fullmatch(path.name) for path in home.glob("run-*.rows-*"))
    return sorted({int(match[1]) for match in found if match is not None})


class WaitingRows:
    """The files of one run. Not safe for several threads at once: the owner holds a lock."""

    def __init__(self, home: Path, run_id: int) -> None:
        self._home = home
        self._base = home / f"run-{run_id}.rows"
        self._before = sorted(home.glob(f"run-{run_id}.rows-*"), key=_number)
        """Files of an earlier part of the run, in the order in which they were made."""
        self._made = max(map(_number, self._before), default=0)
        self._now: list[MappedLog] = []
        """The files that are written; the last one has room."""
        self._ended: list[tuple[int, MappedLog]] = []
        self._free: list[MappedLog] = []
        self.segment = 1
        """The number of what is written until the next `cut`."""

    def write(self, number: int, table: str, row: Mapping[str, Any]) -> int:
        """Keep a row, and return the number of its segment. Raises `StorageError`."""
        texts = [key for key, value in row.items() if type(value) is JsonText]
        data = _FORMAT.record(json_content((number, table, row, texts)))
        if not self._now and self._ended:
            # Append to the last file: otherwise an absent store would cost a new file each second.
            self._now = [self._ended.pop()[1]]
        if not self._now or not self._now[-1].append(data):
            self._now.append(self._with_room(len(data)))
            self._now[-1].append(data)
        return self.segment

    @property
    def where(self) -> str:
        """The files' names, as a pattern."""
        return f"{self._base}-*"

    def cut(self) -> int:
        """End the segment that is written, and return its number."""
        ended, self.segment = self.segment, self.segment + 1
        self._ended.extend((ended, file) for file in self._now)
        self._now = []
        return ended

    def forget(self, segment: int) -> None:
        """Forget the rows up to this segment, and those of earlier parts of the run, since the
        store has them."""
        for path in self._before:
            path.unlink(missing_ok=True)
        self._before = []
        for number, file in self._ended:
            if number <= segment:
                file.clear()
                self._free.append(file)
        self._ended = [(number, file) for number, file in self._ended if number > segment]

    def close(self) -> None:
        """Close the files, and remove those whose rows the store has; safe to call twice."""
        for file in self._free:
            file.close(remove=True)
        for file in (*self._now, *(file for _, file in self._ended)):
            file.close(remove=False)
        self._free, self._now, self._ended = [], [], []

    def left(self) -> list[WaitingRow]:
        """The rows of earlier parts of the run in the order of their numbers, each once, up to the
        first incomplete record of each file. Raises `StorageError`."""
        rows: dict[int, WaitingRow] = {}
        for path in self._before:
            try:
                for _, content in _FORMAT.read(path):
                    number, table, row, texts = json.loads(content)
                    row.update({key: JsonText(row[key]) for key in texts})
                    rows[number] = WaitingRow(number, table, row)
            except OSError as error:
                raise StorageError(
                    f"{path} cannot be read: {error.strerror}", hint=advice_for_link(error)
                ) from error
        return [rows[number] for number in sorted(rows)]

    def _with_room(self, size_bytes: int) -> MappedLog:
        for place, file in enumerate(self._free):
            if file.fits(size_bytes):
                return self._free.pop(place)
        self._made += 1
        path = self._base.with_name(f"{self._base.name}-{self._made}")
        try:
            return MappedLog(path, _FORMAT, size_bytes)
        except OSError as error:
            raise StorageError(
                f"what was collected about a query cannot be kept in {path}: {error.strerror}",
                hint=advice_for_link(error) or f"Make room on the disk of {self._home}.",
            ) from error


def _number(path: Path) -> int:
    return int(path.name.rpartition("-")[2])
