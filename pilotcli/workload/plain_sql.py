"""Statements in a text that is plain SQL: no meta-commands, no variables."""

from __future__ import annotations

import re

from pilotcli.common.errors import WorkloadError
from pilotcli.workload.psql.splitter import Splitter, Statement
from pilotcli.workload.psql.strings import StringsMode
from pilotcli.workload.psql.window import Window

_NO_TEXT = re.compile("[\0\ud800-\udfff]")


def is_text(value: str) -> bool:
    """Returns whether the database can hold `value`: no zero byte, no half of a surrogate pair."""
    return _NO_TEXT.search(value) is None


def statements_in(sql: str, file: str, line: int) -> list[Statement]:
    """The statements in `sql`, which begins on `line` of `file`. Raises `WorkloadError` for an open
    quote, and for COPY with data."""
    statements: list[Statement] = []
    for found in Splitter(Window.over(sql.encode(), file, line), StringsMode()):
        assert isinstance(found, list)  # without variables there are no commands
        statements += found
    return statements


def single_statement(sql: str, file: str, line: int) -> Statement | None:
    """The one statement in `sql`, a field of a table; None when there is none. Raises
    `WorkloadError` for more."""
    if not is_text(sql):
        raise WorkloadError(
            "the query holds a character that no SQL text can hold",
            file=file,
            line=line,
            hint="Remove zero bytes and half surrogate pairs.",
        )
    statements = statements_in(sql, file, line)
    if len(statements) > 1:
        raise WorkloadError(
            f"the query is {len(statements)} statements",
            file=file,
            line=line,
            hint="Put one statement into a row, or all of them into a .sql file.",
        )
    return statements[0] if statements else None
