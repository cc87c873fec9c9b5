"""Draws the parameters of TPC-DS from their domains, and puts them into the queries' texts."""

from __future__ import annotations

import random
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
    names = {parameter.domain for found in parameters().values() for parameter in found}
    return {name: _domain(duck, name) for name in sorted(names)}


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
    values = [spans for value in parameter.values for spans in _spans(sql, value)]
    for spans, drawn in zip(values, _draw(domain, len(values), chance), strict=True):
        first = sql[slice(*spans[0][0])]
        for (start, end), index in spans:
            row = isinstance(drawn, tuple)
            new = drawn[index] if row else _moved(drawn, first, sql[start:end])
            yield start, end, _text(new)


def _spans(sql: str, value: tuple[Place, ...]) -> list[list[tuple[tuple[int, int], int]]]:
    """Returns where the constants of a value are, with the number of the place that found each.

    A place of digits gives several values, one for each constant.
    """
    found: dict[str, list[tuple[tuple[int, int], int]]] = {}
    for index, place in enumerate(value):
        matches = list(place.pattern.finditer(sql))
        if not matches:
            raise LookupError(place.constant)
        for match in matches:
            name = match[place.group] if "#" in place.constant else ""
            found.setdefault(name, []).append((match.span(place.group), index))
    return list(found.values())


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


def _moved(drawn: Any, first: str, constant: str) -> Any:
    """Returns what is as far from `drawn` as `constant` is from the constant `first`."""
    if constant == first:
        return drawn
    if isinstance(drawn, date):
        return drawn + (date.fromisoformat(constant) - date.fromisoformat(first))
    return drawn + int(constant) - int(first)


def _text(value: Any) -> str:
    """Returns a value as it is in a query, within quotes or as a number."""
    return f"{float(value):g}" if isinstance(value, Decimal) else str(value).replace("'", "''")
