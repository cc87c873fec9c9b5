"""What `pilot runs show` shows."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pilotcli.analysis.comparison import Comparison
from pilotcli.analysis.logged import logged_lines
from pilotcli.analysis.model_updates import UpdateEffect
from pilotcli.analysis.repeats import QueryRepeats
from pilotcli.analysis.wording import factor, interval
from pilotcli.common.quantities import MISSING, count, duration, plural, size
from pilotcli.common.records import ModelVersion, QueryResult, QueryStatus
from pilotcli.storage.journal import (
    EventTotals,
    FiringRecord,
    RunRecord,
    RunStatistics,
    TimelinePart,
)
from pilotcli.views.charts import speedup_bars, timeline
from pilotcli.views.comparison import headline
from pilotcli.views.console import out, out_styled
from pilotcli.views.layout import Column
from pilotcli.views.messages import latency_text, learned_text, place
from pilotcli.views.provenance import label_facts
from pilotcli.views.tables import as_json, show_items, show_json, when
from pilotcli.views.text import clean, indented, joined

_WORDS: Mapping[QueryStatus, str] = {
    "ok": "ok",
    "error": "failed",
    "timeout": "timed out",
    "cancelled": "cancelled",
    "steering_error": "not steered",
    "wrong_answer": "wrong answer",
}

FAILURES_SHOWN = 3
"""Failed firings of each event that a table shows with their traceback."""
MODELS_SHOWN = 10
"""Saved versions that are shown, the newest."""
UPDATES_SHOWN = 12
"""The last updates of models whose effects are shown."""
FAILED_SHOWN = 1000
"""Failed queries that a table shows at most."""


@dataclass(frozen=True, slots=True)
class RunDetails:
    """Everything that `pilot runs show` shows of one run."""

    run: RunRecord
    statistics: RunStatistics
    compared: RunStatistics | None
    """Those of the compared rounds, where a paired run learned in others before."""
    events: Sequence[EventTotals]
    firings: Sequence[FiringRecord]
    """All of them, for JSON and for a timeline."""
    models: Sequence[ModelVersion]
    results: Sequence[QueryResult]
    """The slowest, each query once, or the failed ones."""
    failed: bool
    """Whether `results` are the failed ones."""
    rounds: int
    """How many rounds the workload was replayed, the last one perhaps not to its end."""
    timeline: Sequence[TimelinePart] = ()
    updates: Sequence[UpdateEffect] = ()
    """The effect of each update of a model."""
    comparison: Comparison | None = None
    """The driver's run of a pair against its baseline."""
    repeats: Mapping[int, QueryRepeats] = field(default_factory=dict)
    """The figures of each query over its executions; empty where they were not read."""


def show_run(details: RunDetails, format: str) -> None:
    """One run: how it ended, its latencies, events, models, and its slowest or failed queries."""
    if format == "json":
        name = "failed" if details.failed else "slowest"
        show_json(
            {
                **as_json(details.run),
                "statistics": details.statistics,
                "compared": details.compared,
                "firings": details.firings,
                "updates": details.updates,
                "models": details.models,
                name: details.results,
                "repeats": list(details.repeats.values()),
            }
        )
        return
    run, statistics = details.run, details.statistics
    timed = details.compared or statistics
    counted = [
        f"{count(statistics.counts[status])} {word}"
        for status, word in _WORDS.items()
        if statistics.counts.get(status)
    ]
    pair = "" if run.paired_with is None else f", {run.arm} of a pair with run {run.paired_with}"
    facts = {
        "run": f"{run.run_id} ({run.kind}{pair})",
        "status": run.outcome + ("" if run.exit_code is None else f", exit code {run.exit_code}"),
        **label_facts(run),
        "started": when(run.started_at),
        "took": duration(run.elapsed_s),
        "workload": run.workload,
        "config": run.config_path or "none: built-in defaults",
        "database": run.database,
        "queries": f"{count(statistics.total)}: {joined(counted)}" if counted else "0",
        **_learned(statistics, details.compared),
        "latency": latency_text([timed.p50_s, timed.p95_s, timed.p99_s, timed.max_s]),
    }
    for name, value in facts.items():
        out(f"{name:<9} {clean(value)}")
    for rollback in run.summary.get("rollbacks", ()):
        out(f"{'undone':<9} {clean(rollback)}")
    _show_timeline(details)
    _show_comparison(details.comparison)
    _show_events(details.events)
    _show_updates(details.updates)
    _show_models(details.models)
    _show_results(details)


def _learned(statistics: RunStatistics, compared: RunStatistics | None) -> dict[str, str]:
    if compared is None:
        return {}
    return {"learned": learned_text(statistics.total - compared.total, compared.total)}


def _show_timeline(details: RunDetails) -> None:
    firings = [firing for firing in details.firings if firing.reason == "interval"]
    saved = [model.query_seq for model in details.models if model.query_seq]
    lines = timeline(details.timeline, firings, saved)
    if lines:
        out()
    for line in lines:
        out_styled(line)


def _show_comparison(comparison: Comparison | None) -> None:
    if comparison is None:
        return
    out()
    for text in headline(comparison):
        out(text)
    columns = shutil.get_terminal_size().columns
    for line in speedup_bars(comparison, columns):
        out_styled(line)
    a, b = comparison.run_a.run_id, comparison.run_b.run_id
    out(f"baseline  run {b}; more: pilot runs compare {a}, pilot runs report {a} -o report.html")


