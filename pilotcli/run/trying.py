"""Shows what a handler does to one query, without a run."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pilotcli.common.errors import PilotError, UsageError
from pilotcli.common.quantities import plural
from pilotcli.common.records import LoggedValue, Query
from pilotcli.common.signals import Bus, Notice
from pilotcli.common.sql_commands import leading_keyword, may_write
from pilotcli.common.suggestions import did_you_mean
from pilotcli.config import RunConfig
from pilotcli.databases.protocols import Session
from pilotcli.replay.scheduler import PilotScheduler
from pilotcli.run.one_call import open_call
from pilotcli.run.threads import run_in_thread
from pilotcli.steering.requests import Pulls, Steered
from pilotcli.workload import Workload, open_workload


@dataclass(frozen=True, slots=True)
class TryRequest:
    """The handler to call, and the query: `sql`, or the one that `query` (a number or a label)
    names in `workload`, or in the config's. `analyze` runs the query, too."""

    config: RunConfig
    handler: str
    query: str | None = None
    sql: str | None = None
    workload: tuple[str, ...] = ()
    analyze: bool = False


@dataclass(frozen=True, slots=True)
class Side:
    """A query's plan, and its seconds where it ran."""

    plan: Mapping[str, Any] | None
    elapsed_s: float | None
    error: PilotError | None


@dataclass(frozen=True, slots=True)
class Tried:
    """What a handler does to a query.

    - `pushed`: what was pushed and taken, `cards` the rows of pushed cardinalities; `refused`: what
      was not applied, each with the reason; `changes`: what was changed for the whole workload;
    - `logged`: what the handler has logged; `inference_s`: its seconds;
    - `error`: why the query could not be steered;
    - `native`, `steered`: the query without the handler, and with it.
    """

    query: Query
    native: Side
    steered: Side
    pushed: Sequence[str] = ()
    cards: Sequence[tuple[str, float]] = ()
    refused: Sequence[tuple[str, str]] = ()
    changes: Sequence[str] = ()
    notes: Sequence[str] = ()
    logged: Mapping[str, LoggedValue] | None = None
    inference_s: float = 0.0
    error: PilotError | None = None


def try_handler(request: TryRequest, bus: Bus) -> Tried:
    """Ask the handler about one query, and have the server plan it natively and steered.

    With `analyze` the query runs once to fill the caches, and then once in each way. What a
    handler changes for a whole workload is undone. Raises `UsageError` for a handler or a query
    that is not there, and as a run does that cannot begin; what the handler raises is in the
    result.
    """
    config = _for_one_handler(request)
    with contextlib.ExitStack() as stack:
        workload = _workload(request, bus)
        if workload is not None:
            stack.enter_context(workload)
        query = _query(request, workload)
        call = stack.enter_context(open_call(config, bus))
        scheduler = call.scheduler_class(
            call.pilot_config,
            target=call.target,
            bus=bus,
            stop=threading.Event(),
            steering=replace(config.steering, on_error="error"),
        )
        stack.callback(scheduler.close)
        scheduler.register_custom_handlers(
            call.plugins.build_handlers(call.pilot_config, call.models)
        )
        scheduler.set_workload(workload)
        pulls = Pulls(physical_plan=True)
        if request.analyze:
            pulls = replace(pulls, actual_rows=True, execution_time=True)
        scheduler.steering.pulls = pulls
        tried = run_in_thread(lambda: _try(scheduler, query, request.analyze), scheduler)
        call.end()
    return tried


def _for_one_handler(request: TryRequest) -> RunConfig:
    """The config with this handler alone, and its model."""
    config = request.config
    handlers = tuple(spec for spec in config.handlers if spec.name == request.handler)
    if not handlers:
        names = [spec.name for spec in config.handlers]
        hint = did_you_mean(request.handler, names, listed="The config has")
        raise UsageError(f"the config has no handler named {request.handler!r}", hint=hint)
    models = tuple(spec for spec in config.models if spec.name in {h.model for h in handlers})
    return replace(config, events=(), handlers=handlers, models=models)


def _workload(request: TryRequest, bus: Bus) -> Workload | None:
    """The workload that has the query, which the handler may look at, too."""
    paths = request.workload or request.config.workload
    if request.sql is not None and not paths:
        return None
    if not paths:
        raise UsageError(
            "there is no workload that has the query",
            hint="Write the query as --sql 'SELECT ...', or name a file with --workload.",
        )
    return open_workload(paths, notify=lambda text: bus.emit(Notice("warning", text)))


def _query(request: TryRequest, workload: Workload | None) -> Query:
    if request.sql is not None:
        if request.query is not None:
            raise UsageError("--sql and --query name two queries", hint="Leave one of them out.")
        query = Query(seq=1, label="query", sql=request.sql, command=leading_keyword(request.sql))
    else:
        assert workload is not None
        query = _find(workload, request.query or "1")
    if request.analyze and may_write(query.command, query.sql):
        raise UsageError(
            f"--analyze would run {query.label} three times, and it may write",
            hint="Leave --analyze out: the plans are shown without it.",
        )
    return query


def _find(workload: Workload, name: str) -> Query:
    """The query with this number or label. Raises `UsageError` where there is none."""
    labels: list[str] = []
    for query in workload:
        if query.label == name or (name.isdecimal() and query.seq == int(name)):
            return query
        labels.append(query.label)
    hint = did_you_mean(name, labels, listed="It has")
    number = plural(len(labels), "query", "queries")
    raise UsageError(f"the workload has no query {name!r} among its {number}", hint=hint)


def _try(scheduler: PilotScheduler, query: Query, analyze: bool) -> Tried:
    """Plan the query, or run it, natively and then steered."""
    with _session(scheduler) as session:
        steering = scheduler.steering
        if analyze:
            steering.run_native(session, query)
        native = _side(steering.run_native(session, query, execute=analyze), analyze)
    changes: list[str] = []
    try:
        changes = scheduler.steering.before_workload(scheduler.db_controller, query.sql)
    except PilotError as exc:
        return Tried(query, native, Side(None, None, exc), error=exc)
    with _session(scheduler) as session:
        if changes and analyze:
            scheduler.steering.run_native(session, query)
        steered, inference_s = scheduler.steering.run(session, query, execute=analyze)
    report = steered.report
    return Tried(
        query,
        native,
        _side(steered, analyze),
        pushed=report.applied if report is not None else (),
        cards=report.cards if report is not None else (),
        refused=report.ignored if report is not None else (),
        changes=changes,
        notes=[note.partition(" (pull_record")[0] for note in steered.notes],
        logged=steered.logged,
        inference_s=inference_s,
        error=steered.error,
    )


@contextlib.contextmanager
def _session(scheduler: PilotScheduler) -> Iterator[Session]:
    with contextlib.closing(scheduler.open_session(None)) as session:
        yield session


def _side(steered: Steered, analyze: bool) -> Side:
    elapsed_s = steered.elapsed_s if analyze and steered.error is None else None
    return Side(steered.plan, elapsed_s, steered.error)
