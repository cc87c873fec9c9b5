"""Writes one run into the journal, without delaying its queries."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

from pilotcli.common.closing import Closing
from pilotcli.common.errors import StorageError
from pilotcli.common.labels import RunLabels
from pilotcli.common.liveness import Hold
from pilotcli.common.quantities import plural
from pilotcli.common.records import (
    ModelVersion,
    PretrainingProgress,
    Query,
    QueryResult,
    RunStatus,
)
from pilotcli.common.signals import EventTriggered
from pilotcli.storage.journal import write_ahead as tails
from pilotcli.storage.journal.inserts import (
    WaitingResult,
    insert_begun,
    insert_firings,
    insert_results,
)
from pilotcli.storage.journal.presence import Presence, save_copy
from pilotcli.storage.journal.records import Arm, PastRun
from pilotcli.storage.journal.rows import (
    MODEL_COLUMNS,
    OTHER_COLUMNS,
    USUAL_COLUMNS,
    label_values,
    model_row,
    other_values,
    query_row,
    storable,
    usual_values,
)
from pilotcli.storage.journal.schema import connect_file, journal_errors, transaction
from pilotcli.storage.journal.summary import SAVE_AFTER, RunSummary, save_summary
from pilotcli.storage.journal.write_ahead import Tail, tail_path
from pilotcli.storage.writer_thread import WriterThread

BATCH_ROWS = 1000
BATCH_AGE_S = 0.2
LARGE_SQL_CHARS = 65_536
_STATUS = (USUAL_COLUMNS + OTHER_COLUMNS).index("status")


class RunJournal(Closing):
    """The writer of one run; safe to use from several threads.

    `add_result` and `add_firing` append to lists. The caller commits the lists every 1000 results,
    a background thread every 0.2 s. Until then the new entries are also in the run's tail, so that
    a killed run loses nothing. All other methods commit at once. Each transaction contains all
    results and firings so far, so that there is never a firing without the queries before it.

    If the journal, or another file of the run, is deleted or replaced meanwhile, the next commit
    notices: it saves what the journal held, with this run, and raises `StorageError`, which stays
    in `lost`. The run ends with that, and its end can still be recorded.

    What could not be written stays in the lists, and the next write tries again. The next call
    raises an error of the thread as `StorageError`; `close` raises it again if anything is still
    unwritten. `lock` says that the run is alive; `close` releases it.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: Path,
        run_id: int,
        lock: Hold,
        past: PastRun | None = None,
        summary: RunSummary | None = None,
    ) -> None:
        """`past` and `summary` are those of a run that is continued."""
        self.run_id = run_id
        self.path = path
        self._connection = connection
        self._lock = lock
        self.lost: StorageError | None = None
        self.ended = False
        """Whether `finish` has recorded an end."""
        self._tail = Tail(tail_path(path.parent, run_id))
        self._files = Presence()
        self._files.note(self._tail.path, lock.path)
        self._files.note_journal(path)
        self._waiting: list[WaitingResult] = []
        self._firings: list[tuple[tuple[Any, ...], Mapping[str, int]]] = []
        self._warmed: list[tuple[int, int, int]] = []
        self._begun: tuple[int, str, str, int] | None = None
        """The firing that began last; None as soon as it is in the journal."""
        self._numbered = past.results if past is not None else 0
        """Results of this run so far."""
        self._fired = past.firings if past is not None else 0
        self._stored = past.texts if past is not None else bytearray()
        """One byte for each query: whether its text is in the journal already."""
        self._summary = summary or RunSummary()
        """The summary of all committed results; guarded by `_background.writing`."""
        self._adding = threading.Lock()
        self._background = WriterThread(
            self._write_waiting, name=f"journal-{run_id}", every_s=BATCH_AGE_S
        )
        self._background.start()

    def add_result(self, query: Query, result: QueryResult) -> None:
        """Record the outcome of one execution of `query`; takes a few microseconds on average.

        Raises `StorageError` when this result, or an earlier one, cannot be kept. In both cases
        this result will not be in the journal.
        """
        if self._background.error is not None:
            self._background.raise_error()
        waiting, stored, seq = self._waiting, self._stored, query.seq
        with self._adding:
            self._numbered += 1
            usual = (self._numbered, *usual_values(result))
            others = other_values(result)
            new_query = None if seq < len(stored) and stored[seq] else query_row(query)
            row = (usual, others, new_query)
            waiting.append(row)
            kept = len(query.sql) <= LARGE_SQL_CHARS and (
                self._tail.add_usual(usual, new_query)
                if others is None
                else self._tail.add(tails.OTHER, usual + others, new_query)
            )
        # The caller writes here, between two queries. A thread would slow the replay down more,
        # because both would compete for the interpreter lock.
        if not kept or len(waiting) >= BATCH_ROWS:
            try:
                self.flush()
            except StorageError as error:
                if not kept and self._take_back(row):
                    raise
                self._background.error = error  # the tail has this result: the next call raises

    def add_warmed(self, round: int, seq: int) -> None:
        """Record that a query of the warm-up round `round` (from 0) has ended."""
        with self._adding:
            self._warmed.append((self.run_id, round, seq))
            kept = self._tail.add(tails.WARMED, (round, seq))
        if not kept:
            self.flush()

    def begin_firing(self, event: str, reason: str, after_query: int) -> None:
        """Record that an event is about to be called."""
        with self._adding:
            self._begun = (self._fired + 1, event, reason, after_query)
            kept = self._tail.add(tails.BEGUN, self._begun)
        if not kept:
            self.flush()

    def add_firing(self, signal: EventTriggered, counters: Mapping[str, int]) -> None:
        """Record a firing and the counters that it has set, with all results before it."""
        if self._background.error is not None:
            self._background.raise_error()
        row = (
            signal.event,
            signal.kind.value,
            signal.reason,
            signal.after_query,
            signal.outcome,
            signal.duration_s,
            signal.fired,
            time.time(),
            storable(signal.error) if signal.error is not None else None,
            storable(signal.traceback) if signal.traceback is not None else None,
        )
        with self._adding:
            self._fired += 1
            self._firings.append((row, counters))
            kept = self._tail.add(tails.FIRING, (self._fired, row, dict(counters)))
        if not kept or len(self._firings) >= BATCH_ROWS:
            self.flush()

    def set_loaded(self, versions: Mapping[str, int | None]) -> None:
        """Record the checkpoint of each model with which the run begins."""
        rows = [(self.run_id, model, version) for model, version in versions.items()]
        self._commit(
            lambda: self._connection.executemany(
                "INSERT OR REPLACE INTO loaded VALUES (?, ?, ?)", rows
            )
        )

    def add_model(self, version: ModelVersion) -> None:
        """Record a checkpoint that this run saved."""
        self._execute(
            f"INSERT OR REPLACE INTO models ({', '.join(MODEL_COLUMNS)}) "  # noqa: S608
            f"VALUES ({', '.join('?' * len(MODEL_COLUMNS))})",
            *model_row(replace(version, run_id=self.run_id)),
        )

    def add_plan(self, seq: int, round: int, plan: str) -> None:
        """Record the plan (JSON, an object with the key `Plan`) that a query had in `round`, or,
        with the round 0, a plan with actual rows that was taken outside of the rounds."""
        sql = "INSERT OR REPLACE INTO plans VALUES (?, ?, ?, ?)"
        self._execute(sql, self.run_id, seq, round, storable(plan))

    def set_pair(self, paired_with: int, arm: Arm) -> None:
        """Record that the queries of this run take turns with those of the run `paired_with`."""
        sql = "UPDATE runs SET paired_with = ?, arm = ? WHERE run_id = ?"
        self._execute(sql, paired_with, arm, self.run_id)

    def describe(self, labels: RunLabels, provenance: Mapping[str, Any]) -> None:
        """Record what the user calls this run, and what it depends on, in JSON's types.

        `provenance` must not contain secrets, since it is stored unchanged.
        """
        sql = "UPDATE runs SET name = ?, tags = ?, note = ?, provenance = ? WHERE run_id = ?"
        self._execute(sql, *label_values(labels), json.dumps(dict(provenance)), self.run_id)

    def set_experiment(self, experiment: int, fold: int) -> None:
        """Record that this run is the fold `fold`, counted from 1, of an experiment of several;
        `experiment` is the driver's run of the first fold."""
        sql = "UPDATE runs SET experiment = ?, fold = ? WHERE run_id = ?"
        self._execute(sql, experiment, fold, self.run_id)

    def set_pretraining(
        self, event: str, fingerprint: str, table: str, progress: PretrainingProgress
    ) -> None:
        """Record the progress of the pretraining of `event`, which collects into `table`.
        `fingerprint` is the caller's digest of the event's class and arguments."""
        sql = "INSERT OR REPLACE INTO pretraining VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        self._execute(sql, event, fingerprint, table, *astuple(progress), time.time())

    def flush(self) -> None:
        """Commit all results so far. Raises `StorageError` when that fails."""
        self._commit(None)

    def check(self) -> StorageError | None:
        """Commit all results so far; returns the error of files that were deleted meanwhile."""
        with contextlib.suppress(StorageError):
            self.flush()
        return self.lost

    def finish(self, status: RunStatus, exit_code: int, summary: Mapping[str, Any]) -> None:
        """Record how the run ended and what the runner counted."""
        row = (time.time(), status, exit_code, json.dumps(dict(summary), default=str), self.run_id)

        def write() -> None:
            self._connection.execute(
                "UPDATE runs SET finished_at = ?, status = ?, exit_code = ?, summary = ? "
                "WHERE run_id = ?",
                row,
            )
            # Not for an interrupted run: a resume may remove its last results.
            if status != "interrupted":
                save_summary(self._connection, self.run_id, self._summary)

        self.flush()
        self._commit(write)
        self.ended = True

    def close(self) -> None:
        """Write what is left and close the file; safe to call twice.

        Raises `StorageError` when something could not be written; the message says where it is.
        """
        if self._background.ended:
            return
        self._background.end()
        self._background.join()
        try:
            self._background.error = None
            self._commit(None)
        except StorageError as error:
            raise StorageError(f"{error.message}; {self._left()}", hint=error.hint) from error
        finally:
            self._tail.close(remove=not (self._waiting or self._firings))
            self._connection.close()
            self._files.close()
            self._lock.release()

    def _take_back(self, row: WaitingResult) -> bool:
        """Forget a result that is neither in the tail nor in the journal; returns False if the
        thread has written it in the meantime."""
        with self._background.writing, self._adding:
            for at in range(len(self._waiting) - 1, -1, -1):
                if self._waiting[at] is row:
                    del self._waiting[at]
                    self._numbered -= row[0][0] == self._numbered
                    return True
        return False

    def _left(self) -> str:
        """Says where the results and firings are that could not be written."""
        waiting = ", ".join(
            (plural(len(self._waiting), "result"), plural(len(self._firings), "firing"))
        )
        return (
            f"the end of run {self.run_id} ({waiting}) waits in {self._tail.path}; "
            "the next pilot writes it into the journal"
        )

    def _execute(self, sql: str, *arguments: object) -> None:
        """Commit one statement, with all results so far."""
        self._commit(lambda: self._connection.execute(sql, arguments))

    def _write_waiting(self) -> None:
        waiting = self._waiting or self._firings or self._warmed or self._begun is not None
        if waiting or self._files.lost() is not None:
            self._commit(None)

    def _commit(self, write: Callable[[], object] | None) -> None:
        """Write the waiting results and firings, then what `write` does, in one transaction."""
        self._background.raise_error()
        with self._background.writing:
            lost = self._files.lost()
            if lost is not None:
                self._save_elsewhere(lost)
            # Copy the firings first: then the copied results include all results before them.
            begun, warmed = self._begun, self._warmed[:]
            firings = self._firings[:]
            taken = self._waiting[:]
            with transaction(self._connection, self.path):
                plain, special = insert_results(self._connection, self.run_id, taken)
                if firings:
                    insert_firings(self._connection, self.run_id, firings)
                if begun is not None:
                    insert_begun(self._connection, self.run_id, begun)
                self._connection.executemany(
                    "INSERT OR IGNORE INTO warmed VALUES (?, ?, ?)", warmed
                )
                if self._summary.upto - self._summary.saved >= SAVE_AFTER:
                    save_summary(self._connection, self.run_id, self._summary)
                if write is not None:
                    write()
            self._summary.add("ok", plain)
            self._summary.add_mixed(special, _STATUS)
            # Other threads may have appended to the lists: remove only what is committed.
            with self._adding:
                del self._waiting[: len(taken)]
                del self._firings[: len(firings)]
                del self._warmed[: len(warmed)]
                if self._begun is begun:
                    self._begun = None
                for _, _, query in taken:
                    if query is not None:
                        mark(self._stored, query[0])
                if not (self._waiting or self._firings or self._warmed or self._begun):
                    self._tail.clear()
            self._files.note_journal(self.path)  # SQLite makes the side files when it needs them
            if lost is not None and self.lost is not None:
                raise self.lost

    def _save_elsewhere(self, lost: Path) -> None:
        """Continue in a copy of the journal after a file of the run was deleted or replaced."""
        path = self.path
        replaced = path.exists() and not self._files.is_same(path)
        saved = save_copy(self._connection, path, self.run_id, may_replace=not replaced)
        with journal_errors(path):
            self._connection.close()
        self._connection = connect_file(saved)
        # Beside another journal, that one's runs have the names of tails and locks.
        tail = tail_path(path.parent, self.run_id) if saved == path else saved.with_suffix(".tail")
        with self._adding:
            self._tail.close(remove=False)
            tail.unlink(missing_ok=True)
            self._tail = Tail(tail)
        self._files.close()
        self._files.note(tail)
        if saved == path:
            self._lock.renew()
            self._files.note(self._lock.path)
        self._files.note_journal(saved)
        self.path = saved
        self.lost = StorageError(
            f"{lost} was deleted or replaced while run {self.run_id} was written; what the journal "
            f"held is in {saved}",
            hint="Find out what deletes files in this folder before you continue.",
        )


def mark(marks: bytearray, seq: int) -> None:
    """Set the byte of a query to 1."""
    if seq >= len(marks):
        marks.extend(bytes(seq + 1024 - len(marks)))
    marks[seq] = 1
