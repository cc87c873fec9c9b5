"""What commands show that replay nothing: events, their plan, a dry run."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from pilotcli.checks.dry_run import EventListing, Examination, HandlerListing, Learning
from pilotcli.common.quantities import count, duration, listed, plural
from pilotcli.events.schedule import firings_in
from pilotcli.views.console import out
from pilotcli.views.layout import Column
from pilotcli.views.tables import show_items, show_json, show_table
from pilotcli.views.text import clean

FIRINGS_SHOWN = 8
"""Queries after which an event fires that a table names before it only counts them."""

_REASONS = {
    "pretraining": "before the run",
    "init": "at the start",
    "workload_before": "before the first query",
}


def show_events(events: Sequence[EventListing], format: str) -> None:
    """The config's events, one a line."""
    if format == "json":
        show_json(
            [
                {
                    "name": event.name,
                    "kind": event.kind.value if event.kind is not None else None,
                    "fires": event.fires,
                    "model": event.model,
                    "class": event.class_path,
                    "file": event.file,
                    "enabled": event.enabled,
                }
                for event in events
            ]
        )
        return
    if not events:
        out("The config has no events. Begin with: pilot init")
        return
    show_items(
        events,
        [
            (Column("EVENT", least=12, flexible=True), lambda event: event.name),
            (Column("KIND"), lambda event: event.kind.value if event.kind is not None else "?"),
            (Column("FIRES", least=20, flexible=True), lambda event: event.fires),
            (Column("MODEL", drop=1), lambda event: event.model or ""),
            (Column("CLASS", least=10, flexible=True, drop=2), lambda event: event.class_path),
            (Column("FILE", least=10, flexible=True, drop=3), lambda event: event.file or ""),
        ],
    )


def show_handlers(handlers: Sequence[HandlerListing], format: str) -> None:
    """The config's handlers, one a line."""
    if format == "json":
        show_json(
            [
                {
                    "name": handler.name,
                    "pushes": handler.pushes,
                    "called": handler.called,
                    "model": handler.model,
                    "class": handler.class_path,
                    "file": handler.file,
                }
                for handler in handlers
            ]
        )
        return
    if not handlers:
        out("The config has no handlers. docs/steering.md shows how to write one.")
        return
    show_items(
        handlers,
        [
            (Column("HANDLER", least=12, flexible=True), lambda handler: handler.name),
            (Column("PUSHES"), lambda handler: handler.pushes),
            (Column("CALLED", least=12, flexible=True), lambda handler: handler.called),
            (Column("MODEL", drop=1), lambda handler: handler.model or ""),
            (Column("CLASS", least=10, flexible=True, drop=2), lambda handler: handler.class_path),
            (Column("FILE", least=10, flexible=True, drop=3), lambda handler: handler.file or ""),
        ],
    )


def show_plan(plan: Examination, format: str) -> None:
    """Which event fires after which query. As JSON every firing is an object of its own line."""
    if format == "json":
        for reason, after_query, event in plan.firings():
            out(json.dumps({"after_query": after_query, "event": event, "reason": reason}))
        return
    out(f"{_workload(plan)}, if every query counts:")
    when: dict[tuple[str, str], list[int]] = {}
    totals: Counter[tuple[str, str]] = Counter()
    for why, after_query, event in plan.firings():
        key = (event, str(why))
        totals[key] += 1
        if totals[key] <= FIRINGS_SHOWN:
            when.setdefault(key, []).append(after_query)
    if not totals:
        out("  no event fires")
        return
    rows = []
    for (event, fires), total in totals.items():
        text = _REASONS.get(fires, "")
        if not text:
            text = "after query " + ", ".join(map(count, when[event, fires]))
            text += ", ..." if total > FIRINGS_SHOWN else ""
        rows.append((event, count(total), text))
    columns = (
        Column("EVENT", least=12, flexible=True),
        Column("TIMES", right=True),
        Column("WHEN", least=30, flexible=True),
    )
    show_table(columns, rows)


def show_dry_run(plan: Examination, learning: Learning | None = None) -> None:
    """What a run would do, in a few lines; `learning` is what a paired run learns from."""
    run = plan.config.run
    out(f"config:   {plan.config.path or 'none: built-in defaults'}")
    if learning is None:
        out(f"workload: {_workload(plan)}")
    else:
        out(f"workload: {_queries(plan)}")
        _show_learning(learning, run.repeat)
    warm_up = plural(run.warmup, "round")
    time_out = duration(run.timeout) if run.timeout else "none"
    out(f"workers:  {run.workers}, time-out {time_out}, warm-up {warm_up}")
    firings = "" if learning else f", to fire {_firings(plan)}"
    out(f"events:   {len(plan.events)}{firings}")
    if plan.handlers:
        names = [type(handler).__name__ for handler in plan.handlers]
        out(f"handlers: {len(names)}, {listed(names, 4)}")
    for text in plan.notices:
        out(f"note:     {clean(text)}")
    out("All classes are there and take their arguments. No database was touched.")


def _firings(plan: Examination) -> str:
    return plural(firings_in(plan.events, plan.executions), "time")


def _show_learning(learning: Learning, repeat: int) -> None:
    fold = f"fold 1 of {learning.folds}, " if learning.folds > 1 else ""
    queries = plural(learning.queries, "query", "queries")
    rounds = plural(learning.rounds, "round")
    out(f"learning: {fold}{clean(learning.workload)}, {queries}, {rounds}")
    judged = plural(learning.judged, "query", "queries")
    out(f"judged:   {judged}, {plural(repeat, 'round')}")
    if learning.overlap is not None:
        out(f"warning:  {clean(learning.overlap)}")


def _workload(plan: Examination) -> str:
    repeat = plan.config.run.repeat
    text = _queries(plan)
    return text if repeat == 1 else f"{text}, {count(repeat)} times"


def _queries(plan: Examination) -> str:
    return f"{clean(plan.workload)}, {plural(plan.queries, 'query', 'queries')}"
