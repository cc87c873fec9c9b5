"""One line for each thing that happens, for the live view and for the log."""

from __future__ import annotations

from collections.abc import Sequence

from pilotcli.analysis.wording import factor, interval
from pilotcli.common.quantities import change, clock_time, count, duration, plural, rate, size
from pilotcli.common.records import STOPPED, QueryResult
from pilotcli.common.signals import (
    ComparedSoFar,
    DriverOutput,
    EventTriggered,
    ExecutionFinished,
    IntervalFinished,
    PhaseStarted,
)
from pilotcli.views.progress import UNMEASURED
from pilotcli.views.rows import Collecting, ModelRow
from pilotcli.views.text import clean, joined, number


def learned_text(learned: int, compared: int) -> str:
    """How many of a paired run's queries were to learn from, and what is shown of the others."""
    return f"{count(learned)} of these to learn from; below: the {count(compared)} compared"


def latency_text(values: Sequence[float | None], separator: str = "   ") -> str:
    """`p50 1.20 ms   p95 3.40 ms`: the first of p50, p95, p99 and the maximum, in seconds."""
    named = zip(("p50", "p95", "p99", "max"), values, strict=False)
    return separator.join(f"{name} {duration(value)}" for name, value in named)


def place(result: QueryResult) -> str:
    """`file:line` of a query, as far as known."""
    return joined([clean(result.file or ""), str(result.line or "")], ":")


def query_failure(result: QueryResult) -> str:
    """Which query failed, its place, and why."""
    where = place(result)
    name = f"{clean(result.label)} ({where})" if where else clean(result.label)
    why = _first_line(result.error) or "failed"
    if result.status == "timeout":
        return f"{name}: timed out after {duration(result.elapsed_s)}"
    if result.status == "cancelled":
        by_others = f": {why}" if result.error != STOPPED else ""
        return f"{name}: cancelled after {duration(result.elapsed_s)}{by_others}"
    code = f" [{clean(result.sqlstate)}]" if result.sqlstate else ""
    kind = "not run: " if result.status == "steering_error" else ""
    return f"{name}: {kind}{why}{code}"


def query_line(result: QueryResult) -> str:
    """A query that ended, well or not."""
    if result.status != "ok":
        return query_failure(result)
    rows = "" if result.row_count is None else plural(result.row_count, "row")
    return f"{clean(result.label)}: {joined([duration(result.elapsed_s), rows])}"


def execution_line(signal: ExecutionFinished) -> str:
    """An execution in a warm-up, for a plan, or in another arm."""
    details = [
        "" if signal.elapsed_s is None else duration(signal.elapsed_s),
        "" if signal.phase == "comparison" else clean(signal.phase),
        clean(signal.arm or ""),
    ]
    return f"{clean(signal.label)}: {joined(details)}"


def phase_line(signal: PhaseStarted) -> str:
    """A phase that begins, with its size."""
    size_text = "" if not signal.executions else plural(signal.executions, "execution")
    if size_text and signal.rounds > 1:
        size_text += f" in {signal.rounds} rounds"
    return f"phase {phase_text(signal)}" + (f": {size_text}" if size_text else "")


def phase_text(signal: PhaseStarted) -> str:
    """`warm-up, not measured`."""
    return clean(signal.phase) + (", not measured" if signal.phase in UNMEASURED else "")


def interval_line(signal: IntervalFinished) -> str:
    """Rate and percentiles of an interval of a run."""
    span = f"{clock_time(signal.from_s)}-{clock_time(signal.to_s)}"
    failed = f"{count(signal.failed)} failed" if signal.failed else ""
    latency = latency_text(signal.latency_s, ", ")
    return f"{span}: {joined([f'{rate(signal.per_s)}/s', latency, failed])}"


def event_failure(signal: EventTriggered) -> str:
    """Which event failed, when, and its error's first line."""
    why = _first_line(signal.error) or "no message"
    return f"event {clean(signal.event)} failed {_when(signal)}: {why}"


def firing(signal: EventTriggered) -> str:
    """A firing that did not fail."""
    kept = "; it returned no model, the one that was there stays"
    return (
        f"event {clean(signal.event)} fired {_when(signal)}, took {duration(signal.duration_s)}"
        f"{kept if signal.outcome == 'kept' else ''}"
    )


def model_saved(row: ModelRow, after_query: int) -> str:
    """A model that was saved, with its size and metric."""
    version = f" v{row.version}" if row.version is not None else ""
    by = f" by {clean(row.event)}" if row.event else ""
    after = f" after query {count(after_query)}" if after_query else ""
    size_text = "" if row.size_bytes is None else size(row.size_bytes)
    details = joined([size_text, metric_text(row)])
    return f"model {clean(row.name)}{version} saved{by}{after}{': ' + details if details else ''}"


def metric_text(row: ModelRow) -> str:
    """`mae_ms 3.21 ↓ 12 %`, or nothing."""
    if row.metric is None:
        return ""
    moved = change(row.before, row.value)
    return joined([clean(row.metric), number(row.value), moved], " ")


def collected_text(row: Collecting) -> str:
    """How far a pretraining's collection is."""
    into = f" in {clean(row.table)}" if row.table else ""
    rows = plural(row.total_rows, "row")
    if row.target_rows is not None and not row.collected:
        share = f" ({row.total_rows * 100 // row.target_rows} %)" if row.target_rows else ""
        rows = f"{count(row.total_rows)}/{plural(row.target_rows, 'row')}{share}"
    speed = f"{rate(row.rows_per_s)} rows/s" if row.rows_per_s is not None else ""
    left = ""
    if row.left_s is not None and not row.collected:
        left = f"left {clock_time(row.left_s)}"
    return joined([f"{rows}{into}", left, plural(row.iterations, "iteration"), speed])


def output_text(signal: DriverOutput) -> str:
    """A driver's line; of a line that overwrote itself (a progress bar), what it ended as."""
    text = str(signal.text).expandtabs(8).rstrip("\r\n")
    return clean(text.rpartition("\r")[2])


def _when(signal: EventTriggered) -> str:
    if signal.reason == "interval":
        return f"after query {count(signal.after_query)}"
    words = {
        "pretraining": "in pretraining",
        "init": "at the start",
        "workload_before": "before the workload",
    }
    return words.get(signal.reason, clean(signal.reason))


def _first_line(text: str | None) -> str:
    lines = [line for line in str(text or "").splitlines() if line.strip()]
    return clean(lines[0]) if lines else ""


def compared_text(signal: ComparedSoFar) -> str:
    """The comparison of a paired run so far."""
    return joined([speedups_text(signal), verdicts_text(signal)], ": ")


def speedups_text(signal: ComparedSoFar, *, with_interval: bool = True) -> str:
    """`geometric mean 1.82x (1.5x to 2.1x), replay total 2.1x`."""
    if signal.speedup is None:
        return "nothing to compare yet"
    around = interval(signal.low, signal.high) if with_interval else ""
    mean = f"geometric mean {factor(signal.speedup)}" + (f" ({around})" if around else "")
    total = signal.total_speedup
    return joined([mean, f"replay total {factor(total)}" if total is not None else ""])


def verdicts_text(signal: ComparedSoFar) -> str:
    """How many queries have which verdict, the worst first."""
    numbers = {
        "with OTHER ROWS": signal.different,
        "slower": signal.slower,
        "faster": signal.faster,
        "same": signal.same,
        "unclear": signal.unclear,
    }
    if signal.speedup is None:
        return ""
    return joined([f"{count(number)} {word}" for word, number in numbers.items() if number])
