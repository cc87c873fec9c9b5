"""Entries of a jsonlog (PostgreSQL 15 and newer)."""

from __future__ import annotations

import io
import itertools
import json
import re
from collections.abc import Iterator

from pilotcli.common.errors import WorkloadError
from pilotcli.workload.logs.entries import (
    ERRORS,
    STATEMENT_MESSAGES,
    Clock,
    Entry,
    damaged,
    whole_lines,
)
from pilotcli.workload.sources import Read

_TEXT = {str}
FIRST_LINE = re.compile(r'\{"timestamp": ?"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} [^"]*",')
_WANTED = re.compile(
    rb'"message": ?"(?:duration: (?![0-9.]+ ms  (?:parse|bind) )|statement: |execute )'
    rb'|"error_severity": ?"(?:%b)"' % "|".join(sorted(ERRORS)).encode()
)


def read_jsonlog(read: Read, file: str) -> Iterator[Entry]:
    """Yields the entries with a statement, a duration or an error.

    The first and the last entry may be cut off. Raises `WorkloadError` for another line that is no
    JSON, or no entry.
    """
    clock = Clock().read
    new = tuple.__new__
    broken: WorkloadError | None = None
    for number, line in enumerate(
        itertools.chain.from_iterable(map(io.BytesIO, whole_lines(read, file))), 1
    ):
        if broken is not None:
            raise broken
        if _WANTED.search(line) is None:
            continue
        try:
            row = json.loads(line.decode("utf-8", "surrogateescape"))
        except (ValueError, RecursionError) as problem:
            if number > 1:
                broken = damaged(f"the entry is no JSON: {problem}", file, number)
            continue
        get = row.get if type(row) is dict else {}.get
        # fmt: off
        texts = [
            get("timestamp", ""), get("user", ""), get("dbname", ""), get("session_id", ""),
            get("application_name", ""), get("error_severity", ""), get("message", ""),
            get("detail", ""), get("context", ""), get("statement", ""),
        ]
        # fmt: on
        place = get("line_num")
        if type(place) is not int or {*map(type, texts)} != _TEXT:
            raise damaged("the line is no entry of a log", file, number)
        written, user, database, session, application, severity, message, *more = texts
        if not (message.startswith(STATEMENT_MESSAGES) or severity in ERRORS):
            continue
        time = clock(written)
        if time is None:
            raise damaged("the entry has no time", file, number)
        # fmt: off
        yield new(Entry, (
            time, user, database, session, str(place), application, severity, message, *more,
            number,
        ))
        # fmt: on
