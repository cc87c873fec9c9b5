"""Queries in the rows of a table: CSV with any usual delimiter, JSON lines, and arrays of JSON."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from pilotcli.common.errors import WorkloadError
from pilotcli.common.quantities import plural
from pilotcli.common.records import NO_FACTS, QueryFacts
from pilotcli.workload.expected_texts import expected_text
from pilotcli.workload.plain_sql import is_text, single_statement
from pilotcli.workload.psql.script import Found
from pilotcli.workload.psql.window import Window
from pilotcli.workload.refusals import Refusals
from pilotcli.workload.sources import Read, Source

QUERIES = ("sql", "query")
"""Columns and keys that hold the query; the first one that is there counts."""
_LABELS = ("label", "name")
_FACTS = ("expect", "session", "at_s", "weight")
_NUMBERS = {
    "at_s": ("of seconds ", "how long after the beginning the query was sent"),
    "weight": ("", "how often the query was called"),
}
_DELIMITERS = ",\t;|"
_HEADER = re.compile(r"[\w \"]+(?:[,;|\t][\w \"]*)*\r?\Z")
_JSON = re.compile(r"\{\s*[\"}]|\[\s*[\[{\"\]]")
_HEAD_BYTES = 4096
END_MARK = "\x1a"
"""Ctrl-Z: programs of DOS and Windows end a file with it."""


def table_kind(name: str, head: bytes) -> Literal["csv", "json"] | None:
    """Returns what a file is by its suffix, or by how it begins; None for no table."""
    suffix = name.lower().rpartition(".")[2]
    if suffix in ("json", "jsonl", "ndjson"):
        return "json"
    text = head[:_HEAD_BYTES].decode("utf-8-sig", "replace").lstrip()
    if _JSON.match(text):
        return "json"
    if suffix in ("csv", "tsv"):
        return "csv"
    # No statement begins with the word sql or query, or with a comma between two words.
    header = text.partition("\n")[0]
    named = any(_has_query(header, delimiter) for delimiter in _DELIMITERS)
    return "csv" if named and _HEADER.match(header) else None


def _has_query(header: str, delimiter: str) -> bool:
    names = {name.strip(' "\r\n').lower() for name in header.split(delimiter)}
    return not names.isdisjoint(QUERIES)


def _delimiter(header: str) -> str:
    """The delimiter with which `header` has a column of queries; else the most frequent one."""
    found = (delimiter for delimiter in _DELIMITERS if _has_query(header, delimiter))
    return next(found, max(_DELIMITERS, key=header.count))


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


def open_stream(read: Read, name: str) -> io.BufferedReader:
    return io.BufferedReader(_Stream(read, name), 1 << 18)


def read_csv(source: Source) -> Iterator[Found]:
    """Reads one query per row; the header names a column `sql` or `query` and, if wanted, `label`
    or `name`. The header shows the delimiter: a comma, a tab, a semicolon or `|`.

    Raises `WorkloadError` for a missing column, rows without it, and text that is not CSV.
    """
    refusals = Refusals()
    with source.open() as read, refusals.ending():
        yield from _read_rows(read, source.name, refusals)


def _read_rows(read: Read, name: str, refusals: Refusals) -> Iterator[Found]:
    csv.field_size_limit(Window.MAX_BYTES)
    line = 1
    file = io.TextIOWrapper(open_stream(read, name), encoding="utf-8-sig", newline="")
    try:
        header = next(file, "")
        delimiter = _delimiter(header)
        columns = next(csv.reader([header], delimiter=delimiter, strict=True), [])
        columns = [column.strip().lower() for column in columns]
        at, label_at = _columns(name, columns)
        facts_at = {fact: columns.index(fact) for fact in _FACTS if fact in columns}
        rows = csv.reader(file, delimiter=delimiter, strict=True)
        line = 2
        for row in rows:
            if row and row != [END_MARK]:
                try:
                    if len(row) != len(columns):
                        raise _wrong_row(name, line, len(row), columns, delimiter)
                    given = {fact: row[n] for fact, n in facts_at.items() if row[n]}
                    facts = facts_of(name, line, given) if given else NO_FACTS
                    label = row[label_at] if label_at is not None else ""
                    found = row_query(name, line, row[at], label, facts)
                    if found is not None and not refusals:
                        yield found
                except WorkloadError as problem:
                    refusals.add(problem)
            line = rows.line_num + 2
    except (csv.Error, UnicodeDecodeError) as problem:
        raise WorkloadError(
            f"this is no CSV in UTF-8: {problem}",
            file=name,
            line=line,
            hint="Quote fields with double quotes, and double the quotes inside of them.",
        ) from None


def _columns(file: str, columns: Sequence[str]) -> tuple[int, int | None]:
    at = next((columns.index(name) for name in QUERIES if name in columns), None)
    if at is None:
        found = ", ".join(columns) or "none"
        raise WorkloadError(
            f"there is no column sql or query; the columns are: {found}",
            file=file,
            line=1,
            hint="The first line names the columns; call the one with the queries sql.",
        )
    return at, next((columns.index(name) for name in _LABELS if name in columns), None)


def _wrong_row(
    file: str, line: int, count: int, columns: Sequence[str], delimiter: str
) -> WorkloadError:
    shown = {"\t": "a tab", ",": "a comma", ";": "a semicolon"}.get(delimiter, delimiter)
    return WorkloadError(
        f"the row has {plural(count, 'field')}, and the header has {len(columns):,}",
        file=file,
        line=line,
        hint=f"A query with {shown} in it needs double quotes around it; an empty field is nothing "
        "between two delimiters.",
    )


def object_query(file: str, line: int, row: object, hint: str) -> Found | None:
    """The query in an object of JSON, or the text that is one itself."""
    if isinstance(row, str):
        return row_query(file, line, row, "", NO_FACTS)
    sql = None
    if isinstance(row, dict):
        sql = next((row[name] for name in QUERIES if row.get(name) is not None), None)
    if not isinstance(row, dict) or not isinstance(sql, str):
        found = ", ".join(row) if isinstance(row, dict) else type(row).__name__
        raise WorkloadError(
            f"there is no object with a text under the key sql; found: {found or 'nothing'}",
            file=file,
            line=line,
            hint=hint,
        )
    label = next((row[name] for name in _LABELS if row.get(name) is not None), "")
    given = {name: str(row[name]) for name in _FACTS if row.get(name) is not None}
    facts = facts_of(file, line, given) if given else NO_FACTS
    return row_query(file, line, sql, str(label), facts)


def facts_of(file: str, line: int, given: Mapping[str, str]) -> QueryFacts:
    """Returns the facts in the fields of a row."""
    expect = given.get("expect")
    if expect is not None:
        expected_text(expect, file, line)
    numbers = [_number_of(file, line, given, name) for name in _NUMBERS]
    return QueryFacts(expect, given.get("session"), *numbers)


def _number_of(file: str, line: int, given: Mapping[str, str], name: str) -> float | None:
    if name not in given:
        return None
    try:
        number = float(given[name])
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        unit, meaning = _NUMBERS[name]
        raise WorkloadError(
            f"{name} is a number {unit}from 0 on, not {given[name]!r}",
            file=file,
            line=line,
            hint=f"It says {meaning}.",
        )
    return number


def row_query(file: str, line: int, sql: str, label: str, facts: QueryFacts) -> Found | None:
    """The query in a field, as a statement; None for an empty field."""
    found = single_statement(sql, file, line)
    if not is_text(label):
        raise WorkloadError(
            "the label holds a character that no text of the database can hold",
            file=file,
            line=line,
            hint="Remove zero bytes and half surrogate pairs.",
        )
    if found is None:
        return None
    return file, [found._replace(name=label.strip() or None, facts=facts)], None
