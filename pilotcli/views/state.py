"""What a view knows of a run: counters and rows, updated by each signal.

`apply` is on the path of every query (two calls each), so queries only touch counters here;
words are made of them when a frame or a line is due.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pilotcli.common import signals
from pilotcli.common.records import ModelVersion, QueryStatus, no_queries
from pilotcli.views.stats import LatencyHistogram, RateMeter


@dataclass(slots=True)
class EventRow:
    """An event as its table shows it. `running_since` is on the view's monotonic clock."""

    name: str
    fires: str = ""
    fired: int = 0
    failed: int = 0
    kept: int = 0
    last_after: int | None = None
    last_s: float | None = None
    running_since: float | None = None
    error: str | None = None


@dataclass(slots=True)
class ModelRow:
    """A model as its table shows it. `saved_at` is in seconds since the epoch."""

    name: str
    saves: int = 0
    version: int | None = None
    first_version: int | None = None
    saved_at: float | None = None
    size_bytes: int | None = None
    event: str | None = None
    metric: str | None = None
    value: float | None = None
    before: float | None = None
    first: float | None = None

    def show(self, version: ModelVersion | None, metrics: Mapping[str, float]) -> None:
        """Take over a version and the first of its metrics, or keep on to the metric in use."""
        if version is not None:
            self.version = version.version
            self.saved_at = version.created_at
            self.size_bytes = version.size_bytes
            self.event = version.event or self.event
            if self.first_version is None:
                self.first_version = version.version
        if not metrics:
            return
        name = self.metric
        if name is None or name not in metrics:
            name = next(iter(metrics))
        same = name == self.metric
        self.before = self.value if same else None
        self.value = metrics[name]
        self.first = self.first if same else self.value
        self.metric = name


@dataclass(slots=True)
class Collecting:
    """A pretraining at work, or done. Times are on the view's monotonic clock."""

    event: str
    table: str = ""
    iterations: int = 0
    total_rows: int = 0
    rows: int = 0
    """Collected in this run; `total_rows` includes those of earlier ones."""
    elapsed_s: float = 0.0
    collected: bool = False
    model: str | None = None
    training_since: float | None = None

    @property
    def rows_per_s(self) -> float | None:
        """How fast rows came in, in this run."""
        return self.rows / self.elapsed_s if self.elapsed_s > 0 else None


