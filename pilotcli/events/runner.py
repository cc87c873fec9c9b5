"""Fires events: one at a time, in the order in which they were registered.

An event that raises is recorded with its traceback; the other events and the run go on. The runner
does all counting, so that counts are exact whatever a driver does to its own attributes.
"""

from __future__ import annotations

import contextlib
import heapq
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol

from pilotcli.common.calls import CallTimeout, DriverCalls
from pilotcli.common.errors import (
    Interrupted,
    PilotError,
    StorageError,
    UsageError,
)
from pilotcli.common.failures import failure_of
from pilotcli.common.records import FiringOutcome, FiringReason, ModelVersion, PretrainingProgress
from pilotcli.common.redaction import redacted
from pilotcli.common.signals import (
    Bus,
    EventStarted,
    EventTriggered,
    ModelKept,
    ModelSaved,
    PhaseStarted,
)
from pilotcli.common.suggestions import sentences
from pilotcli.databases.session.watchdog import cancel_statements
from pilotcli.events.base import (
    Event,
    ModelUpdate,
    PeriodicModelUpdateEvent,
    PretrainingModelEvent,
    QueryFinishEvent,
    WorkloadBeforeEvent,
)
from pilotcli.events.model import CheckpointedModel, Provenance
from pilotcli.events.pretraining import Pretraining, PretrainingSteps, ProgressLog
from pilotcli.events.schedule import Registered, describe, fires_once_for, kind_of
from pilotcli.steering.controller import PostgreSQLController
from pilotcli.storage.store.connection import StoreUnreachableError
from pilotcli.storage.store.data_manager import DataManager

CountMode = Literal["finished", "successful"]


@dataclass(frozen=True, slots=True)
class PastFirings:
    """The firings of a run that is being continued.

    - `fired`: for each event, how many of its firings have ended;
    - `once`: event and reason of the ended firings that come once in a run;
    - `failures`: the failed firings;
    - `counted`: returns how many queries an event has counted since its last firing;
    - `begun`: the firing that was running: event, reason, query.
    """

    fired: Mapping[str, int]
    once: frozenset[tuple[str, str]]
    failures: Sequence[EventTriggered]
    counted: Callable[[str], int]
    begun: tuple[str, str, int] | None = None


class EventLog(ProgressLog, Protocol):
    """Records firings, as the journal does."""

    def begin_firing(self, event: str, reason: str, after_query: int) -> None:
        """Record that an event is about to be called."""

    def add_firing(self, signal: EventTriggered, counters: Mapping[str, int]) -> None:
        """Record a firing. `counters`: for an event, the query after which its count restarts."""

    def add_model(self, version: ModelVersion) -> None:
        """Record a checkpoint."""


