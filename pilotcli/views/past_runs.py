"""What `pilot runs` shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pilotcli.records import ModelVersion, QueryResult, QueryStatus
from pilotcli.storage.journal import FiringRecord, RunRecord, RunStatistics
from pilotcli.views.console import out
from pilotcli.views.layout import Column
from pilotcli.views.messages import place
from pilotcli.views.tables import as_json, show_json, show_table, when
from pilotcli.views.text import MISSING, clean, count, duration, joined, plural, size

__all__ = ["RunDetails", "show_run", "show_runs"]

_WORDS: Mapping[QueryStatus, str] = {
    "ok": "ok",
    "error": "failed",
    "timeout": "timed out",
    "cancelled": "cancelled",
    "steering_error": "not steered",
}

FAILURES_SHOWN = 3
"""Failed firings of each event that are shown with their traceback."""
MODELS_SHOWN = 10
"""Saved versions that are shown, the newest."""


@dataclass(frozen=True, slots=True)
class RunDetails:
    """Everything that `pilot runs show` tells about one run."""

    run: RunRecord
    statistics: RunStatistics
    firings: Sequence[FiringRecord]
    models: Sequence[ModelVersion]
    results: Iterable[QueryResult]
    """The slowest, or the failed ones."""
    failed: bool
    """Whether `results` are the failed ones."""


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
    _show_events(details.firings)
    _show_models(details.models)
    _show_results(details)


def _rest(details: RunDetails) -> dict[str, object]:
    """The JSON of what belongs to a run, besides the run itself."""
    name = "failed" if details.failed else "slowest"
    return {
        "statistics": as_json(details.statistics),
        "firings": as_json(details.firings),
        "models": as_json(details.models),
        name: as_json(list(details.results)),
    }


def _status(run: RunRecord) -> str:
    return "killed" if run.status == "running" and not run.alive else run.status


def _show_events(firings: Sequence[FiringRecord]) -> None:
    by_event: dict[str, list[FiringRecord]] = {}
    for firing in firings:
        by_event.setdefault(firing.event, []).append(firing)
    if not by_event:
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
            event,
            own[0].kind.value,
            count(len(own)),
            count(sum(one.outcome == "failed" for one in own)),
            f"query {count(own[-1].after_query)}",
            duration(sum(one.duration_s for one in own)),
        )
        for event, own in by_event.items()
    ]
    show_table(columns, rows)
    for event, own in by_event.items():
        failed = [one for one in own if one.outcome == "failed"]
        for firing in failed[:FAILURES_SHOWN]:
            out(f"{clean(event)} failed after query {count(firing.after_query)}:")
            for line in (firing.traceback or firing.error or "").splitlines():
                out(f"  {' ' * (len(line) - len(line.lstrip()))}{clean(line.strip())}")
        if len(failed) > FAILURES_SHOWN:
            more = plural(len(failed) - FAILURES_SHOWN, "further failure")
            out(f"{clean(event)}: {more}; --format json has them all")


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
    results = list(details.results)
    if not results:
        if details.failed:
            out()
            out("No query failed.")
        return
    out()
    out(plural(len(results), "failed query", "failed queries") if details.failed else "slowest")
    columns = (
        Column("TOOK", right=True),
        Column("QUERY", right=True),
        Column("LABEL", least=12, flexible=True),
        Column("STATUS"),
        Column("WHERE", least=12, flexible=True, drop=2),
        Column("ERROR", least=12, flexible=True, drop=1),
    )
    rows = [
        (
            duration(result.elapsed_s),
            str(result.seq),
            result.label,
            result.status,
            place(result) or MISSING,
            result.error or "",
        )
        for result in results
    ]
    with_errors = any(result.error for result in results)
    show_table(
        columns if with_errors else columns[:-1],
        rows if with_errors else [row[:-1] for row in rows],
    )