class RunState:
    """The state of one run. Whoever reads or applies holds `lock`."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time
    ) -> None:
        self.clock = clock
        self.wall = wall
        self.lock = threading.Lock()
        self.run: signals.RunStarted | None = None
        self.finished: signals.RunFinished | None = None
        self.compared: signals.ComparedSoFar | None = None
        """The comparison of a paired run so far."""
        self.database: str | None = None
        self.step: tuple[str, float] | None = None
        self.started: float | None = None
        self.first_query: float | None = None
        self.done = 0
        self.warmup = 0
        self.statuses = no_queries()
        self.latencies = LatencyHistogram()
        self.speed = RateMeter()
        self.running: dict[int, tuple[str, float] | None] = {}
        self.last_label: str | None = None
        self.events: dict[str, EventRow] = {}
        self.models: dict[str, ModelRow] = {}
        self.pretraining: dict[str, Collecting] = {}
        self._apply: dict[type, Callable[[Any], None]] = {
            signals.QueryStarted: self._query_started,
            signals.QueryFinished: self._query_finished,
            signals.RunStarted: self._run_started,
            signals.StepStarted: self._step_started,
            signals.DatabaseReady: self._database_ready,
            signals.EventStarted: self._event_started,
            signals.EventTriggered: self._event_triggered,
            signals.RowsCollected: self._rows_collected,
            signals.CollectionFinished: self._collection_finished,
            signals.TrainingStarted: self._training_started,
            signals.TrainingFinished: self._training_finished,
            signals.ModelLoaded: self._model_loaded,
            signals.ModelSaved: self._model_saved,
            signals.ComparedSoFar: self._compared,
            signals.RunFinished: self._run_finished,
        }

    @property
    def total(self) -> int | None:
        """Queries of the whole run; None where their number is not known."""
        return None if self.run is None else self.run.total

    @property
    def run_id(self) -> str:
        """The run's number; empty before the run began."""
        return "" if self.run is None else str(self.run.run_id)

    @property
    def failed(self) -> int:
        """Queries that ended in an error of their own or of a driver's steering, or with a wrong
        answer."""
        failed: tuple[QueryStatus, ...] = ("error", "steering_error", "wrong_answer")
        return sum(self.statuses[status] for status in failed)

    def apply(self, signal: object) -> None:
        """Fold `signal` in; what is no known signal is left out."""
        fold = self._apply.get(type(signal))
        if fold is not None:
            fold(signal)

    def elapsed_s(self) -> float:
        """Seconds since the run began; 0 before."""
        return 0.0 if self.started is None else self.clock() - self.started

    def _query_started(self, signal: signals.QueryStarted) -> None:
        now = self.clock()
        self.running[signal.worker] = (signal.query.label, now)
        if self.first_query is None and signal.round:
            self.first_query = now
            self.step = None

    def _query_finished(self, signal: signals.QueryFinished) -> None:
        result = signal.result
        self.running[result.worker] = None
        self.last_label = result.label
        if result.round == 0:
            self.warmup += 1
            return
        if self.first_query is None:
            self.first_query = self.clock() - result.elapsed_s
            self.step = None
        self.done += 1
        status = result.status
        self.statuses[status] += 1
        if status == "ok" or status == "timeout":
            self.latencies.add(result.elapsed_s)

    def _run_started(self, signal: signals.RunStarted) -> None:
        self.run = signal
        self.started = self.clock()
        for status, number in signal.before.items():
            self.statuses[status] += number
            self.done += number
        for event in signal.events:
            row = EventRow(event.name, event.fires, event.fired, event.failed)
            self.events[event.name] = row
        for model in signal.models:
            shown = self._model(model.name)
            if model.version is not None:
                shown.show(model.version, model.version.metrics)

    def _step_started(self, signal: signals.StepStarted) -> None:
        self.step = (signal.text, self.clock())

    def _database_ready(self, signal: signals.DatabaseReady) -> None:
        self.database = f"{signal.description} {signal.server_version}"
        if str(signal.server_version) in str(signal.description):
            self.database = signal.description
        self.step = None

    def _event_started(self, signal: signals.EventStarted) -> None:
        self._event(signal.event).running_since = self.clock()
        self.step = None

    def _event_triggered(self, signal: signals.EventTriggered) -> None:
        row = self._event(signal.event)
        row.running_since = None
        row.fired = signal.fired
        row.failed += signal.outcome == "failed"
        row.kept += signal.outcome == "kept"
        row.last_after = signal.after_query
        row.last_s = signal.duration_s
        row.error = signal.error or row.error
        pretraining = self.pretraining.get(signal.event)
        if pretraining is not None:
            pretraining.collected = True
            pretraining.training_since = None

    def _rows_collected(self, signal: signals.RowsCollected) -> None:
        row = self._pretraining(signal.event)
        row.table = signal.table
        row.rows += signal.rows
        row.total_rows = signal.total_rows
        row.iterations = signal.iteration
        row.elapsed_s = signal.elapsed_s

    def _collection_finished(self, signal: signals.CollectionFinished) -> None:
        row = self._pretraining(signal.event)
        row.table = signal.table
        row.total_rows = signal.total_rows
        row.iterations = signal.iterations
        row.elapsed_s = signal.elapsed_s
        row.collected = True

    def _training_started(self, signal: signals.TrainingStarted) -> None:
        row = self._pretraining(signal.event)
        row.model = signal.model
        row.collected = True
        row.training_since = self.clock()

    def _training_finished(self, signal: signals.TrainingFinished) -> None:
        self._pretraining(signal.event).training_since = None

    def _model_loaded(self, signal: signals.ModelLoaded) -> None:
        if signal.version is not None:
            row = self._model(signal.model)
            if row.version != signal.version.version:
                row.show(signal.version, signal.version.metrics)

    def _model_saved(self, signal: signals.ModelSaved) -> None:
        row = self._model(signal.model)
        row.saves += 1
        row.saved_at = self.wall()
        recorded = signal.version.metrics if signal.version is not None else {}
        row.show(signal.version, signal.metrics or recorded)
        row.event = signal.event

    def _compared(self, signal: signals.ComparedSoFar) -> None:
        self.compared = signal

    def _run_finished(self, signal: signals.RunFinished) -> None:
        self.finished = signal
        self.running.clear()

    def _event(self, name: str) -> EventRow:
        return self.events.setdefault(name, EventRow(name))

    def _model(self, name: str) -> ModelRow:
        return self.models.setdefault(name, ModelRow(name))

    def _pretraining(self, name: str) -> Collecting:
        return self.pretraining.setdefault(name, Collecting(name))
