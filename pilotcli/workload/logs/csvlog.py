"""Entries of a csvlog."""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterator

from pilotcli.common.errors import WorkloadError
from pilotcli.workload.logs.entries import (
    ERRORS,
    IS_NO_STATEMENT,
    STATEMENT_MESSAGES,
    Clock,
    Entry,
    damaged,
    text_lines,
)
from pilotcli.workload.psql.window import Window
from pilotcli.workload.sources import Read

_FIELD = r'(?:"[^"\n]*"|[^",\n]*)'
FIRST_LINE = re.compile(
    rf"\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{{3}} [^,\"\n]*,{_FIELD},{_FIELD},\d*,{_FIELD},"
    r'"?[0-9a-f]+\.[0-9a-f]+"?,'
)
"""The beginning of an entry: time, user, database, process, client and session."""
_COLUMNS = (23, 24, 26)
"""How many there are up to PostgreSQL 12, in 13, and from 14 on: the later ones come last."""


def read_csvlog(read: Read, file: str) -> Iterator[Entry]:
    """Yields the entries with a statement, a duration or an error.

    The last entry may be cut off, as while the server writes it. Raises `WorkloadError` for what is
    no CSV, or no entry.
    """
    csv.field_size_limit(Window.MAX_BYTES)
    lines = text_lines(read, file)
    line = 1
    for text in lines:
        if FIRST_LINE.match(text):
            lines = itertools.chain([text], lines)
            break
        line += 1  # a file that was cut begins inside an entry
    before = line - 1
    rows = csv.reader(lines, strict=True)
    clock = Clock().read
    new = tuple.__new__
    columns = 0
    broken: WorkloadError | None = None
    try:
        for row in rows:
            if broken is not None:
                raise broken
            if len(row) != columns and row:
                newer = not columns and len(row) > _COLUMNS[-1]
                if newer or (len(row) > columns and len(row) in _COLUMNS):
                    columns = len(row)
                else:
                    broken = damaged(f"the entry has {len(row)} columns", file, line)
                    continue
            if row and (
                (row[13].startswith(STATEMENT_MESSAGES) and not IS_NO_STATEMENT(row[13]))
                or row[11] in ERRORS
            ):
                time = clock(row[0])
                if time is None or not row[6].isdecimal():
                    raise damaged("the entry has no time or no number", file, line)
                # fmt: off
                yield new(Entry, (
                    time, row[1], row[2], row[5], row[6], row[22], row[11], row[13], row[14],
                    row[18], row[19], line,
                ))
                # fmt: on
            line = before + rows.line_num + 1
    except csv.Error as problem:
        if next(lines, None) is not None:  # else the end is cut off
            raise damaged(f"the entry is no CSV: {problem}", file, line) from None
