"""Pretraining: collect rows until the event has enough of them, then train its model."""

from __future__ import annotations

import contextlib
import json
import operator
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any, Protocol

from pilotcli.common.calls import DriverCalls
from pilotcli.common.errors import DriverError, Interrupted
from pilotcli.common.records import PretrainingProgress
from pilotcli.common.signals import (
    Bus,
    CollectionFinished,
    RowsCollected,
    TrainingFinished,
    TrainingStarted,
)
from pilotcli.events.base import ModelUpdate, PretrainingModelEvent
from pilotcli.steering.controller import PostgreSQLController
from pilotcli.storage.store.data_manager import DataManager


@dataclass(frozen=True, slots=True)
class PretrainingSteps:
    """Which steps to take, of those that the event enables."""

    collect: bool = True
    train: bool = True


class ProgressLog(Protocol):
    """Records the progress of pretrainings.

    `token` identifies the run, also among those of other folders and machines.
    """

    token: str

    def is_own(self, token: str) -> bool:
        """Whether the token belongs to a run recorded here."""

    def mark_of(self, event: str) -> str:
        """Returns the name of the mark that keeps an event's collection progress."""

    def add_progress(self, event: str, table: str, progress: PretrainingProgress) -> None:
        """Record the progress of a pretraining."""


@dataclass(frozen=True, slots=True)
class Pretraining:
    """Runs the pretraining events of one scheduler. Used by one thread at a time."""

    bus: Bus
    db_controller: PostgreSQLController
    data_manager: DataManager
    calls: DriverCalls
    log: ProgressLog | None
    stop_requested: Callable[[], bool]

    def run(
        self,
        name: str,
        event: PretrainingModelEvent,
        progress: PretrainingProgress,
        steps: PretrainingSteps,
    ) -> ModelUpdate | None:
        """Collect and train, from `progress` on. Returns the result of the training, None without
        one.

        Raises what the event raises, `DriverError` for a batch of another form, `StoreError`, and
        `Interrupted` when a stop is requested.
        """
        # Before the first row, so that nothing continues from the state of an older pretraining.
        self._keep_progress(name, event.data_saving_table, progress)
        if event.enable_collection and steps.collect and not progress.collected:
            progress = self._collect(name, event, progress)
        if not (event.enable_training and steps.train) or progress.trained:
            return None
        model = event.bind_pilot_model
        self.bus.emit(TrainingStarted(name, model.model_name))
        started = time.perf_counter()
        update = self.calls.call(name, lambda: event.train(self.db_controller, self.data_manager))
        elapsed_s = time.perf_counter() - started
        self.bus.emit(TrainingFinished(name, model.model_name, elapsed_s))
        self._keep_progress(name, event.data_saving_table, replace(progress, trained=True))
        return update

    def _collect(
        self, name: str, event: PretrainingModelEvent, progress: PretrainingProgress
    ) -> PretrainingProgress:
        """Call the event until its collection is complete; save each batch before the next call."""
        table = event.data_saving_table
        progress = self._saved_progress(name, table, progress)
        started = time.perf_counter()
        while not progress.collected:
            if self.stop_requested():
                raise Interrupted(f"stopped while {name} was collecting")
            event.collected_rows = progress.rows
            event.collection_iteration = progress.iterations
            collected = self.calls.call(
                name,
                lambda: event.iterative_data_collection(self.db_controller, self.data_manager),
            )
            rows, terminate = _checked_batch(collected, name)
            progress = PretrainingProgress(
                progress.rows + len(rows), progress.iterations + 1, collected=terminate
            )
            self.data_manager.save_data_batch(table, rows, mark=self._mark_of(name, progress))
            self._keep_progress(name, table, progress)
            elapsed_s = time.perf_counter() - started
            self.bus.emit(
                RowsCollected(
                    name,
                    table,
                    len(rows),
                    progress.rows,
                    progress.iterations,
                    elapsed_s,
                    _target_rows(name, event),
                )
            )
        elapsed_s = time.perf_counter() - started
        self.bus.emit(
            CollectionFinished(name, table, progress.rows, progress.iterations, elapsed_s)
        )
        return progress

    def _mark_of(self, name: str, progress: PretrainingProgress) -> tuple[str, str] | None:
        """Returns the mark saved with a batch, so that the batch is not collected again if pilot
        is killed right after saving it."""
        if self.log is None:
            return None
        return self.log.mark_of(name), json.dumps([self.log.token, *astuple(progress)])

    def _saved_progress(
        self, name: str, table: str, progress: PretrainingProgress
    ) -> PretrainingProgress:
        """Returns `progress`, or that of the batch after it, if the run was killed after saving
        that batch."""
        if self.log is None:
            return progress
        text = self.data_manager.mark(table, self.log.mark_of(name))
        if text is None:
            return progress
        token, *saved = json.loads(text)
        later = PretrainingProgress(*saved)
        is_next = later.iterations == progress.iterations + 1 and self.log.is_own(token)
        return later if is_next else progress

    def _keep_progress(self, name: str, table: str, progress: PretrainingProgress) -> None:
        if self.log is not None:
            self.log.add_progress(name, table, progress)


def _target_rows(name: str, event: PretrainingModelEvent) -> int | None:
    """Returns how many rows the event wants; raises `DriverError` for what is no such number."""
    target = event.target_rows
    if target is None:
        return None
    with contextlib.suppress(TypeError):
        if operator.index(target) >= 0:
            return operator.index(target)
    raise DriverError(
        f"{name}.target_rows is {target!r}, not a number of rows",
        hint="Set it to a whole number, or leave it None where the number is not known.",
    )


def _checked_batch(returned: Any, name: str) -> tuple[Sequence[Mapping[str, Any]], bool]:
    """Returns rows and `terminate`; raises `DriverError` for a value of another form."""
    try:
        rows, terminate = returned
        rows = list(rows)
    except (TypeError, ValueError):
        rows, terminate = None, None
    if rows is None or not all(isinstance(row, Mapping) for row in rows):
        raise DriverError(
            f"{name}.iterative_data_collection returned {type(returned).__name__}, "
            "not (rows, terminate)",
            hint="Return a list of dicts (column to value) and a bool, for example `rows, True`.",
        )
    return rows, bool(terminate)
