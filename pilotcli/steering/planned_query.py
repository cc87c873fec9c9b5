"""Finds the query in a statement that plans one: EXPLAIN, DECLARE, COPY, CREATE TABLE AS.

The server plans that query as if it were sent alone, so its sub-plans are those of the query.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from pilotcli.common.records import Query
from pilotcli.common.sql_commands import command_of
from pilotcli.workload import is_one_statement

_TOKEN = re.compile(
    r"""--[^\n]* | /\*.*?\*/
    | e'(?:[^'\\]|''|\\.)*' | '(?:[^']|'')*' | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$
    | (?P<token>"(?:[^"]|"")*" | [^\W\d][\w$]* | [().])
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_QUERIES = frozenset({"SELECT", "WITH", "VALUES", "TABLE", "("})
_KINDS_OF_TABLE = frozenset({"GLOBAL", "LOCAL", "TEMP", "TEMPORARY", "UNLOGGED"})
_WITH_DATA = re.compile(r"\bWITH\s+(NO\s+)?DATA[\s;]*\Z", re.IGNORECASE)


class _Token(NamedTuple):
    """A word (in capitals), a name in quotes or a mark; its place, and how deep it is nested."""

    text: str
    start: int
    end: int
    depth: int


_NONE = _Token("", 0, 0, 0)


def planned_query(sql: str) -> str | None:
    """Returns the query that `sql` contains and plans; None for another statement."""
    tokens = _tokens(sql)
    first = next(tokens, _NONE)
    if first.text == "EXPLAIN":
        return _explained(sql, tokens)
    if first.text == "CREATE":
        kind = next((token.text for token in tokens if token.text not in _KINDS_OF_TABLE), "")
        query = _after("AS", sql, tokens) if kind in ("TABLE", "MATERIALIZED") else None
        return None if query is None else _WITH_DATA.sub("", query)
    if first.text == "DECLARE":
        return _after("FOR", sql, tokens)
    if first.text == "COPY":
        opening = next(tokens, _NONE)
        if opening.text == "(":
            return next(
                (sql[opening.end : token.start] for token in tokens if token.depth == 0), None
            )
    return None


def is_planned(query: Query) -> bool:
    """Whether EXPLAIN can take the query: one statement, since EXPLAIN would run a second one."""
    return command_of(query.command).planned and is_one_statement(query.sql)


def fills_view(sql: str) -> bool:
    """Whether `sql` fills a materialized view, whose query the server plans in its owner's name
    and from PostgreSQL 17 on with a search path of its own."""
    tokens = _tokens(sql)
    first, second = next(tokens, _NONE).text, next(tokens, _NONE).text
    return first in ("CREATE", "REFRESH") and second == "MATERIALIZED"


def refreshed_view(sql: str) -> str | None:
    """Returns the name, as SQL, of the materialized view that `sql` refreshes."""
    tokens = _tokens(sql)
    if [next(tokens, _NONE).text for _ in range(3)] != ["REFRESH", "MATERIALIZED", "VIEW"]:
        return None
    name = next(tokens, _NONE)
    if name.text == "CONCURRENTLY":
        name = next(tokens, _NONE)
    end = name.end
    while next(tokens, _NONE).text == ".":
        end = next(tokens, _NONE).end
    return sql[name.start : end]


def _tokens(sql: str) -> Iterator[_Token]:
    depth = 0
    for found in _TOKEN.finditer(sql):
        text = found["token"]
        if text is None:
            continue
        if text == ")":
            depth -= 1
        yield _Token(text if text[0] == '"' else text.upper(), found.start(), found.end(), depth)
        if text == "(":
            depth += 1


def _explained(sql: str, tokens: Iterator[_Token]) -> str | None:
    token = next(tokens, _NONE)
    inner = next(tokens, _NONE) if token.text == "(" else _NONE
    if token.text == "(" and inner.text not in _QUERIES:
        closing = next((token for token in tokens if token.depth == 0), _NONE)
        start = closing.end
    else:
        while token.text in ("ANALYZE", "ANALYSE", "VERBOSE"):
            token = next(tokens, _NONE)
        start = token.start
    explained = sql[start:]
    return planned_query(explained) or explained if start else None


def _after(word: str, sql: str, tokens: Iterator[_Token]) -> str | None:
    return next(
        (sql[token.end :] for token in tokens if token.text == word and token.depth == 0), None
    )
