"""Inserting a run's results and firings, many in one statement.

That costs half of what they cost one by one, and the interpreter lock, which other threads wait
for, changes hands once a statement.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from pilotcli.storage.journal.rows import (
    FIRING_COLUMNS,
    OTHER_COLUMNS,
    QUERY_COLUMNS,
    USUAL_COLUMNS,
)

_PARAMETERS = 999
"""The most that older SQLite takes in one statement."""

_Values = tuple[Any, ...]
WaitingResult = tuple[_Values, "_Values | None", "_Values | None"]
"""A result's values in `USUAL_COLUMNS`, in `OTHER_COLUMNS` unless it is usual, and those of its
query in `QUERY_COLUMNS` where that is new."""


def insert_results(
    connection: sqlite3.Connection, run_id: int, results: Sequence[WaitingResult]
) -> tuple[list[_Values], list[_Values]]:
    """Insert results with their queries; returns the rows of the usual ones, and of the others."""
    queries = [query for _, _, query in results if query is not None]
    # The columns of most results are those without a default: the fewer, the faster, and the
    # sqlite3 module takes longer to bind one NULL than five numbers.
    plain = [usual for usual, others, _ in results if others is None]
    special = [usual + others for usual, others, _ in results if others is not None]
    _insert(connection, run_id, "OR IGNORE INTO queries", QUERY_COLUMNS, queries)
    _insert(connection, run_id, "INTO results", USUAL_COLUMNS, plain)
    _insert(connection, run_id, "INTO results", USUAL_COLUMNS + OTHER_COLUMNS, special)
    return plain, special


def insert_firings(
    connection: sqlite3.Connection,
    run_id: int,
    firings: Sequence[tuple[_Values, Mapping[str, int]]],
) -> None:
    """Insert firings, each a row of `FIRING_COLUMNS`, and the counters that they have set."""
    _insert(connection, run_id, "INTO firings", FIRING_COLUMNS, [row for row, _ in firings])
    connection.executemany(
        "INSERT OR REPLACE INTO counters VALUES (?, ?, ?)",
        [(run_id, *counter) for _, counters in firings for counter in counters.items()],
    )


def insert_begun(connection: sqlite3.Connection, run_id: int, begun: _Values) -> None:
    """Insert the firing that began last: its number, event, reason and the query before it."""
    sql = "INSERT OR REPLACE INTO begun VALUES (?, ?, ?, ?, ?)"
    connection.execute(sql, (run_id, *begun))


def _insert(
    connection: sqlite3.Connection,
    run_id: int,
    into: str,
    columns: Sequence[str],
    rows: Sequence[_Values],
) -> None:
    start, count = 0, _PARAMETERS // len(columns)
    row = f"({run_id}, {', '.join('?' * len(columns))})"
    while start < len(rows):
        while start + count > len(rows):
            count //= 2
        connection.execute(
            f"INSERT {into} (run_id, {', '.join(columns)}) VALUES {', '.join([row] * count)}",  # noqa: S608
            tuple(chain.from_iterable(rows[start : start + count])),
        )
        start += count
