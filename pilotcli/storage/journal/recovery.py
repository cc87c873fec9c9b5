"""Recovers the entries that killed runs left in their tails.

A tail is deleted under the same lock as it is read: otherwise a slow reader would delete the new
tail of a run that another pilot continues meanwhile.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from pilotcli.common.errors import StorageError
from pilotcli.common.os_advice import advice_for_link
from pilotcli.storage.journal import write_ahead as tails
from pilotcli.storage.journal.inserts import insert_begun, insert_firings
from pilotcli.storage.journal.rows import OTHER_COLUMNS, QUERY_COLUMNS, USUAL_COLUMNS, storable
from pilotcli.storage.journal.run_lock import is_alive, remove_left_locks, taking_over
from pilotcli.storage.journal.schema import FILE_NAME, connect, journal_errors, transaction
from pilotcli.storage.journal.write_ahead import Record, read_tail, tail_path

_ROWS = {
    tails.QUERY: ("queries", QUERY_COLUMNS),
    tails.USUAL: ("results", USUAL_COLUMNS),
    tails.OTHER: ("results", USUAL_COLUMNS + OTHER_COLUMNS),
    tails.WARMED: ("warmed", ("round", "seq")),
}
"""By kind of record: the table and the columns of its values."""

_UNKNOWN_RUN = (
    "INSERT INTO runs (run_id, kind, workload, config_text, database, options, started_at, status, "
    "host, pid, pid_start) VALUES (?, 'run', '(unknown)', '{}', '(unknown)', '{}', ?, 'running', "
    "'', 0, '')"
)

log = logging.getLogger(__name__)


def recover(home: Path) -> None:
    """Write the tails of runs without a process into the journal. A tail that cannot be read stays,
    and is logged.

    Several pilots may do this at once: no record is written twice.
    """
    for path in sorted(home.glob("run-*.tail")):
        number = path.stem.removeprefix("run-")
        if not number.isdecimal() or is_alive(home, int(number)):
            continue
        try:
            _recover(home, int(number))
        except (StorageError, OSError) as error:
            log.warning("the end of run %s is still in %s: %s", number, path, error)
    remove_left_locks(home)


def _recover(home: Path, run_id: int) -> None:
    with closing(connect(home)) as connection, taking_over(home):
        with journal_errors(home / FILE_NAME):
            found = connection.execute("SELECT 1 FROM runs WHERE run_id = ?", (run_id,)).fetchone()
        if is_alive(home, run_id) or not os.path.lexists(tail_path(home, run_id)):
            return
        with transaction(connection, home / FILE_NAME):
            if found is None and any(True for _ in read_tail(tail_path(home, run_id))):
                # Its journal was deleted: this is all that is there of the run.
                connection.execute(_UNKNOWN_RUN, (run_id, time.time()))
            take_tail(connection, home, run_id)
        tail_path(home, run_id).unlink(missing_ok=True)


def take_tail(connection: sqlite3.Connection, home: Path, run_id: int) -> None:
    """Write the records of a run's tail, where there is one, into the journal; the caller holds the
    lock `taking_over`, and deletes the tail after the commit. Raises `StorageError`."""
    path = tail_path(home, run_id)
    if not os.path.lexists(path):
        return
    try:
        for record in read_tail(path):
            _take(connection, run_id, record)
    except OSError as error:
        raise StorageError(
            f"the end of run {run_id} cannot be read in {path}: {error.strerror}",
            hint=advice_for_link(error) or "Delete the file if it is not pilot's.",
        ) from error


def _take(connection: sqlite3.Connection, run_id: int, record: Record) -> None:
    kind, values = record
    if kind in _ROWS:
        values = tuple([storable(value) if isinstance(value, str) else value for value in values])
        table, columns = _ROWS[kind]
        names = ", ".join(columns[: len(values)])  # an older pilot's tail knows fewer
        marks = ", ".join("?" * len(values))
        sql = f"INSERT OR IGNORE INTO {table} (run_id, {names}) VALUES (?, {marks})"  # noqa: S608
        connection.execute(sql, (run_id, *values))
    elif kind == tails.BEGUN:
        insert_begun(connection, run_id, values)
    elif kind == tails.FIRING:
        number, row, counters = values
        sql = "SELECT count(*) FROM firings WHERE run_id = ?"
        ((there,),) = connection.execute(sql, (run_id,)).fetchall()
        if number > there:
            insert_firings(connection, run_id, [(row, counters)])
