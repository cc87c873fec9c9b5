"""Joins beside the foreign keys: those that a user declares, and those that the values show."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations

from pilotcli.common.errors import UsageError
from pilotcli.common.suggestions import did_you_mean
from pilotcli.drivers.sampling import Catalog, JoinEdge, Reader, SampledTable
from pilotcli.steering.sql import literal

LEAST_OVERLAP = 0.5
"""The share of one column's sampled values that the other column must have."""

_LEAST_VALUES = 5
_DECLARED = re.compile(r"\s*(?P<left>\S+?)\s*=\s*(?P<right>\S+)\s*")


def edge_text(catalog: Catalog, edge: JoinEdge) -> str:
    """Returns an edge as SQL: `orders.customer_id = customers.id`."""
    left, right = catalog.tables[edge.left].name, catalog.tables[edge.right].name
    return " AND ".join(
        f"{left}.{column} = {right}.{other}"
        for column, other in zip(edge.left_columns, edge.right_columns, strict=True)
    )


def with_edges(catalog: Catalog, edges: Sequence[JoinEdge]) -> Catalog:
    """Returns the catalog with more edges, whose columns count as keys."""
    keys = {
        (table, column)
        for edge in edges
        for table, columns in (
            (edge.left, edge.left_columns),
            (edge.right, edge.right_columns),
        )
        for column in columns
    }
    return replace(catalog, edges=(*catalog.edges, *edges), keys=catalog.keys | keys)


def declared_edge(catalog: Catalog, text: str) -> JoinEdge:
    """Returns the edge that `text` declares: `table.column = table.column`.

    Raises `UsageError` where it is none, or names what the database does not have.
    """
    match = _DECLARED.fullmatch(text)
    if match is None or "." not in match["left"] or "." not in match["right"]:
        raise UsageError(
            f"--join {text!r} is no join of two columns",
            hint="Write it as --join 'orders.customer_id = customers.id'.",
        )
    (left, column), (right, other) = (_column(catalog, match[side]) for side in ("left", "right"))
    return JoinEdge(left, (column,), right, (other,))


def _column(catalog: Catalog, text: str) -> tuple[int, str]:
    known = {
        _plain(f"{name}.{column.name}"): (place, column.name)
        for place, table in enumerate(catalog.tables)
        for name in (table.name.rpartition(".")[2], table.name)
        for column in table.columns
    }
    found = known.get(_plain(text))
    if found is None:
        names = [name for name in known if name.count(".") == 1]
        table = _plain(text).rpartition(".")[0] + "."
        own = [name for name in names if name.startswith(table)]
        raise UsageError(
            f"--join names {text}, which is no column of a readable table",
            hint=did_you_mean(_plain(text), own or names),
        )
    return found


def _plain(name: str) -> str:
    return name.replace('"', "").lower()


def detected_edges(reader: Reader, catalog: Catalog) -> list[tuple[JoinEdge, float]]:
    """Returns joins that no constraint declares, each with the share of values that both have.

    Two columns are joined if they have the same name and type, at least one has no sampled value
    twice, and at least half of the other's sampled values are among its values. A column `id` is
    left out: it is a name for unrelated keys.
    """
    connected = {frozenset((edge.left, edge.right)) for edge in catalog.edges}
    found = []
    for edge, table, column, values in _candidates(catalog, connected):
        share = _overlap(reader, catalog.tables[table].name, column, values)
        if share >= LEAST_OVERLAP:
            found.append((edge, share))
    return found


def _candidates(
    catalog: Catalog, connected: set[frozenset[int]]
) -> Iterator[tuple[JoinEdge, int, str, list[str]]]:
    """Gives edges to look at: the edge, the unique side's table and column, the other's values."""
    for left, right in combinations(range(len(catalog.tables)), 2):
        if frozenset((left, right)) in connected:
            continue
        tables = catalog.tables[left], catalog.tables[right]
        others = {(column.name, column.type) for column in tables[1].columns}
        for column in tables[0].columns:
            if (column.name, column.type) not in others or column.name.lower() == "id":
                continue
            values = [_values(table, column.name) for table in tables]
            for unique, other in ((left, right), (right, left)):
                own, theirs = values if unique == left else values[::-1]
                if len(set(own)) == len(own) and len(set(theirs)) >= _LEAST_VALUES:
                    edge = JoinEdge(other, (column.name,), unique, (column.name,))
                    yield edge, unique, column.name, sorted(set(theirs))
                    break


def _values(table: SampledTable, name: str) -> list[str]:
    at = next(n for n, column in enumerate(table.columns) if column.name == name)
    return [value for row in table.rows if (value := row[at]) is not None]


def _overlap(reader: Reader, table: str, column: str, values: Sequence[str]) -> float:
    listed = ", ".join(map(literal, values))
    sql = f"SELECT count(DISTINCT {column}) FROM {table} WHERE {column} IN ({listed})"  # noqa: S608 - quoted by the server
    return float(reader.execute(sql, fetch=True)[0][0]) / len(values)