class EventRunner:
    """Holds the events of one scheduler and fires those that are due.

    Used by one thread at a time: the scheduler serialises its calls.
    """

    def __init__(
        self,
        bus: Bus,
        db_controller: PostgreSQLController,
        data_manager: DataManager,
        *,
        log: EventLog | None = None,
        run_id: int | None = None,
        count: CountMode = "finished",
        stop_requested: Callable[[], bool] = lambda: False,
        timeout_s: float | None = None,
        saved: Callable[[ModelVersion], object] = lambda version: None,
    ) -> None:
        """`saved` is called with each version that an event has saved, once the log has the firing;
        what it raises is passed on."""
        self.calls = DriverCalls(timeout_s, self._cancel, stop_requested)
        self.events: list[Registered] = []
        self.failures: list[EventTriggered] = []
        self.firings = 0
        self._bus = bus
        self._db_controller = db_controller
        self._data_manager = data_manager
        self._log = log
        self._run_id = run_id
        self._count = count
        self._stop_requested = stop_requested
        self._saved = saved
        self.event_failed: Callable[[Registered, FiringReason, BaseException], object] = (
            lambda registered, reason, error: None
        )
        """Called with what an event has raised, once the firing is recorded; what this raises is
        passed on."""
        self._pretraining = Pretraining(
            bus, db_controller, data_manager, self.calls, log=log, stop_requested=stop_requested
        )
        self.frozen = False
        """Whether models stay as they are: no `PeriodicModelUpdateEvent` fires."""
        self._workload_begun = self._pretraining_begun = False
        self._names: set[str] = set()
        self._counted = 0
        """How many queries the events have counted."""
        self._by_interval: list[tuple[Registered, QueryFinishEvent]] = []
        self._due: list[tuple[int, int]] = []
        """A heap: the count at which an event is due next, and its place in `_by_interval`. So
        events that are not due cost nothing, however many there are."""
        self._once: frozenset[tuple[str, str]] = frozenset()
        """Event and reason of the ended firings that come once in a run."""
        self._interrupted: tuple[str, str, int] | None = None

    def _cancel(self, belongs: Callable[[int], bool]) -> None:
        """Cancel what an event runs: over its controller, or over one that it made itself."""
        self._db_controller.cancel()
        cancel_statements(belongs)

    def register(self, event: Event, name: str | None = None) -> Registered:
        """Add `event` after the others. Raises `UsageError` for an object that is not an event, a
        name that is taken, or an event that did not call its base class's `__init__`."""
        kind = kind_of(event)
        free = name or _free_name(type(event).__name__, self._names)
        registered = Registered(free, event, kind)
        describe(registered)  # for the errors that it raises
        if registered.name in self._names:
            raise UsageError(
                f"two events are named {registered.name!r}", hint="Give one of them another name."
            )
        self.events.append(registered)
        self._names.add(registered.name)
        if isinstance(event, QueryFinishEvent):
            due = self._counted + event.interval_count
            heapq.heappush(self._due, (due, len(self._by_interval)))
            self._by_interval.append((registered, event))
        return registered

    def restore(self, past: PastFirings) -> None:
        """Continue from the firings of an earlier part of the run. Call it after `register`."""
        failed = Counter(failure.event for failure in past.failures)
        for registered in self.events:
            registered.fired = past.fired.get(registered.name, 0)
            registered.failed = failed[registered.name]
            self.firings += registered.fired
        self._due = [
            (self._counted + max(0, event.interval_count - past.counted(registered.name)), place)
            for place, (registered, event) in enumerate(self._by_interval)
        ]
        heapq.heapify(self._due)
        self._once = past.once
        self.failures.extend(past.failures)
        self._interrupted = past.begun

    def fire_due(self, after_query: int) -> None:
        """Fire the events that are due. Right after a resume these are the firings, after the last
        query, that had not ended."""
        while self._due and self._due[0][0] <= self._counted:
            _, place = heapq.heappop(self._due)
            registered, event = self._by_interval[place]
            try:
                if not (self.frozen and isinstance(event, PeriodicModelUpdateEvent)):
                    self._process(registered, "interval", after_query)
            finally:
                # The event may have changed its interval.
                following = self._counted + max(1, event.interval_count)
                heapq.heappush(self._due, (following, place))

    def on_init(self, progress: Mapping[str, PretrainingProgress] | None = None) -> None:
        """Fire the events that come before the workload: pretraining, then updates on init."""
        for registered in self._to_fire_once("pretraining"):
            begun = (progress or {}).get(registered.name, PretrainingProgress())
            if not (begun.collected and begun.trained):
                self.pretrain(registered, begun)
        for registered in self._to_fire_once("init"):
            self._process(registered, "init", 0)

    def before_workload(self) -> None:
        """Fire the enabled `WorkloadBeforeEvent`s on the first call."""
        if self._workload_begun:
            return
        self._workload_begun = True
        for registered in self._to_fire_once("workload_before"):
            self._process(registered, "workload_before", 0)

    def query_finished(self, ok: bool, after_query: int) -> None:
        """Count a finished query (`after_query` have finished so far), and fire the due events."""
        if not ok and self._count == "successful":
            return
        self._counted += 1
        self.fire_due(after_query)

    def pretrain(
        self,
        registered: Registered,
        progress: PretrainingProgress | None = None,
        steps: PretrainingSteps | None = None,
    ) -> None:
        """Collect and train with one pretraining event, from `progress` on."""
        event = registered.event
        if not isinstance(event, PretrainingModelEvent):
            raise UsageError(f"{registered.name} is not a pretraining event")
        begun, steps = progress or PretrainingProgress(), steps or PretrainingSteps()
        if not self._pretraining_begun:
            self._pretraining_begun = True
            self._bus.emit(PhaseStarted("pretraining", 0))
        call = partial(self._pretraining.run, registered.name, event, begun, steps)
        self._fire(registered, "pretraining", 0, call)

    def fire(
        self, registered: Registered, steps: PretrainingSteps | None = None, after_query: int = 0
    ) -> None:
        """Fire one event now, whether or not it is due; a pretraining takes the `steps`."""
        if isinstance(registered.event, PretrainingModelEvent):
            self.pretrain(registered, None, steps)
        elif isinstance(registered.event, WorkloadBeforeEvent):
            self._process(registered, "workload_before", after_query)
        else:
            self._process(registered, "interval", after_query)

    def has_fired(self, registered: Registered, reason: FiringReason) -> bool:
        """Whether this firing, which comes once in a run, ended in an earlier part of the run."""
        return (registered.name, reason) in self._once

    def _to_fire_once(self, reason: FiringReason) -> Iterator[Registered]:
        for registered in self.events:
            if fires_once_for(registered.event, reason) and not self.has_fired(registered, reason):
                yield registered

    def _process(self, registered: Registered, reason: FiringReason, after_query: int) -> None:
        event = registered.event
        assert isinstance(event, (QueryFinishEvent, WorkloadBeforeEvent))
        process = partial(event.process, self._db_controller, self._data_manager)
        self._fire(
            registered, reason, after_query, lambda: self.calls.call(registered.name, process)
        )

    def _fire(
        self,
        registered: Registered,
        reason: FiringReason,
        after_query: int,
        call: Callable[[], Any],
    ) -> None:
        """Call one event and record the outcome.

        Raises `Interrupted`, `StoreUnreachableError` when the store fails, `StorageError` when the
        journal does (neither is a fault of the event, which fires again on resumption), and what
        `event_failed` raises.
        """
        name, kind = registered.name, registered.kind
        resumed = self._interrupted == (name, reason, after_query)
        # Rows that were collected before. If the store refuses some, that is the run's failure.
        self._data_manager.flush_collected()
        if self._log is not None:
            firing = f"{self._log.token} {name} {reason} {after_query}"
            self._data_manager.begin_firing(firing, resumed=resumed)
        registered.event.resumed = resumed
        if self._log is not None:
            self._log.begin_firing(name, reason, after_query)
        self._bus.emit(EventStarted(name, kind, reason, after_query, resumed))
        self._name_origin(registered, after_query)
        saved: Sequence[ModelVersion | None] = ()
        outcome: FiringOutcome = "ok"
        error = trace = None
        raised: BaseException | None = None
        started = time.perf_counter()
        try:
            returned = call()
            self._data_manager.flush()  # if its rows cannot be written, the event has failed
            saved = self._report_saves(registered, after_query)
            if isinstance(returned, ModelUpdate) and not (returned.saved or saved):
                self._bus.emit(ModelKept(returned.model.model_name, name, after_query))
                outcome = "kept"
        except Interrupted:
            raise
        except BaseException as exc:  # a driver can raise any class
            if self._stop_requested():
                raise Interrupted(f"stopped while {registered.name} was running") from exc
            # A plain StorageError is the journal's, about the model or the progress.
            if isinstance(exc, StoreUnreachableError) or type(exc) is StorageError:
                raise
            outcome, raised = "failed", exc
            error, trace = _describe(exc)
            saved = self._report_saves(registered, after_query)  # before it failed
        duration_s = time.perf_counter() - started
        registered.event.resumed = False
        with contextlib.suppress(CallTimeout):  # the session has been replaced
            self.calls.call("", self._db_controller.reset)
        self.firings += 1
        registered.fired += 1
        registered.failed += outcome == "failed"
        signal = EventTriggered(
            event=name,
            kind=kind,
            reason=reason,
            after_query=after_query,
            outcome=outcome,
            duration_s=duration_s,
            fired=registered.fired,
            error=error,
            traceback=trace,
            resumed=resumed,
        )
        if self._log is not None:
            self._log.add_firing(signal, {name: after_query} if reason == "interval" else {})
        if outcome == "failed":
            self.failures.append(signal)
        self._bus.emit(signal)
        for version in saved:
            if version is not None:
                self._saved(version)
        if raised is not None:
            self.event_failed(registered, reason, raised)

    def _name_origin(self, registered: Registered, after_query: int) -> None:
        """Give the event's model the origin of what is saved from here on."""
        model = registered.model
        if isinstance(model, CheckpointedModel):
            model.provenance = Provenance(registered.name, after_query, self._run_id)
        if model is not None:
            model.pilot_saves = ()

    def _report_saves(
        self, registered: Registered, after_query: int
    ) -> Sequence[ModelVersion | None]:
        """Record the versions that the event has saved, and return them."""
        model = registered.model
        if model is None:
            return ()
        saved, model.pilot_saves = model.pilot_saves, ()
        for version in saved:
            if version is not None and self._log is not None:
                self._log.add_model(version)
            metrics = dict(model.metrics if version is None else version.metrics)
            signal = ModelSaved(model.model_name, registered.name, after_query, version, metrics)
            self._bus.emit(signal)
        return saved


_OWN_MODULES = frozenset({__name__, DriverCalls.__module__, Pretraining.__module__})


def _free_name(name: str, taken: set[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free


def _describe(exc: BaseException) -> tuple[str, str]:
    """Returns one line for the user, and the traceback that starts at the driver's own frame."""
    if isinstance(exc, CallTimeout):
        return redacted(str(exc)), redacted(exc.where)
    line = sentences(failure_of(exc), exc.hint if isinstance(exc, PilotError) else None)
    frame = exc.__traceback__
    while frame is not None and frame.tb_frame.f_globals.get("__name__") in _OWN_MODULES:
        frame = frame.tb_next
    trace = "".join(traceback.format_exception(type(exc), exc, frame or exc.__traceback__))
    return redacted(line), redacted(trace)
