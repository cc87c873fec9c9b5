"""Queries in the rows of a table: `.csv` and `.jsonl`."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence

from pilotcli.common.errors import WorkloadError
from pilotcli.common.quantities import plural
from pilotcli.common.records import NO_FACTS, QueryFacts
from pilotcli.workload.psql.script import Found
from pilotcli.workload.psql.window import Window
from pilotcli.workload.reader import is_text, single_statement
from pilotcli.workload.sources import Read, Source

_LABELS = ("label", "name")
_FACTS = ("expect", "session", "at_s")


class _Stream(io.RawIOBase):
    """A source as a file, for the readers of the standard library.

    They keep a whole line in memory. A line longer than any statement can be raises a
    `WorkloadError` here.
    """

    def __init__(self, read: Read, name: str) -> None:
        self._read = read
        self._name = name
        self._rest = b""
        self._line = 1
        self._line_bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self._rest or self._read(len(buffer))
        size = min(len(data), len(buffer))
        buffer[:size] = data[:size]
        self._rest = data[size:]
        self._measure(data[:size])
        return size

    def _measure(self, data: bytes) -> None:
        self._line += data.count(b"\n")
        end = data.rfind(b"\n")
        self._line_bytes = self._line_bytes + len(data) if end < 0 else len(data) - end - 1
        if self._line_bytes > Window.MAX_BYTES:
            raise WorkloadError(
                f"the line is longer than {Window.MAX_BYTES:,} bytes",
                file=self._name,
                line=self._line,
                hint="No PostgreSQL takes a statement so long; is this a table of queries?",
            )


def _stream(read: Read, name: str) -> io.BufferedReader:
    return io.BufferedReader(_Stream(read, name), 1 << 18)


def read_csv(source: Source) -> Iterator[Found]:
    """Reads one query per row; the header names a column `sql` and, if wanted, `label` or `name`.

    Raises `WorkloadError` for a missing column, a row without it, and text that is not CSV.
    """
    csv.field_size_limit(Window.MAX_BYTES)
    line = 1
    with source.open() as read:
        file = io.TextIOWrapper(_stream(read, source.name), encoding="utf-8-sig", newline="")
        rows = csv.reader(file, strict=True)
        try:
            columns = [name.strip().lower() for name in next(rows, [])]
            at, label_at = _columns(source.name, columns)
            facts_at = {name: columns.index(name) for name in _FACTS if name in columns}
            line = rows.line_num + 1
            for row in rows:
                if row:
                    given = {name: row[n] for name, n in facts_at.items() if row[n : n + 1] > [""]}
                    facts = _facts(source.name, line, given) if given else NO_FACTS
                    yield from _csv_query(source.name, row, line, at, label_at, facts)
                line = rows.line_num + 1
        except (csv.Error, UnicodeDecodeError) as problem:
            raise WorkloadError(
                f"this is no CSV in UTF-8: {problem}",
                file=source.name,
                line=line,
                hint="Quote fields with double quotes, and double the quotes inside of them.",
            ) from None


def _columns(file: str, columns: Sequence[str]) -> tuple[int, int | None]:
    if "sql" not in columns:
        found = ", ".join(columns) or "none"
        raise WorkloadError(
            f"there is no column sql; the columns are: {found}",
            file=file,
            line=1,
            hint="The first line names the columns; call the one with the queries sql.",
        )
    label_at = next((columns.index(name) for name in _LABELS if name in columns), None)
    return columns.index("sql"), label_at


def _csv_query(
    file: str, row: Sequence[str], line: int, at: int, label_at: int | None, facts: QueryFacts
) -> Iterator[Found]:
    if len(row) <= at:
        raise WorkloadError(
            f"the row ends after {plural(len(row), 'column')}, before sql",
            file=file,
            line=line,
            hint="A query with a comma in it needs double quotes around it.",
        )
    label = row[label_at] if label_at is not None and label_at < len(row) else ""
    yield from _query(file, line, row[at], label, facts)


def read_jsonl(source: Source) -> Iterator[Found]:
    """Reads one query per line: an object with the key `sql` and, if wanted, `label` or `name`.

    Raises `WorkloadError` for a line that is something else.
    """
    with source.open() as read:
        for number, text in enumerate(_stream(read, source.name), 1):
            if text.strip(b" \t\r\n\xef\xbb\xbf"):
                yield from _json_query(source.name, number, text)


def _json_query(file: str, line: int, text: bytes) -> Iterator[Found]:
    hint = 'Each line is an object of its own: {"sql": "SELECT 1", "label": "q1"}'
    try:
        row = json.loads(text.decode("utf-8-sig"))
    except (ValueError, RecursionError) as problem:
        message = f"the line is no JSON: {problem}"
        raise WorkloadError(message, file=file, line=line, hint=hint) from None
    if not isinstance(row, dict) or not isinstance(row.get("sql"), str):
        found = ", ".join(row) if isinstance(row, dict) else type(row).__name__
        message = (
            f"the line is no object with a text under the key sql; found: {found or 'nothing'}"
        )
        raise WorkloadError(message, file=file, line=line, hint=hint)
    label = next((row[name] for name in _LABELS if row.get(name) is not None), "")
    given = {name: str(row[name]) for name in _FACTS if row.get(name) is not None}
    facts = _facts(file, line, given) if given else NO_FACTS
    yield from _query(file, line, row["sql"], str(label), facts)


def _facts(file: str, line: int, given: Mapping[str, str]) -> QueryFacts:
    """Returns the facts in the fields of a row."""
    at_s = None
    if "at_s" in given:
        try:
            at_s = float(given["at_s"])
        except ValueError:
            at_s = math.nan
        if not 0 <= at_s < math.inf:
            raise WorkloadError(
                f"at_s is a number of seconds from 0 on, not {given['at_s']!r}",
                file=file,
                line=line,
                hint="It says how long after the beginning the query was sent.",
            )
    return QueryFacts(given.get("expect"), given.get("session"), at_s)


def _query(file: str, line: int, sql: str, label: str, facts: QueryFacts) -> Iterator[Found]:
    found = single_statement(sql, file, line)
    if not is_text(label):
        raise WorkloadError(
            "the label holds a character that no text of the database can hold",
            file=file,
            line=line,
            hint="Remove zero bytes and half surrogate pairs.",
        )
    if found is not None:
        yield file, [found._replace(name=label.strip() or None, facts=facts)], None
