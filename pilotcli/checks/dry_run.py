"""What a run would do, found out without a database: its queries, its events, their firings."""

from __future__ import annotations

import contextlib
import inspect
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pilotcli.checks.named import check_named
from pilotcli.common.errors import PilotError, UsageError
from pilotcli.common.records import EventKind, FiringReason
from pilotcli.config import PostgreSQLConfig, RunConfig, choose_embedded
from pilotcli.config.model import EventSpec
from pilotcli.databases.unused_settings import refuse_unused
from pilotcli.events.schedule import Registered, describe, firing_plan, kind_of
from pilotcli.plugins import check_plugins
from pilotcli.plugins.checks import load_class
from pilotcli.replay.load import refuse_contradictions
from pilotcli.run.experiment import open_experiments
from pilotcli.run.request import RunRequest, select_events
from pilotcli.steering.handlers import (
    BasePushHandler,
    CardPushHandler,
    CommentPushHandler,
    HintPushHandler,
    IndexPushHandler,
    JoinOrderPushHandler,
    KnobPushHandler,
    QueryPushHandler,
    ScanJoinMethodPushHandler,
)
from pilotcli.workload import open_workload


@dataclass(frozen=True, slots=True)
class EventListing:
    """One event of a config, as `pilot events list` shows it.

    A disabled event is not built: its `kind` and `file` are None where its class cannot be loaded.
    """

    name: str
    kind: EventKind | None
    fires: str
    model: str | None
    class_path: str
    file: str | None
    enabled: bool


@dataclass(frozen=True, slots=True)
class HandlerListing:
    """One handler of a config, as `pilot handlers list` shows it."""

    name: str
    pushes: str
    called: str
    model: str | None
    class_path: str
    file: str | None


@dataclass(frozen=True, slots=True)
class Examination:
    """What a run would do. `queries` counts one round; `config` is after all overrides."""

    workload: str
    queries: int
    config: RunConfig
    events: tuple[Registered, ...]
    handlers: tuple[BasePushHandler, ...]
    notices: tuple[str, ...] = ()

    @property
    def executions(self) -> int:
        """Queries over all rounds, warm-up excluded."""
        return self.queries * self.config.run.repeat

    def firings(self) -> Iterator[tuple[FiringReason, int, str]]:
        """Every firing in its order: why, after how many finished queries, which event."""
        return firing_plan(self.events, self.executions)


@dataclass(frozen=True, slots=True)
class Learning:
    """What a driver learns from before it is compared: the workload and its queries, `rounds`, the
    number `judged` of queries to be compared, and the warning if they `overlap`. Of a
    cross-validation with several `folds`, the first."""

    workload: str
    queries: int
    rounds: int
    judged: int
    overlap: str | None
    folds: int


def examine_learning(request: RunRequest) -> Learning | None:
    """Read what a paired run learns from; None for the workload itself. Raises what a run would
    raise."""
    with open_experiments(request, lambda text: None) as experiments:
        first = experiments[0]
        if first.learning is None:
            return None
        return Learning(
            first.learning.description,
            sum(1 for _ in first.learning),
            request.config.run.learning_rounds,
            sum(1 for _ in first.test),
            first.overlap(),
            len(experiments),
        )


def examine(request: RunRequest) -> Examination:
    """Read the whole workload and build all classes; raises what a run would raise."""
    config = request.config
    paths = request.workload or config.workload
    if not paths:
        raise UsageError("there is no workload to look at", hint="Name a file, a glob or a folder.")
    refuse_contradictions(config.run)
    config = replace(config, events=select_events(config.events, request.events))
    events, handlers = _build(config)
    check_named(config, workload=False)
    notices: list[str] = []
    with open_workload(
        paths,
        stdin=request.stdin,
        limit=config.run.limit,
        select=config.run.select,
        exclude=config.run.exclude,
        notify=notices.append,
    ) as workload:
        queries = sum(1 for _ in workload)
        description = workload.description
    return Examination(description, queries, config, events, handlers, tuple(notices))


def list_events(config: RunConfig) -> tuple[EventListing, ...]:
    """Every event of `config`, the disabled ones too, in the order in which they fire."""
    built = {registered.name: registered for registered in _build(config, handlers=False)[0]}
    return tuple(
        _enabled(spec, built[spec.name]) if spec.enabled else _disabled(spec, config.base)
        for spec in config.events
    )


def list_handlers(config: RunConfig) -> tuple[HandlerListing, ...]:
    """Every handler of `config`, in the order in which they are called for a query."""
    built = _build(replace(config, events=()))[1]
    return tuple(
        HandlerListing(
            spec.name,
            _pushes(handler),
            "before each query" if isinstance(handler, QueryPushHandler) else "before the workload",
            spec.model,
            spec.class_path,
            _source(type(handler)),
        )
        for spec, handler in zip(config.handlers, built, strict=True)
    )


_PUSHES: tuple[tuple[type[BasePushHandler], str], ...] = (
    (HintPushHandler, "hints"),
    (CardPushHandler, "cardinalities"),
    (CommentPushHandler, "comment"),
    (ScanJoinMethodPushHandler, "methods"),
    (JoinOrderPushHandler, "join order"),
    (KnobPushHandler, "knobs"),
    (IndexPushHandler, "indexes"),
)


def _pushes(handler: BasePushHandler) -> str:
    return next((word for kind, word in _PUSHES if isinstance(handler, kind)), "other")


def _enabled(spec: EventSpec, registered: Registered) -> EventListing:
    info = describe(registered)
    file = _source(type(registered.event))
    return EventListing(
        spec.name, info.kind, info.fires, info.model, spec.class_path, file, enabled=True
    )


def _disabled(spec: EventSpec, base: Path) -> EventListing:
    kind = file = None
    with contextlib.suppress(PilotError), contextlib.redirect_stdout(sys.stderr):
        cls = load_class(spec, base)
        kind, file = kind_of(cls), _source(cls)
    fires = "never (enabled: false)"
    return EventListing(spec.name, kind, fires, spec.model, spec.class_path, file, enabled=False)


def _build(
    config: RunConfig, *, handlers: bool = True
) -> tuple[tuple[Registered, ...], tuple[BasePushHandler, ...]]:
    """Returns the events and the handlers of a config, built as a run builds them."""
    embedded = choose_embedded(config.database, os.environ)
    refuse_unused(config, os.environ, embedded=embedded)
    # Standard output is for what was asked for, not for what drivers print when they are loaded.
    with contextlib.redirect_stdout(sys.stderr):
        plugins = check_plugins(config)
        scheduler = plugins.scheduler()
        config_class = PostgreSQLConfig if scheduler is None else scheduler.config_class
        pilot_config = config_class.from_run_config(config, embedded=embedded)
        models = plugins.build_models()
        built = plugins.build_events(pilot_config, models)
        built_handlers = plugins.build_handlers(pilot_config, models) if handlers else ()
    events = (Registered(event.spec.name, event.event, kind_of(event.event)) for event in built)
    return tuple(events), built_handlers


def _source(cls: type) -> str | None:
    try:
        return inspect.getsourcefile(cls)
    except TypeError:
        return None
