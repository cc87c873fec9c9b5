"""What a view knows of a run: counters and rows, updated by each signal.

`apply` is on the path of every query (two calls each), so queries only touch counters here;
words are made of them when a frame or a line is due.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from pilotcli.common import signals
from pilotcli.common.records import QueryStatus, no_queries
from pilotcli.views.progress import Progress
from pilotcli.views.recent import RecentQueries, Trend
from pilotcli.views.rows import Collecting, EventRow, ModelRow
from pilotcli.views.stats import LatencyHistogram, RateMeter


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
        self.compared: dict[str, signals.ComparedSoFar] = {}
        """The comparisons of a paired run so far, by baseline."""
        self.database: str | None = None
        self.step: tuple[str, float] | None = None
        self.started: float | None = None
        self.progress = Progress()
        self.done = 0
        """Queries that have ended in the driver's arm, without warm-up."""
        self.statuses = no_queries()
        self.latencies = LatencyHistogram()
        self.warm_latencies = LatencyHistogram()
        """Those of the warm-up, in all arms."""
        self.recent = RecentQueries()
        self.trend = Trend()
        self.speed = RateMeter()
        self.running: dict[int, tuple[str, float] | None] = {}
        self.last_label: str | None = None
        self.longest_label = 0
        """Characters of the longest label so far."""
        self.events: dict[str, EventRow] = {}
        self.models: dict[str, ModelRow] = {}
        self.pretraining: dict[str, Collecting] = {}
        self._apply: dict[type, Callable[[Any], None]] = {
            signals.QueryStarted: self._query_started,
            signals.QueryFinished: self._query_finished,
            signals.ExecutionFinished: self._execution_finished,
            signals.PairFinished: self._pair_finished,
            signals.PhaseStarted: self._phase_started,
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

    def shown_latencies(self) -> tuple[Sequence[float | None], bool]:
        """The 50th, 95th and 99th percentile, and whether they are of the warm-up: during it, and
        before there are others. Empty without any."""
        phase = self.progress.phase
        warms = not self.latencies.total or (phase is not None and phase.phase == "warm-up")
        warm = warms and self.warm_latencies.total > 0
        found = self.warm_latencies if warm else self.latencies
        return (found.percentiles(0.5, 0.95, 0.99) if found.total else ()), warm

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
        self.step = None
        if self.progress.first is None:
            self.progress.first = now

    def _query_finished(self, signal: signals.QueryFinished) -> None:
        result = signal.result
        self.running[result.worker] = None
        phase = self.progress.phase
        self._ended(result.label, result.elapsed_s)
        self.recent.add(result, phase.phase if phase is not None else None)
        self.done += 1
        status = result.status
        self.statuses[status] += 1
        if status == "ok" or status == "timeout":
            self.latencies.add(result.elapsed_s)
            self.trend.add(result.elapsed_s)

    def _execution_finished(self, signal: signals.ExecutionFinished) -> None:
        self._ended(signal.label, signal.elapsed_s)
        if signal.arm is None:
            self._end_running(signal.label)
        if signal.phase != "comparison":
            self.recent.add_execution(signal)
        if signal.phase == "warm-up" and signal.elapsed_s is not None:
            self.warm_latencies.add(signal.elapsed_s)

    def _ended(self, label: str, elapsed_s: float | None) -> None:
        """Count an execution of any kind."""
        self.last_label = label
        if len(label) > self.longest_label:
            self.longest_label = len(label)
        self.step = None
        if self.progress.first is None:
            self.progress.first = self.clock() - (elapsed_s or 0.0)
        self.progress.count()

    def _end_running(self, label: str) -> None:
        """Nobody runs this query any more; the signal does not say who did."""
        for worker, entry in self.running.items():
            if entry is not None and entry[0] == label:
                self.running[worker] = None
                return

    def _pair_finished(self, signal: signals.PairFinished) -> None:
        self.recent.add_pair(signal)
        if signal.baseline_status in ("ok", "timeout"):
            self.trend.last.add_arm(signal.against, signal.baseline_s)

    def _phase_started(self, signal: signals.PhaseStarted) -> None:
        if signal.phase == "comparison":  # latencies of what a driver learned from are others
            self.latencies = LatencyHistogram()
        self.progress.begin_phase(signal)
        self.running.clear()

    def _run_started(self, signal: signals.RunStarted) -> None:
        self.run = signal
        self.started = self.clock()
        self.progress.begin(signal)
        self.trend.begin(signal.total)
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
        row.total_s += signal.duration_s
        self.trend.last.firings += 1
        self.trend.last.failures += signal.outcome == "failed"
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
        row.target_rows = signal.target_rows
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
        self.trend.last.saves += 1
        row.saved_at = self.wall()
        recorded = signal.version.metrics if signal.version is not None else {}
        row.show(signal.version, signal.metrics or recorded)
        row.event = signal.event

    def _compared(self, signal: signals.ComparedSoFar) -> None:
        self.compared[signal.against] = signal

    def _run_finished(self, signal: signals.RunFinished) -> None:
        self.finished = signal
        self.running.clear()

    def _event(self, name: str) -> EventRow:
        return self.events.setdefault(name, EventRow(name))

    def _model(self, name: str) -> ModelRow:
        return self.models.setdefault(name, ModelRow(name))

    def _pretraining(self, name: str) -> Collecting:
        return self.pretraining.setdefault(name, Collecting(name))
