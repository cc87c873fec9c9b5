"""Takes what killed runs have left in their tails into the journal."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

from pilotcli.common.errors import StorageError
from pilotcli.storage.journal import write_ahead as tails
from pilotcli.storage.journal.rows import (
    FIRING_COLUMNS,
    OTHER_COLUMNS,
    QUERY_COLUMNS,
    USUAL_COLUMNS,
)
from pilotcli.storage.journal.run_lock import is_alive, remove_left_locks
from pilotcli.storage.journal.schema import FILE_NAME, connect, journal_errors
from pilotcli.storage.journal.write_ahead import Record, read_tail

__all__ = ["recover"]

log = logging.getLogger(__name__)


def recover(home: Path) -> None:
    """Take over the tails of runs whose process is gone. A tail that cannot be read stays, and is
    logged.

    Several pilots may do this at once: a record that is there is not taken twice.
    """
    for path in sorted(home.glob("run-*.tail")):
        number = path.stem.removeprefix("run-")
        if not number.isdecimal():
            continue
        try:
            _recover(home, int(number), path)
        except (StorageError, OSError) as error:
            log.warning("the end of run %s is still in %s: %s", number, path, error)
    remove_left_locks(home)


def _recover(home: Path, run_id: int, path: Path) -> None:
    with closing(connect(home)) as connection, journal_errors(home / FILE_NAME):
        connection.execute("BEGIN IMMEDIATE")
        try:
            found = connection.execute("SELECT 1 FROM runs WHERE run_id = ?", (run_id,)).fetchone()
            if found is None or is_alive(home, run_id):
                return
            for record in read_tail(path):
                _take(connection, run_id, record)
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
    path.unlink(missing_ok=True)


def _take(connection: sqlite3.Connection, run_id: int, record: Record) -> None:
    kind, values = record
    if kind == tails.QUERY:
        _insert(connection, "queries", QUERY_COLUMNS, (run_id, *values))
    elif kind == tails.USUAL:
        _insert(connection, "results", USUAL_COLUMNS, (run_id, *values))
    elif kind == tails.OTHER:
        _insert(connection, "results", USUAL_COLUMNS + OTHER_COLUMNS, (run_id, *values))
    elif kind == tails.WARMED:
        _insert(connection, "warmed", ("round", "seq"), (run_id, *values))
    elif kind == tails.BEGUN:
        connection.execute("INSERT OR REPLACE INTO begun VALUES (?, ?, ?, ?, ?)", (run_id, *values))
    elif kind == tails.FIRING:
        number, row, counters = values
        ((there,),) = connection.execute(
            "SELECT count(*) FROM firings WHERE run_id = ?", (run_id,)
        ).fetchall()
        if number > there:
            _insert(connection, "firings", FIRING_COLUMNS, (run_id, *row))
            connection.executemany(
                "INSERT OR REPLACE INTO counters VALUES (?, ?, ?)",
                [(run_id, *counter) for counter in counters.items()],
            )


def _insert(
    connection: sqlite3.Connection, table: str, columns: tuple[str, ...], row: tuple[object, ...]
) -> None:
    names = ", ".join(("run_id", *columns)[: len(row)])  # an older pilot's tail knows fewer
    marks = ", ".join("?" * len(row))
    connection.execute(f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})", row)  # noqa: S608
