"""Which event is due, in which order, and what its firing came to.

Events fire one at a time, in the order in which they were registered. One that raises is recorded
with its traceback and stops neither the others nor the run. All counting is here, so that counts
are exact whatever a driver does to its own attributes.
"""

from __future__ import annotations

import contextlib
import heapq
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from pilotcli.common.errors import Interrupted, PilotError, UsageError
from pilotcli.common.records import EventKind, FiringOutcome, FiringReason, ModelVersion
from pilotcli.common.redaction import redacted
from pilotcli.common.signals import Bus, EventStarted, EventTriggered, ModelKept, ModelSaved
from pilotcli.common.suggestions import sentences
from pilotcli.databases.protocols import BaseDBController
from pilotcli.events.base import (
    Event,
    ModelUpdate,
    PeriodicModelUpdateEvent,
    PretrainingModelEvent,
    QueryFinishEvent,
    WorkloadBeforeEvent,
)
from pilotcli.events.calls import EventCalls, EventTimeout
from pilotcli.events.model import CheckpointedModel, Provenance
from pilotcli.events.pretraining import (
    Pretraining,
    PretrainingProgress,
    PretrainingSteps,
    ProgressLog,
)
from pilotcli.events.schedule import Registered, describe, kind_of
from pilotcli.storage.store.data_manager import DataManager

__all__ = [
    "EventLog",
    "EventRunner",
    "PastFirings",
]

CountMode = Literal["finished", "successful"]


@dataclass(frozen=True, slots=True)
class PastFirings:
    """What the events of a run have come to that is continued.

    - `fired`: for each event, how many of its firings have ended;
    - `once`: event and reason of those of which there is one a run;
    - `failures`: those that failed;
    - `counted`: for each event, the queries that it has counted since it fired last;
    - `begun`: the firing that was running: event, reason, query.
    """

    fired: Mapping[str, int]
    once: frozenset[tuple[str, str]]
    failures: Sequence[EventTriggered]
    counted: Callable[[str], int]
    begun: tuple[str, str, int] | None = None


class EventLog(ProgressLog, Protocol):
    """Where firings are kept. The journal is one; without one nothing is kept."""

    def begin_firing(self, event: str, reason: str, after_query: int) -> None:
        """Keep that an event is about to be called."""

    def add_firing(self, signal: EventTriggered, counters: Mapping[str, int]) -> None:
        """Keep a firing, and with it the counters that it has set: for an event, the query after
        which its count began anew."""

    def add_model(self, version: ModelVersion) -> None:
        """Keep a checkpoint."""


