"""Entries of a jsonlog (PostgreSQL 15 and newer)."""

from __future__ import annotations

import io
import itertools
import json
import re
from collections.abc import Iterator

from pilotcli.common.errors import WorkloadError
from pilotcli.workload.logs.entries import ERRORS, STATEMENT_MESSAGES, Clock, Entry, whole_lines
from pilotcli.workload.sources import Read

FIRST_LINE = re.compile(r'\{"timestamp": ?"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} [^"]*",')
_WANTED = re.compile(
    rb'"message": ?"(?:duration: |statement: |execute )|"error_severity": ?"(?:%b)"'
    % "|".join(sorted(ERRORS)).encode()
)


def read_jsonlog(read: Read, file: str) -> Iterator[Entry]:
    """Yields the entries with a statement, a duration or an error.

    The first and the last entry may be cut off. Raises `WorkloadError` for another line that is no
    JSON.
    """
    clock = Clock().read
    new = tuple.__new__
    broken: WorkloadError | None = None
    for number, line in enumerate(
        itertools.chain.from_iterable(map(io.BytesIO, whole_lines(read))), 1
    ):
        if _WANTED.search(line) is None:
            continue
        if broken is not None:
            raise broken
        try:
            row = json.loads(line.decode("utf-8", "surrogateescape"))
        except ValueError as problem:
            if number > 1:
                broken = WorkloadError(
                    f"the entry is no JSON: {problem}",
                    file=file,
                    line=number,
                    hint="Was the file changed after the server wrote it? Remove this entry.",
                )
            continue
        message, severity = row.get("message", ""), row.get("error_severity", "")
        time = clock(row.get("timestamp", ""))
        if time is None or not (message.startswith(STATEMENT_MESSAGES) or severity in ERRORS):
            continue
        get = row.get
        # fmt: off
        yield new(Entry, (
            time, get("user", ""), get("dbname", ""), get("session_id", ""),
            str(get("line_num", "")), get("application_name", ""), severity, message,
            get("detail", ""), get("context", ""), get("statement", ""), number,
        ))
        # fmt: on
