"""Draws the parameters of TPC-DS from their domains, and puts them into the queries' texts."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from pilotcli.benchmarks.tpcds_parameters import (
    CHOICES,
    STORE_SALES_FIFTH,
    Parameter,
    Place,
    parameters,
)
from pilotcli.common.errors import UsageError


def read_domains(duck: Any) -> dict[str, Sequence[Any]]:
    """Returns the values of each domain, with what the data of `duck` has.

    A domain of several columns has tuples.
    """
    names = sorted({one.domain for found in parameters().values() for one in found})
    return {name: _domain(duck, name) for name in names}


def _domain(duck: Any, name: str) -> Sequence[Any]:
    if name == STORE_SALES_FIFTH:
        ((rows,),) = duck.execute("SELECT count(*) FROM store_sales").fetchall()
        return range(1, rows // 5 + 1)
    if name in CHOICES:
        return CHOICES[name]
    if "," in name:
        return name.split(",")
    years, slash, days = name.rpartition("/")
    if ".." not in name:
        return _column(duck, name)
    first, last = days.split("..")
    if slash:
        return [day for year in _integers(*years.split("..")) for day in _days(year, first, last)]
    if "-" in first[1:]:
        return [f"{day:%m-%d}" for day in _days(2001, first, last)]
    return _integers(first, last)


def _integers(first: str, last: str) -> range:
    return range(int(first), int(last) + 1)


def _days(year: int, first: str, last: str) -> list[date]:
    """Returns the days of a year from `month-day` to `month-day`, or first days of months."""
    if "-" not in first:
        return [date(year, month, 1) for month in _integers(first, last)]
    start, end = (date.fromisoformat(f"{year}-{day}") for day in (first, last))
    return [start + timedelta(days) for days in range((end - start).days + 1)]


def _column(duck: Any, name: str) -> list[Any]:
    names, _, condition = name.partition(" ")
    columns = names.split("/")
    ((table,),) = duck.execute(
        "SELECT table_name FROM duckdb_columns() WHERE column_name = ?", [columns[0]]
    ).fetchall()
    where = " AND ".join(f"{column} {condition or 'IS NOT NULL'}" for column in columns)
    rows = duck.execute(
        f"SELECT DISTINCT {', '.join(columns)} FROM {table} WHERE {where} ORDER BY ALL"  # noqa: S608 - ours
    ).fetchall()
    return [row if len(columns) > 1 else row[0] for row in rows]


def with_parameters(
    number: int, sql: str, domains: Mapping[str, Sequence[Any]], chance: random.Random
) -> str:
    """Returns query `number` with other parameters, drawn from `domains`.

    `sql` is DuckDB's text. Raises `UsageError` where a constant is not in it.
    """
    try:
        return replaced(sql, parameters()[number], domains, chance)
    except LookupError as exc:
        raise UsageError(
            f"query {number} of the installed duckdb-extension-tpcds is not as pilot knows it:"
            f" {exc.args[0]!r} is missing",
            hint="Leave out --variants, or install the release of pilot's tests: pip install"
            " duckdb==1.5.5 duckdb-extension-tpcds==1.5.5",
        ) from exc


def replaced(
    sql: str,
    found: Sequence[Parameter],
    domains: Mapping[str, Sequence[Any]],
    chance: random.Random,
) -> str:
    """Returns `sql` with other values of its parameters.

    Raises `LookupError` with a constant that is not in `sql`.
    """
    parts, done = [], 0
    for start, end, text in sorted(
        change
        for parameter in found
        for change in _changes(sql, parameter, domains[parameter.domain], chance)
    ):
        assert start >= done, sql[start:end]
        parts += [sql[done:start], text]
        done = end
    return "".join([*parts, sql[done:]])


def _changes(
    sql: str, parameter: Parameter, domain: Sequence[Any], chance: random.Random
) -> Iterator[tuple[int, int, str]]:
    """Yields where a new text replaces a constant: the start, the end and the text."""
    values = [value for listed in parameter.values for value in _all_digits(sql, listed)]
    for value, drawn in zip(values, _draw(domain, len(values), chance), strict=True):
        for index, place in enumerate(value):
            new = drawn[index] if isinstance(drawn, tuple) else _moved(drawn, value[0], place)
            spans = [match.span(place.group) for match in place.pattern.finditer(sql)]
            if not spans:
                raise LookupError(place.constant)
            yield from ((start, end, _text(new)) for start, end in spans)


def _all_digits(sql: str, value: tuple[Place, ...]) -> list[tuple[Place, ...]]:
    """Returns a value for each constant that `#####` stands for."""
    place = value[0]
    if "#" not in place.constant:
        return [value]
    constants = dict.fromkeys(match[place.group] for match in place.pattern.finditer(sql))
    if not constants:
        raise LookupError(place.constant)
    return [(Place(one, re.compile(rf"\b({one})\b")),) for one in constants]


def _draw(domain: Sequence[Any], count: int, chance: random.Random) -> list[Any]:
    """Returns `count` values, all different as long as there are others.

    Rows are different if their first columns are.
    """
    rows = isinstance(domain, list) and domain and isinstance(domain[0], tuple)
    different = len({row[0] for row in domain}) if rows else len(domain)
    drawn: dict[Any, Any] = {}
    while len(drawn) < min(count, different):
        value = chance.choice(domain)
        drawn.setdefault(value[0] if rows else value, value)
    found = list(drawn.values())
    return [found[index % len(found)] for index in range(count)]


def _moved(drawn: Any, first: Place, place: Place) -> Any:
    """Returns a drawn value as far from the constant at `place` as `drawn` is from the first."""
    if place.constant == first.constant:
        return drawn
    if isinstance(drawn, date):
        return drawn + (date.fromisoformat(place.constant) - date.fromisoformat(first.constant))
    return drawn + int(place.constant) - int(first.constant)


def _text(value: Any) -> str:
    """Returns a value as it is in a query, within quotes or as a number."""
    return f"{float(value):g}" if isinstance(value, Decimal) else str(value).replace("'", "''")
