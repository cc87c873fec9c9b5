"""Entries of a csvlog."""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterator

from pilotcli.common.errors import WorkloadError
from pilotcli.workload.logs.entries import ERRORS, STATEMENT_MESSAGES, Clock, Entry, text_lines
from pilotcli.workload.psql.window import Window
from pilotcli.workload.sources import Read

_FIELD = r'(?:"[^"\n]*"|[^",\n]*)'
FIRST_LINE = re.compile(
    rf"\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{{3}} [^,\"\n]*,{_FIELD},{_FIELD},\d*,{_FIELD},"
    r'"?[0-9a-f]+\.[0-9a-f]+"?,'
)
"""The beginning of an entry: time, user, database, process, client and session."""
_COLUMNS = 23
"""Up to `application_name`; PostgreSQL 13 and 14 have added more behind it."""


def read_csvlog(read: Read, file: str) -> Iterator[Entry]:
    """Yields the entries with a statement, a duration or an error.

    The last entry may be cut off, as while the server writes it. Raises `WorkloadError` for what is
    no CSV.
    """
    csv.field_size_limit(Window.MAX_BYTES)
    lines = text_lines(read)
    line = 1
    for text in lines:
        if FIRST_LINE.match(text):
            lines = itertools.chain([text], lines)
            break
        line += 1  # a file that was cut begins inside an entry
    before = line - 1
    rows = csv.reader(lines)
    clock = Clock().read
    new = tuple.__new__
    try:
        for row in rows:
            if len(row) >= _COLUMNS:
                message = row[13]
                if message.startswith(STATEMENT_MESSAGES) or row[11] in ERRORS:
                    time = clock(row[0])
                    if time is not None:
                        # fmt: off
                        yield new(Entry, (
                            time, row[1], row[2], row[5], row[6], row[22], row[11], message,
                            row[14], row[18], row[19], line,
                        ))
                        # fmt: on
            line = before + rows.line_num + 1
    except csv.Error as problem:
        raise WorkloadError(
            f"the entry is no CSV: {problem}",
            file=file,
            line=line,
            hint="Was the file changed after the server wrote it? Remove this entry.",
        ) from None
