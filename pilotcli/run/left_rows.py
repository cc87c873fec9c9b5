"""Takes over rows that ended runs have collected and not saved: each start in a home does so.

A run that is killed, or loses its store, leaves them in files. A resume saves them; if nobody
resumes the run, the next start with the same store does. The run can be resumed all the same.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from pilotcli.common.errors import PilotError
from pilotcli.common.quantities import plural
from pilotcli.common.signals import Bus, Notice
from pilotcli.config import PilotConfig, RunConfig, shown_config
from pilotcli.run.log import schema_of, token_of
from pilotcli.storage.journal import Journal, RunRecord
from pilotcli.storage.journal.run_lock import is_alive, lock_run
from pilotcli.storage.store.data_manager import DataManager
from pilotcli.storage.store.unsaved_rows import WaitingRows, runs_with_rows


@dataclass(frozen=True, slots=True)
class LeftRows:
    """The rows that ended runs of `journal` have left in `home`, and the run that takes them over:
    its config, and its database in words."""

    home: Path
    journal: Journal
    config: RunConfig
    database: str
    bus: Bus

    def take_over(
        self, manager_class: type[DataManager], config: PilotConfig, but: Collection[int | None]
    ) -> None:
        """Save the rows of all ended runs, except the runs `but`, and delete their files.

        Rows of another store stay, as do those that cannot be saved now; a notice says so.
        """
        for run_id in runs_with_rows(self.home):
            if run_id in but or is_alive(self.home, run_id):
                continue
            try:
                lock = lock_run(self.home, run_id)
                try:
                    record = self.journal.run(run_id)
                    own = copy.copy(config)
                    own.store_schema = schema_of(record)
                    self._save(record, manager_class(own))
                finally:
                    lock.release()
            except PilotError as error:
                self._warn(f"what run {run_id} collected is not saved: {error.message}")

    def _save(self, record: RunRecord, manager: DataManager) -> None:
        run_id = record.run_id
        waiting = WaitingRows(self.home, run_id)
        most = self.journal.last_result(run_id)
        left = [row for row in waiting.left() if row.number <= most]
        if not self._has_same_store(record):
            if not left:
                waiting.forget(waiting.cut())
                return
            waits = plural(len(left), "row waits", "rows wait")
            self._warn(
                f"{waits} in {waiting.where} for the store of run {run_id}, which collected them: "
                f"`pilot run --resume {run_id}`, or any run with its config, saves them"
            )
            return
        manager.keep_rows(waiting, token_of(record))
        saved = {}
        try:
            manager.connect()
            for table in dict.fromkeys(row.table for row in left):
                saved[table] = manager.append_kept(left, table, most)
        finally:
            manager.close()
        for table, count in saved.items():
            if count:
                rows = plural(count, "row")
                text = f"{rows} for {table}, collected by run {run_id}, now in the store"
                self.bus.emit(Notice("info", text))

    def _has_same_store(self, record: RunRecord) -> bool:
        before = json.loads(record.config_text)
        now = json.loads(json.dumps(shown_config(self.config), default=str))
        if not before or before["store"] != now["store"]:
            return False
        if now["store"]["dsn"] is not None:
            return True
        # The store is beside the target.
        if before["database"]["dsn"] is not None or now["database"]["dsn"] is not None:
            return bool(before["database"]["dsn"] == now["database"]["dsn"])
        embedded = [" embedded in " in text for text in (record.database, self.database)]
        if all(embedded):
            return bool(before["home"] == now["home"])
        return not any(embedded) and record.database == self.database

    def _warn(self, text: str) -> None:
        self.bus.emit(Notice("warning", text))
