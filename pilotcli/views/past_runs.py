"""What `pilot runs` shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pilotcli.records import ModelVersion, QueryResult, QueryStatus
from pilotcli.storage.journal import EventTotals, FiringRecord, RunRecord, RunStatistics
from pilotcli.views.console import out
from pilotcli.views.layout import Column
from pilotcli.views.messages import place
from pilotcli.views.tables import as_json, show_json, show_table, when
from pilotcli.views.text import MISSING, clean, count, duration, joined, plural, size

__all__ = ["FAILED_SHOWN", "FAILURES_SHOWN", "RunDetails", "show_run", "show_runs"]

_WORDS: Mapping[QueryStatus, str] = {
    "ok": "ok",
    "error": "failed",
    "timeout": "timed out",
    "cancelled": "cancelled",
    "steering_error": "not steered",
}

FAILURES_SHOWN = 3
"""Failed firings of each event that a table shows with their traceback."""
MODELS_SHOWN = 10
"""Saved versions that are shown, the newest."""


FAILED_SHOWN = 1000
"""Failed queries that a table shows at most."""


@dataclass(frozen=True, slots=True)
class RunDetails:
    """Everything that `pilot runs show` tells about one run."""

    run: RunRecord
    statistics: RunStatistics
    events: Sequence[EventTotals]
    firings: Sequence[FiringRecord]
    """All of them, for JSON."""
    models: Sequence[ModelVersion]
    results: Sequence[QueryResult]
    """The slowest, each query once, or the failed ones."""
    failed: bool
    """Whether `results` are the failed ones."""
    rounds: int
    """How many rounds the workload was replayed, the last one perhaps not to its end."""


def show_runs(
    runs: Sequence[tuple[RunRecord, Mapping[QueryStatus, int]]], home: object, format: str
) -> None:
    """One line a run, newest first."""
    if format == "json":
        show_json([{**as_json(run), "counts": counts} for run, counts in runs])
        return
    if not runs:
        out(f"There are no runs in {clean(home)} yet. Begin one: pilot run WORKLOAD")
        return
    columns = (
        Column("RUN", right=True),
        Column("STARTED"),
        Column("TOOK", right=True),
        Column("STATUS"),
        Column("QUERIES", right=True),
        Column("FAILED", right=True),
        Column("KIND", drop=1),
        Column("WORKLOAD", least=12, flexible=True, drop=2),
    )
    rows = [
        (
            str(run.run_id),
            when(run.started_at),
            duration(run.elapsed_s),
            _status(run),
            count(sum(counts.values())),
            count(sum(counts.values()) - counts.get("ok", 0)),
            run.kind,
            run.workload,
        )
        for run, counts in runs
    ]
    show_table(columns, rows)


def show_run(details: RunDetails, format: str) -> None:
    """One run: how it ended, its latencies, events, models, and its slowest or failed queries."""
    if format == "json":
        show_json({**as_json(details.run), **_rest(details)})
        return
    run, statistics = details.run, details.statistics
    counted = [
        f"{count(statistics.counts[status])} {word}"
        for status, word in _WORDS.items()
        if statistics.counts.get(status)
    ]
    facts = {
        "run": f"{run.run_id} ({run.kind})",
        "status": _status(run) + ("" if run.exit_code is None else f", exit code {run.exit_code}"),
        "started": when(run.started_at),
        "took": duration(run.elapsed_s),
        "workload": run.workload,
        "config": run.config_path or "none: built-in defaults",
        "database": run.database,
        "queries": f"{count(statistics.total)}: {joined(counted)}" if counted else "0",
        "latency": "   ".join(
            f"{name} {duration(value)}"
            for name, value in (
                ("p50", statistics.p50_s),
                ("p95", statistics.p95_s),
                ("p99", statistics.p99_s),
                ("max", statistics.max_s),
            )
        ),
    }
    for name, value in facts.items():
        out(f"{name:<9} {clean(value)}")
    _show_events(details.events)
    _show_models(details.models)
    _show_results(details)


def _rest(details: RunDetails) -> dict[str, object]:
    """The JSON of what belongs to a run, besides the run itself."""
    name = "failed" if details.failed else "slowest"
    return {
        "statistics": as_json(details.statistics),
        "firings": as_json(details.firings),
        "models": as_json(details.models),
        name: as_json(details.results),
    }


def _status(run: RunRecord) -> str:
    return "killed" if run.status == "running" and not run.alive else run.status


def _show_events(events: Sequence[EventTotals]) -> None:
    if not events:
        return
    out()
    columns = (
        Column("EVENT", least=12, flexible=True),
        Column("KIND", drop=1),
        Column("FIRED", right=True),
        Column("FAILED", right=True),
        Column("LAST AFTER", right=True),
        Column("TOOK", right=True),
    )
    rows = [
        (
            one.event,
            one.kind.value,
            count(one.fired),
            count(one.failed),
            f"query {count(one.last_after)}",
            duration(one.duration_s),
        )
        for one in events
    ]
    show_table(columns, rows)
    for one in events:
        for firing in one.failures:
            out(f"{clean(one.event)} failed after query {count(firing.after_query)}:")
            for line in (firing.traceback or firing.error or "").splitlines():
                out(f"  {' ' * (len(line) - len(line.lstrip()))}{clean(line.strip())}")
        if one.failed > len(one.failures):
            more = plural(one.failed - len(one.failures), "further failure")
            out(f"{clean(one.event)}: {more}; --format json has them all")


def _show_models(models: Sequence[ModelVersion]) -> None:
    if models:
        out()
    left_out = models[: max(0, len(models) - MODELS_SHOWN)]
    if left_out:
        out(f"saved {plural(len(left_out), 'earlier version')}: pilot models list")
    for version in models[len(left_out) :]:
        metrics = joined([f"{name} {value:.4g}" for name, value in version.metrics.items()])
        told = joined([size(version.size_bytes), f"by {version.event}", metrics])
        out(f"saved {clean(version.model)} version {version.version}: {clean(told)}")


def _show_results(details: RunDetails) -> None:
    results, statistics = details.results, details.statistics
    if not results:
        if details.failed:
            out()
            out("No query failed.")
        return
    out()
    if details.failed:
        failures = statistics.total - statistics.counts.get("ok", 0)
        first = f", the first {count(len(results))}" if failures > len(results) else ""
        out(plural(failures, "failed query", "failed queries") + first)
    else:
        worst = f", each with the worst of its {count(details.rounds)} rounds"
        out("slowest" + (worst if details.rounds > 1 else ""))
    columns = {
        Column("TOOK", right=True): [duration(result.elapsed_s) for result in results],
        Column("QUERY", right=True): [str(result.seq) for result in results],
        Column("ROUND", right=True): [str(result.round) for result in results],
        Column("LABEL", least=12, flexible=True): [result.label for result in results],
        Column("STATUS"): [result.status for result in results],
        Column("WHERE", least=12, flexible=True, drop=2): [
            place(result) or MISSING for result in results
        ],
        Column("ERROR", least=12, flexible=True, drop=1): [
            result.error or "" for result in results
        ],
    }
    left_out = {
        "ROUND": details.rounds <= 1,
        "ERROR": not any(result.error for result in results),
    }
    shown = {column: own for column, own in columns.items() if not left_out.get(column.title)}
    show_table(tuple(shown), list(zip(*shown.values(), strict=True)))
