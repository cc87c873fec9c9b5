"""Deletes runs from the journal, and gives their space back to the disk."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from pilotcli.storage.journal.presence import side_files
from pilotcli.storage.journal.run_lock import any_alive, lock_run
from pilotcli.storage.journal.schema import FILE_NAME, connect, journal_errors, transaction
from pilotcli.storage.journal.write_ahead import tail_path

# Tables without a reference to `runs`; the others are emptied with it.
_TABLES = ("queries", "results", "warmed", "plans", "runs")


@dataclass(frozen=True, slots=True)
class Freed:
    """The journal's size before and after runs were deleted, in bytes, and how much of it is free
    for later runs."""

    before_bytes: int
    after_bytes: int
    free_bytes: int


def delete_runs(home: Path, run_ids: Sequence[int]) -> None:
    """Delete all that the journal has of these runs. Their numbers are not used again.

    Raises `StorageError`; then nothing is deleted.
    """
    path = home / FILE_NAME
    with closing(connect(home)) as connection, ExitStack() as locks:
        for run_id in run_ids:
            locks.callback(lock_run(home, run_id).release)
        with transaction(connection, path):
            for run_id in run_ids:
                connection.execute(
                    "INSERT OR REPLACE INTO removed VALUES (?, ?)", (run_id, time.time())
                )
                for table in _TABLES:
                    connection.execute(f"DELETE FROM {table} WHERE run_id = ?", (run_id,))  # noqa: S608
        for run_id in run_ids:
            tail_path(home, run_id).unlink(missing_ok=True)


def compact(home: Path) -> Freed:
    """Make the journal as small as what is in it, unless a run is written in `home`: that would
    wait too long. Raises `StorageError`, as when the disk has no room for the copy."""
    path = home / FILE_NAME
    before = size_bytes(path)
    with closing(connect(home)) as connection, journal_errors(path):
        if not any_alive(home):
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        ((free,),) = connection.execute("PRAGMA freelist_count").fetchall()
        ((page,),) = connection.execute("PRAGMA page_size").fetchall()
    return Freed(before, size_bytes(path), free * page)


def size_bytes(path: Path) -> int:
    """The size of the journal `path` with the files that SQLite keeps beside it."""
    return sum(_size(file) for file in (path, *side_files(path)))


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0
