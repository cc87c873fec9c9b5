"""Parameters of a statement, filled in from the DETAIL of its entry."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable

from pilotcli.workload.logs.sql_tokens import TOKEN

_HEAD = re.compile(r"(?:Query )?[Pp]arameters: ")
_VALUE = re.compile(r"\$(\d{1,5}) = (NULL|'[^']*(?:''[^']*)*')(?:, |$)")
_LONGEST_KEPT = 20_000
_MOST_DIGITS = 6
"""A number of more digits has no value: a statement has 65,535 parameters at most."""


def values_in(detail: str) -> dict[int, str]:
    """Returns the literals in `Parameters: $1 = 'x', $2 = NULL` by their numbers.

    A literal has no type of its own, so the server gives it the type that it gives a parameter.
    """
    head = _HEAD.match(detail)
    values: dict[int, str] = {}
    position = head.end() if head else len(detail)
    while found := _VALUE.match(detail, position):
        literal = found[2]
        if "\\" in literal:  # the same under each standard_conforming_strings
            literal = " E" + literal.replace("\\", "\\\\")
        values[int(found[1])] = literal
        position = found.end()
    return values


def has_parameters(sql: str) -> bool:
    """Returns whether a parameter (`$1`) stands in `sql`."""
    return "$" in sql and len(_template(sql)) > 1


def parameters_in(sql: str) -> list[int]:
    """Returns the numbers of the parameters that stand in `sql`."""
    return [part for part in _template(sql) if isinstance(part, int)]


def with_parameters(sql: str, text_of: Callable[[int], str]) -> str:
    """Returns `sql` with the text of each number in the place of the parameter."""
    return "".join(part if isinstance(part, str) else text_of(part) for part in _template(sql))


def fill(sql: str, detail: str) -> str | None:
    """Returns `sql` with its parameters' values from `detail`; None where one is missing."""
    if "$" not in sql:
        return sql
    template = _kept_template(sql) if len(sql) < _LONGEST_KEPT else _template(sql)
    if len(template) == 1:
        return sql
    values = values_in(detail)
    try:
        return "".join([part if type(part) is str else values[part] for part in template])  # type: ignore[index]
    except KeyError:
        return None


def _template(sql: str) -> tuple[str | int, ...]:
    """The texts between the parameters, and the numbers of these."""
    parts: list[str | int] = []
    begin = 0
    for found in TOKEN.finditer(sql):
        number = found["parameter"]
        if number:
            parts += [sql[begin : found.start()], int(number[:_MOST_DIGITS])]
            begin = found.end()
    return (*parts, sql[begin:])


_kept_template = functools.lru_cache(maxsize=2_000)(_template)