class EventRunner:
    """Holds the events of one scheduler and fires what is due.

    Not safe for use by several threads at once: the scheduler serialises its calls.
    """

    def __init__(
        self,
        bus: Bus,
        db_controller: BaseDBController,
        data_manager: DataManager,
        *,
        log: EventLog | None = None,
        run_id: int | None = None,
        count: CountMode = "finished",
        stop_requested: Callable[[], bool] = lambda: False,
        timeout_s: float | None = None,
    ) -> None:
        self.calls = EventCalls(timeout_s, db_controller.cancel, stop_requested)
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
        self._pretraining = Pretraining(
            bus, db_controller, data_manager, self.calls, log=log, stop_requested=stop_requested
        )
        self._workload_begun = False
        self._names: set[str] = set()
        self._counted = 0
        """Queries that the events have counted."""
        self._by_interval: list[tuple[Registered, QueryFinishEvent]] = []
        self._due: list[tuple[int, int]] = []
        """A heap: at which count an event is due next, and its place among those by interval. So
        events that are not due cost nothing, however many there are."""
        self._once: frozenset[tuple[str, str]] = frozenset()
        """What fires once and has: event and reason."""
        self._interrupted: tuple[str, str, int] | None = None

    def register(self, event: Event, name: str | None = None) -> Registered:
        """Add `event` behind those that are there. Raises `UsageError` for what is no event."""
        kind = kind_of(event)
        free = name or _free_name(type(event).__name__, self._names)
        registered = Registered(free, event, kind)
        describe(registered)  # refuses one that its base class was never told of
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
        """Go on from where the events of a run were; call it after all are registered."""
        failed = Counter(one.event for one in past.failures)
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
        """Fire what is due: on a run that is continued, what was after its last query and had not
        ended."""
        while self._due and self._due[0][0] <= self._counted:
            _, place = heapq.heappop(self._due)
            registered, event = self._by_interval[place]
            try:
                self._fire(registered, "interval", after_query, self._processing(registered, event))
            finally:
                # Its firing may have changed its interval.
                following = self._counted + max(1, event.interval_count)
                heapq.heappush(self._due, (following, place))

    def on_init(self, progress: Mapping[str, PretrainingProgress] | None = None) -> None:
        """Fire what fires before the application starts: pretraining, then updates on init."""
        for registered in self.events:
            begun = (progress or {}).get(registered.name, PretrainingProgress())
            complete = begun.collected and begun.trained
            if self.has_fired(registered, "pretraining"):
                continue
            if registered.kind is EventKind.PRETRAINING and not complete:
                self.pretrain(registered, begun)
        for registered in self.events:
            event = registered.event
            if (
                isinstance(event, PeriodicModelUpdateEvent)
                and event.execute_on_init
                and not self.has_fired(registered, "init")
            ):
                self._fire(registered, "init", 0, self._processing(registered, event))

    def before_workload(self) -> None:
        """Fire the enabled `WorkloadBeforeEvent`s, the first time that this is called."""
        if self._workload_begun:
            return
        self._workload_begun = True
        for registered in self.events:
            event = registered.event
            if (
                isinstance(event, WorkloadBeforeEvent)
                and event.enable
                and not self.has_fired(registered, "workload_before")
            ):
                self._fire(registered, "workload_before", 0, self._processing(registered, event))

    def query_finished(self, ok: bool, after_query: int) -> None:
        """Count one finished query, the `after_query`th, and fire what is due after it."""
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
            raise UsageError(f"{registered.name} is no pretraining event")
        begun, wanted = progress or PretrainingProgress(), steps or PretrainingSteps()
        self._fire(
            registered,
            "pretraining",
            0,
            lambda: self._pretraining.run(registered.name, event, begun, wanted),
        )

    def has_fired(self, registered: Registered, reason: FiringReason) -> bool:
        """Whether this firing, of which there is one a run, has ended in an earlier part of it."""
        return (registered.name, reason) in self._once

    def _processing(
        self, registered: Registered, event: QueryFinishEvent | WorkloadBeforeEvent
    ) -> Callable[[], ModelUpdate | None]:
        def process() -> ModelUpdate | None:
            returned = event.process(self._db_controller, self._data_manager)
            return returned if isinstance(returned, ModelUpdate) else None

        return lambda: self.calls.call(registered.name, process)

    def _fire(
        self,
        registered: Registered,
        reason: FiringReason,
        after_query: int,
        call: Callable[[], ModelUpdate | None],
    ) -> None:
        """Call one event and record what became of it; only `Interrupted` passes through."""
        name, kind = registered.name, registered.kind
        resumed = self._interrupted == (name, reason, after_query)
        registered.event.resumed = resumed
        if self._log is not None:
            self._log.begin_firing(name, reason, after_query)
        self._bus.emit(EventStarted(name, kind, reason, after_query, resumed))
        model = registered.model
        if isinstance(model, CheckpointedModel):
            model.provenance = Provenance(registered.name, after_query, self._run_id)
        outcome: FiringOutcome = "ok"
        error = trace = None
        started = time.perf_counter()
        try:
            self._data_manager.flush()
            if self._log is not None:
                firing = f"{self._log.token} {name} {reason} {after_query}"
                self._data_manager.begin_firing(firing, resumed=resumed)
            update = call()
            # What it has saved by and by counts as its own failure, not as somebody else's.
            self._data_manager.flush()
            if update is not None:
                outcome = self._report(registered, update, after_query)
        except Interrupted:
            raise
        except (Exception, SystemExit, KeyboardInterrupt) as exc:
            if self._stop_requested():
                raise Interrupted(f"stopped while {registered.name} was running") from exc
            outcome = "failed"
            error, trace = _told(exc)
        duration_s = time.perf_counter() - started
        registered.event.resumed = False
        with contextlib.suppress(EventTimeout):  # the session is another one by then
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

    def _report(
        self, registered: Registered, update: ModelUpdate, after_query: int
    ) -> FiringOutcome:
        name = update.model.model_name
        if not update.saved:
            self._bus.emit(ModelKept(name, registered.name, after_query))
            return "kept"
        if update.version is not None and self._log is not None:
            self._log.add_model(update.version)
        metrics = dict(update.model.metrics)
        self._bus.emit(ModelSaved(name, registered.name, after_query, update.version, metrics))
        return "ok"


_OWN_MODULES = frozenset({__name__, EventCalls.__module__, Pretraining.__module__})


def _free_name(name: str, taken: set[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free


def _told(exc: BaseException) -> tuple[str, str]:
    """One line for the user and the whole traceback, from the driver's own frame on."""
    text = sentences(str(exc).strip(), exc.hint if isinstance(exc, PilotError) else None)
    line = f"{type(exc).__name__}: {text}" if text else type(exc).__name__
    if isinstance(exc, SystemExit):
        line = f"it called sys.exit({exc.code!r})"
    if isinstance(exc, EventTimeout):
        return redacted(text), redacted(exc.where)
    own = exc.__traceback__
    while own is not None and own.tb_frame.f_globals.get("__name__") in _OWN_MODULES:
        own = own.tb_next
    trace = "".join(traceback.format_exception(type(exc), exc, own or exc.__traceback__))
    return redacted(line), redacted(trace)
