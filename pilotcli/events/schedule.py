"""When events fire: their kinds, a description in words, and the plan of a run."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pilotcli.common.errors import UsageError
from pilotcli.common.records import EventKind, FiringReason
from pilotcli.common.signals import EventInfo
from pilotcli.events.base import (
    Event,
    PeriodicModelUpdateEvent,
    PretrainingModelEvent,
    QueryFinishEvent,
    WorkloadBeforeEvent,
)
from pilotcli.events.model import PilotModel


@dataclass(slots=True)
class Registered:
    """An event with its name and its counts."""

    name: str
    event: Event
    kind: EventKind
    fired: int = 0
    failed: int = 0

    @property
    def model(self) -> PilotModel | None:
        """The model that the event trains, updates or saves, whatever its attribute is called."""
        if isinstance(self.event, PretrainingModelEvent):
            return self.event.bind_pilot_model
        if isinstance(self.event, PeriodicModelUpdateEvent) or self.event.pilot_model is not None:
            return self.event.pilot_model
        models = (value for value in vars(self.event).values() if isinstance(value, PilotModel))
        return next(models, None)


def kind_of(event: Event | type[Event]) -> EventKind:
    """Returns the kind of an event or an event class. Raises `UsageError` for anything else."""
    cls = event if isinstance(event, type) else type(event)
    for base, kind in _KINDS:
        if issubclass(cls, base):
            return kind
    raise UsageError(
        f"{cls.__name__} is not an event",
        hint="An event derives from " + ", ".join(base.__name__ for base, _ in _KINDS) + ".",
    )


_KINDS: tuple[tuple[type[Event], EventKind], ...] = (
    (PeriodicModelUpdateEvent, EventKind.PERIODIC_UPDATE),
    (QueryFinishEvent, EventKind.QUERY_FINISH),
    (WorkloadBeforeEvent, EventKind.WORKLOAD_BEFORE),
    (PretrainingModelEvent, EventKind.PRETRAINING),
)


def describe(registered: Registered) -> EventInfo:
    """Returns when the event fires, in words.

    Raises `UsageError` for an event that did not call its base class's `__init__`.
    """
    try:
        return _describe(registered)
    except AttributeError as exc:
        raise UsageError(
            f"the event {registered.name!r} is not complete: {exc}",
            hint="Its __init__ must call super().__init__(...) with the base's arguments.",
        ) from exc


def _describe(registered: Registered) -> EventInfo:
    event = registered.event
    fires = "before the first query"
    if isinstance(event, QueryFinishEvent):
        every = event.interval_count
        fires = "after every query" if every == 1 else f"after every {every} queries"
        if isinstance(event, PeriodicModelUpdateEvent) and event.execute_on_init:
            fires = f"at the start, {fires}"
    elif isinstance(event, WorkloadBeforeEvent):
        fires = fires if event.enable else "never (enable=False)"
    elif isinstance(event, PretrainingModelEvent):
        steps = {
            f"collects into {event.data_saving_table}": event.enable_collection,
            "trains": event.enable_training,
        }
        done = " and ".join(step for step, enabled in steps.items() if enabled)
        fires = f"before the run: {done}" if done else "never (neither collects nor trains)"
    model = registered.model
    return EventInfo(
        registered.name,
        registered.kind,
        fires,
        model.model_name if model else None,
        registered.fired,
        registered.failed,
    )


def fires_once_for(event: Event, reason: FiringReason) -> bool:
    """Whether the event fires for `reason`, one that comes once in a run."""
    if reason == "pretraining":
        return isinstance(event, PretrainingModelEvent)
    if reason == "init":
        return isinstance(event, PeriodicModelUpdateEvent) and event.execute_on_init
    return isinstance(event, WorkloadBeforeEvent) and event.enable


def firing_plan(
    events: Sequence[Registered], queries: int
) -> Iterator[tuple[FiringReason, int, str]]:
    """Yields each firing of a run over `queries` queries, in order: its reason, the number of
    queries finished before it, and the event's name. Calls no event."""
    reasons: tuple[FiringReason, ...] = ("pretraining", "init", "workload_before")
    for reason in reasons if queries else reasons[:2]:
        for registered in events:
            if fires_once_for(registered.event, reason):
                yield reason, 0, registered.name
    due = [
        zip(range(every, queries + 1, every), itertools.repeat(place))
        for place, registered in enumerate(events)
        if isinstance(registered.event, QueryFinishEvent)
        for every in [registered.event.interval_count]
    ]
    for after_query, place in heapq.merge(*due):
        yield "interval", after_query, events[place].name


def firings_in(events: Sequence[Registered], queries: int) -> int:
    """Returns the number of firings that `firing_plan` yields, without going through them."""
    at_intervals = sum(
        queries // registered.event.interval_count
        for registered in events
        if isinstance(registered.event, QueryFinishEvent)
    )
    others = sum(why != "interval" for why, _, _ in firing_plan(events, min(queries, 1)))
    return at_intervals + others
