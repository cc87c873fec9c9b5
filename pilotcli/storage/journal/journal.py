"""The journal of all runs in one home folder."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotcli.common.labels import RunLabels
from pilotcli.common.liveness import this_process
from pilotcli.storage.journal.reader import JournalReader
from pilotcli.storage.journal.records import PastRun, RunKind
from pilotcli.storage.journal.recovery import recover
from pilotcli.storage.journal.rows import label_values, storable
from pilotcli.storage.journal.run_lock import highest_number, lock_run
from pilotcli.storage.journal.schema import FILE_NAME, connect, connect_readonly, transaction
from pilotcli.storage.journal.takeover import take_over
from pilotcli.storage.journal.writer import RunJournal

if TYPE_CHECKING:
    from typing_extensions import Self


class Journal(JournalReader):
    """The journal of all runs in `home`: a SQLite file in WAL mode, `home`/journal.db.

    Several pilots may write to it and read it at the same time.
    """

    @classmethod
    def open(cls, home: Path) -> Self:
        """Open the journal, creating folder and file where missing.

        Entries that killed runs left in their tails are recovered. Raises `StorageError` when the
        journal cannot be written, is damaged, or was written by a newer pilot.
        """
        connection = connect(home)
        recover(home)
        return cls(connection, home / FILE_NAME)

    @classmethod
    def open_existing(cls, home: Path) -> Self | None:
        """Open the journal only to read it; None when there is none. Nothing is created.

        Entries that killed runs left in their tails are recovered if the journal can be written.
        Raises `StorageError` when the journal is damaged or was written by a newer pilot.
        """
        recover(home)
        connection = connect_readonly(home)
        return None if connection is None else cls(connection, home / FILE_NAME)

    def start_run(
        self,
        *,
        kind: RunKind,
        workload: str,
        config_path: str | None,
        config_text: str,
        database: str,
        options: Mapping[str, Any],
        request: Mapping[str, Any] | None = None,
        workload_digest: str | None = None,
        driver: int | None = None,
    ) -> RunJournal:
        """Begin a run and return its writer, which has a connection of its own.

        `config_text`, `database` and `request` must not contain secrets, since they are stored
        unchanged. `request` and `workload_digest` are needed to continue the run. `driver` is given
        for a baseline: the run whose queries take turns with those of this one.
        """
        connection = connect(self.path.parent)
        with ExitStack() as undo:
            undo.callback(connection.close)
            with transaction(connection, self.path):
                ((last,),) = connection.execute(
                    "SELECT coalesce(max(run_id), 0) FROM "
                    "(SELECT run_id FROM runs UNION ALL SELECT run_id FROM removed)"
                ).fetchall()
                # A journal that was deleted may have left files of its runs.
                run_id = max(last, highest_number(self.path.parent)) + 1
                connection.execute(
                    "INSERT INTO runs (run_id, kind, workload, config_path, config_text, database, "
                    "options, started_at, status, host, pid, pid_start, request, workload_digest, "
                    "paired_with, arm) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'running', ?, ?, '', ?, ?, ?, ?)",
                    (
                        *(run_id, kind, storable(workload)),
                        storable(config_path) if config_path is not None else None,
                        *(config_text, storable(database)),
                        json.dumps(dict(options), default=str),
                        time.time(),
                        *this_process(),
                        json.dumps(dict(request or {}), default=str),
                        workload_digest,
                        *(driver, None if driver is None else "baseline"),
                    ),
                )
                # Held before others see the run.
                lock = lock_run(self.path.parent, run_id)
                undo.callback(lock.release)
            run = RunJournal(connection, self.path, run_id, lock)
            undo.pop_all()
        return run

    def set_labels(self, run_id: int, labels: RunLabels) -> None:
        """Change what the user calls a run that has been recorded. Raises `StorageError`."""
        with transaction(self._connection, self.path):
            self._connection.execute(
                "UPDATE runs SET name = ?, tags = ?, note = ? WHERE run_id = ?",
                (*label_values(labels), run_id),
            )

    def resume_run(self, run_id: int, *, forced: bool = False) -> tuple[RunJournal, PastRun]:
        """Continue a run; returns its writer and its state. See `takeover.take_over`."""
        return take_over(self.path, run_id, forced=forced)