def _show_updates(updates: Sequence[UpdateEffect]) -> None:
    """The effects of the updates; of many, the last ones."""
    if not any(update.queries for update in updates):
        return
    out("\nafter each update, compared with the same queries before it")
    left_out = len(updates) - UPDATES_SHOWN
    if left_out > 0:
        out(f"{plural(left_out, 'earlier update')} left out; --format json has them all")
    show_items(
        updates[-UPDATES_SHOWN:],
        [
            (Column("EVENT", least=12, flexible=True), lambda update: update.event),
            (Column("AFTER", right=True), lambda update: count(update.after_query)),
            (Column("SAVED", least=10, flexible=True), lambda update: ", ".join(update.versions)),
            (Column("QUERIES", right=True), lambda update: count(update.queries)),
            (Column("SPEED-UP", right=True), lambda update: factor(update.speedup)),
            (
                Column("INTERVAL", drop=1, optional=True),
                lambda update: interval(update.low, update.high),
            ),
            (Column("VERDICT"), lambda update: update.verdict),
        ],
    )


def _show_events(events: Sequence[EventTotals]) -> None:
    if not events:
        return
    out()
    show_items(
        events,
        [
            (Column("EVENT", least=12, flexible=True), lambda event: event.event),
            (Column("KIND", drop=1), lambda event: event.kind.value),
            (Column("FIRED", right=True), lambda event: count(event.fired)),
            (Column("FAILED", right=True), lambda event: count(event.failed)),
            (Column("LAST AFTER", right=True), lambda event: f"query {count(event.last_after)}"),
            (Column("TOOK IN ALL", right=True), lambda event: duration(event.duration_s)),
        ],
    )
    for event in events:
        for firing in event.failures:
            out(f"{clean(event.event)} failed after query {count(firing.after_query)}:")
            for line in (firing.traceback or firing.error or "").splitlines():
                out(f"  {indented(line)}")
        if event.failed > len(event.failures):
            more = plural(event.failed - len(event.failures), "further failure")
            out(f"{clean(event.event)}: {more}; --format json has them all")


def _show_models(models: Sequence[ModelVersion]) -> None:
    if models:
        out()
    if len(models) > MODELS_SHOWN:
        left_out = plural(len(models) - MODELS_SHOWN, "earlier version")
        out(f"saved {left_out}: pilot models list")
    for version in models[-MODELS_SHOWN:]:
        metrics = joined([f"{name} {value:.4g}" for name, value in version.metrics.items()])
        details = joined([size(version.size_bytes), f"by {version.event}", metrics])
        out(f"saved {clean(version.model)} version {version.version}: {clean(details)}")


def _show_results(details: RunDetails) -> None:
    results, statistics = details.results, details.statistics
    if not results:
        if details.failed:
            out("\nNo query failed.")
        return
    out()
    if details.failed:
        failures = statistics.total - statistics.counts.get("ok", 0)
        first = f", the first {count(len(results))}" if failures > len(results) else ""
        out(plural(failures, "failed query", "failed queries") + first)
    elif details.rounds > 1 and details.repeats:
        _show_repeats(details)
        return
    else:
        worst = f", each with the worst of its {count(details.rounds)} rounds"
        out("slowest" + (worst if details.rounds > 1 else ""))
    many = details.rounds > 1
    show_items(
        results,
        [
            (Column("TOOK", right=True), lambda result: duration(result.elapsed_s)),
            (Column("QUERY", right=True), lambda result: str(result.seq)),
            (
                Column("ROUND", right=True, optional=True),
                lambda result: str(result.round) if many else "",
            ),
            (Column("LABEL", least=12, flexible=True), lambda result: result.label),
            (Column("STATUS"), lambda result: result.status),
            (
                Column("WHERE", least=12, flexible=True, drop=2),
                lambda result: place(result) or MISSING,
            ),
            (
                Column("ERROR", least=12, flexible=True, drop=1, optional=True),
                lambda result: result.error or "",
            ),
            (
                Column("LOGGED", least=30, flexible=True, drop=1, optional=True),
                lambda result: joined(logged_lines([result])),
            ),
        ],
    )


def _show_repeats(details: RunDetails) -> None:
    """The slowest queries of a run with repeats, each with its figures over all executions."""
    rounds = details.rounds
    if details.compared is not None:
        rounds -= details.run.learning_rounds
    out(f"slowest of {count(rounds)} rounds, each over its executions")
    worst = {result.seq: result for result in details.results}
    shown = [details.repeats[seq] for seq in worst if seq in details.repeats]
    show_items(
        shown,
        [
            (Column("QUERY", right=True), lambda query: str(query.seq)),
            (Column("LABEL", least=12, flexible=True), lambda query: query.label),
            (Column("TIMES", right=True), lambda query: count(query.executions)),
            (Column("MEAN", right=True), lambda query: duration(query.mean_s)),
            (Column("MEDIAN", right=True), lambda query: duration(query.median_s)),
            (Column("DEVIATION", right=True), lambda query: duration(query.deviation_s)),
            (Column("LEAST", right=True), lambda query: duration(query.least_s)),
            (Column("WORST", right=True), lambda query: duration(worst[query.seq].elapsed_s)),
            (
                Column("STATUS", optional=True, drop=1),
                lambda query: "" if worst[query.seq].ok else worst[query.seq].status,
            ),
        ],
    )
