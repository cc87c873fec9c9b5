"""Statements in a text that is plain SQL: no meta-commands, no variables."""

from __future__ import annotations

import re

from pilotcli.common.errors import WorkloadError
from pilotcli.workload.psql import lex
from pilotcli.workload.psql.splitter import LONGEST_AT_ONCE, Splitter, Statement
from pilotcli.workload.psql.strings import StringsMode
from pilotcli.workload.psql.window import Window

_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_PLAIN = r"[^;'\"$\\/\-]*"
_WHOLE = re.compile(
    rf"{_PLAIN}(?:(?:"
    r"(?<![eE])'[^']*'|(?<=[eE])'[^'\\]*'(?!')|(?<=[^\w$\"][eE])'[^'\\]*(?:(?:\\.|'')[^'\\]*)*'(?!')"
    r"|\"[^\"]*\"|\$(?=[0-9])|(?<![\w$])\$\$[^$]*\$\$"
    r"|-(?!-)|--[^\n]*(?:\n|\Z)|/(?!\*)|/\*[^*/]*(?:(?:\*(?!/)|/(?!\*))[^*/]*)*\*/"
    rf"){_PLAIN})*",
    re.DOTALL,
)
"""A statement whose quotes, dollar quotes and comments are the usual ones."""


def is_text(value: str) -> bool:
    """Returns whether the database can hold `value`: no zero byte, no half of a surrogate pair."""
    return _NO_TEXT.search(value) is None


def statements_in(sql: str, file: str, line: int) -> list[Statement]:
    """The statements in `sql`, which begins on `line` of `file`. Raises `WorkloadError` for an open
    quote, and for COPY with data."""
    statements: list[Statement] = []
    data = sql.encode()
    if _is_ordinary(data):
        data += b";"  # so it is read at once, and not token by token
    for found in Splitter(Window.over(data, file, line), StringsMode()):
        assert isinstance(found, list)  # without variables there are no commands
        statements += found
    return statements


def _is_ordinary(data: bytes) -> bool:
    """Whether `data` is one statement without its semicolon, in which nothing is special."""
    if len(data) >= LONGEST_AT_ONCE or data[-1:] in b" \t\n\r\f\v\x1a":
        return False
    found = lex.STATEMENT.match(data + b";")
    return found is not None and found.end() == len(data)


def is_whole(sql: str) -> bool:
    """Returns whether `sql` is for certain no more than one statement, without its semicolon, and
    with no quote open. What is not certain is false."""
    return len(sql) < LONGEST_AT_ONCE and _WHOLE.fullmatch(sql) is not None


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
