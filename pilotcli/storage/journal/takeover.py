"""Takes over a run that is continued, with what the journal knows about it."""

from __future__ import annotations

import sqlite3
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from pilotcli.common.liveness import this_process
from pilotcli.common.records import STOPPED
from pilotcli.storage.journal.records import BegunFiring, PastRun
from pilotcli.storage.journal.recovery import take_tail
from pilotcli.storage.journal.run_lock import lock_run, taking_over
from pilotcli.storage.journal.schema import connect, journal_errors, transaction
from pilotcli.storage.journal.summary import read_summary
from pilotcli.storage.journal.write_ahead import tail_path
from pilotcli.storage.journal.writer import RunJournal, mark


def _read_past(connection: sqlite3.Connection, run_id: int) -> PastRun:
    def rows(sql: str) -> list[tuple[Any, ...]]:
        return connection.execute(sql, (run_id,)).fetchall()

    ((results,),) = rows("SELECT coalesce(max(result), 0) FROM results WHERE run_id = ?")
    ((firings,),) = rows("SELECT count(*) FROM firings WHERE run_id = ?")
    begun = rows("SELECT number, event, reason, after_query FROM begun WHERE run_id = ?")
    done = connection.execute("SELECT round, seq FROM results WHERE run_id = ?", (run_id,))
    warmed = connection.execute("SELECT round, seq FROM warmed WHERE run_id = ?", (run_id,))
    texts = connection.execute("SELECT 0, seq FROM queries WHERE run_id = ?", (run_id,))
    return PastRun(
        run_id=run_id,
        results=results,
        done=_marks(done),
        warmed=_marks(warmed),
        texts=_marks(texts).get(0, bytearray()),
        begun=BegunFiring(*begun[0][1:]) if begun and begun[0][0] > firings else None,
        loaded=dict(rows("SELECT model, version FROM loaded WHERE run_id = ?")),
        firings=firings,
    )


def _marks(rows: sqlite3.Cursor) -> dict[int, bytearray]:
    marks: dict[int, bytearray] = {}
    for round, seq in rows:
        mark(marks.setdefault(round, bytearray()), seq)
    return marks


def take_over(path: Path, run_id: int, *, forced: bool) -> tuple[RunJournal, PastRun]:
    """Make this process the one of the run `run_id`, which was interrupted or killed.

    Queries that the interruption cancelled count as not run. Raises `StorageError` when the run's
    process still runs.
    """
    home = path.parent
    connection = connect(home)
    with taking_over(home), ExitStack() as undo:
        undo.callback(connection.close)
        with journal_errors(path):
            host, pid = connection.execute(
                "SELECT host, pid FROM runs WHERE run_id = ?", (run_id,)
            ).fetchone()
        where = "" if host == this_process()[0] else f" on {host}"
        lock = lock_run(home, run_id, f"process {pid}{where}")
        undo.callback(lock.release)
        with transaction(connection, path):
            # Another process may have been killed since the journal was opened.
            take_tail(connection, home, run_id)
            ((status,),) = connection.execute(
                "SELECT status FROM runs WHERE run_id = ?", (run_id,)
            ).fetchall()
            _delete_stopped(connection, run_id)
            past = replace(_read_past(connection, run_id), killed=status == "running")
            summary = read_summary(connection, run_id)
            connection.execute(
                "UPDATE runs SET status = 'running', finished_at = NULL, exit_code = NULL, "
                "host = ?, pid = ?, pid_start = '' WHERE run_id = ?",
                (*this_process(), run_id),
            )
            connection.execute(
                "INSERT INTO resumes VALUES (?, ?, ?, ?)",
                (run_id, time.time(), past.results, forced),
            )
        tail_path(home, run_id).unlink(missing_ok=True)
        journal = RunJournal(connection, path, run_id, lock, past, summary)
        undo.pop_all()
    return journal, past


def _delete_stopped(connection: sqlite3.Connection, run_id: int) -> None:
    stopped = (
        "FROM results WHERE run_id = ?1 AND status <> 'ok' AND status = 'cancelled' AND error = ?2"
    )
    # Nothing is ever taken out of a summary: one that counted them is made again.
    connection.execute(
        "DELETE FROM summaries WHERE run_id = ?1 "  # noqa: S608
        f"AND upto >= (SELECT min(result) {stopped})",
        (run_id, STOPPED),
    )
    connection.execute(f"DELETE {stopped}", (run_id, STOPPED))
