"""What stays on the screen, and in the log, when a run has ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pilotcli.common.quantities import change, count, duration, plural, rate
from pilotcli.common.signals import RunFinished
from pilotcli.views.messages import latency_text, learned_text, place
from pilotcli.views.rows import EventRow, ModelRow
from pilotcli.views.state import RunState
from pilotcli.views.text import Line, clean, clip_line, joined, line_text, number

SLOWEST_SHOWN = 5
_STATUS_STYLES = {"finished": "bold green", "interrupted": "bold yellow", "failed": "bold red"}


def summary(state: RunState, columns: int | None = None) -> list[Line]:
    """The whole summary. Empty when the run never began. Lines are cut to `columns`, where given,
    except the last ones, which say why and where to look."""
    if state.run is None:
        return []
    verdict, counts = _verdict(state)
    lines = [verdict]
    if counts:
        lines.append([("queries   ", "dim"), *counts])
    lines += _learned(state.finished)
    lines += _latency(state)
    lines += _steering(state.finished)
    lines += _section("events", (_event(row) for row in state.events.values()))
    lines += _section("models", (_model(row) for row in state.models.values()))
    if state.finished is not None:
        rollbacks = ([(clean(rollback), "yellow")] for rollback in state.finished.rollbacks)
        lines += _section("undone", rollbacks)
    lines += _section("slowest", _slowest(state))
    if columns is not None:
        lines = [clip_line(line, columns) for line in lines]
    return lines + _reasons(state.finished) + _next(state)


def one_line(state: RunState) -> str:
    """The summary of `-q`; empty when the run never began."""
    if state.run is None:
        return ""
    verdict, counts = _verdict(state)
    reasons = state.finished.reasons if state.finished is not None else ()
    counted = joined([line_text(verdict), line_text(counts)], ": ")
    return joined([counted, *map(clean, reasons)], "; ")


def _verdict(state: RunState) -> tuple[Line, Line]:
    """Status and time, and how queries ended (empty where there were to be none).

    The counts of `RunFinished` are the journal's; without one (the run broke off) they are what
    this view has seen.
    """
    finished = state.finished
    if finished is None:
        status, queries = "did not finish", state.done
        ok, wrong = state.statuses["ok"], state.statuses["wrong_answer"]
        errors = state.failed - wrong
        timeouts, cancelled = state.statuses["timeout"], state.statuses["cancelled"]
        elapsed_s = state.elapsed_s()
    else:
        status, queries = clean(finished.status), finished.queries
        ok, errors, wrong = finished.ok, finished.errors, finished.wrong
        timeouts, cancelled = finished.timeouts, finished.cancelled
        elapsed_s = finished.elapsed_s
    line: Line = [(f"run {state.run_id} {status}", _STATUS_STYLES.get(status, "bold red"))]
    total = state.total
    if not queries and total == 0:
        return [*line, (f" in {duration(elapsed_s)}", "")], []
    of = f" of {count(total)}" if total is not None and total != queries else ""
    noun = "query" if (total or queries) == 1 else "queries"
    queries_text = f": {count(queries)}{of} {noun} in {duration(elapsed_s)}"
    # The time of a paired run is that of all arms.
    paired = state.run is not None and state.run.against is not None
    if elapsed_s > 0 and queries and not paired:
        queries_text += f" ({rate(queries / elapsed_s)}/s)"
    line.append((queries_text, ""))
    counts: Line = [(f"{count(ok)} ok", "")]
    for number_of, word, style in (
        (errors, "failed", "red"),
        (wrong, "with a wrong answer", "red"),
        (timeouts, "timed out", "yellow"),
        (cancelled, "cancelled", "yellow"),
    ):
        if number_of:
            counts += [(", ", ""), (f"{count(number_of)} {word}", style)]
    return line, counts


def _learned(finished: RunFinished | None) -> list[Line]:
    """How many of the queries were to learn from, and how many were compared."""
    if finished is None or not finished.learned:
        return []
    number_of = sum(finished.learned.values())
    text = learned_text(number_of, finished.queries - number_of)
    return [[("learned   ", "dim"), (text, "")]]


def _latency(state: RunState) -> list[Line]:
    found = state.latencies
    if not found.total:
        return []
    values: Sequence[float | None] = [*found.percentiles(0.5, 0.95, 0.99), found.highest_s]
    if state.finished is not None and state.finished.latency_s:
        values = state.finished.latency_s
    return [[("latency   ", "dim"), (latency_text(values), "")]]


def _steering(finished: RunFinished | None) -> list[Line]:
    if finished is None or not (finished.steered or finished.native):
        return []
    line: Line = [("steering  ", "dim"), (f"{plural(finished.steered, 'query', 'queries')}", "")]
    if finished.ignored:
        line.append((f", {plural(finished.ignored, 'push', 'pushes')} not applied", "yellow"))
    if finished.native:
        line.append((f", {count(finished.native)} more ran unsteered", "yellow"))
    return [line]


def _section(title: str, entries: Iterator[Line]) -> list[Line]:
    return [
        [(("" if number else title).ljust(10), "dim"), *entry]
        for number, entry in enumerate(entries)
    ]


def _event(row: EventRow) -> Line:
    took = f" in {duration(row.total_s)}" if row.total_s else ""
    line: Line = [(f"{clean(row.name)}: {plural(row.fired, 'firing')}{took}", "")]
    if row.kept:
        line.append((f", {count(row.kept)} kept the model", ""))
    if row.failed:
        line.append((f", {count(row.failed)} failed", "red"))
        if row.error:
            line.append((f" ({clean(row.error)})", "red"))
    return line


def _model(row: ModelRow) -> Line:
    versions = ""
    if row.version is not None:
        versions = f"v{row.version}"
        if row.first_version != row.version:
            versions = f"v{row.first_version} → {versions}"
    saves = "not saved" if not row.saves else f"saved {plural(row.saves, 'time')}"
    metric = ""
    if row.metric is not None:
        metric = f"{clean(row.metric)} {number(row.first)}"
        if row.saves and row.first != row.value:
            metric += f" → {number(row.value)}"
            moved = change(row.first, row.value)
            metric += f" ({moved})" if moved else ""
    return [(f"{clean(row.name)}: {joined([versions, saves, metric])}", "")]


def _slowest(state: RunState) -> Iterator[Line]:
    results = state.finished.slowest if state.finished is not None else ()
    for result in results[:SLOWEST_SHOWN]:
        status = "" if result.status == "ok" else f" {clean(result.status)}"
        where = place(result)
        yield [
            (duration(result.elapsed_s).rjust(10), ""),
            (f"  {clean(result.label)}", ""),
            (f"  {where}" if where else "", "dim"),
            (status, "red"),
        ]


def _reasons(finished: RunFinished | None) -> list[Line]:
    if finished is None or not finished.exit_code:
        return []
    reasons = finished.reasons or ["no reason was given"]
    return _section(f"exit {finished.exit_code}", ([(clean(text), "red")] for text in reasons))


def _next(state: RunState) -> list[Line]:
    """What to do next: go on, where something is left to do, and look."""
    lines: list[Line] = [[("look up   ", "dim"), (f"pilot runs show {state.run_id}", "bold")]]
    ended = state.finished or state.run
    if ended is not None and ended.resume is not None:
        lines.append([("go on     ", "dim"), (clean(ended.resume), "bold")])
    return lines
